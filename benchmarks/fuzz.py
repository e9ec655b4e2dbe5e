"""Damaged and hostile files: does anything but an error of semcomp's own come out, and what does it cost?

Random mutations of several small files (mutations.py: half of them damage to raw bytes, half made with every checksum
right again), and every truncation of three of them.

What a file may cost: its head is refused unless the file has a byte for every cell of 64 x 64 pixels that it claims,
and what is decoded first, z, has one position a cell and a checksum that covers the size, too. So whatever the head
says, time and memory up to that checksum are proportional to the bytes of the file. Only a file whose symbols are those
of its checksums goes on, and costs what a picture of its size does. A violation is

  * an exception outside semcomp's own tree, or a warning that is not semcomp's
  * a picture that is not the original one, unless every symbol checksum was forged for it; then its size must be the
    one that the file claims. Metadata that is lost must be warned of
  * a file that is truncated, claims a size that is not its own, or holds a z beyond 127, and is not refused as damaged
  * a file that takes more than twice the time of its original plus 2 ms (in doubt, medians of seven runs in turn);
    where it claims more cells, plus 5 microseconds for each of them, at most for as many as it has bytes
  * a file for which Python and numpy allocate more than twice of what its original needs plus 256 KiB, and plus 4 KiB
    for each of those cells (tracemalloc, on every 16th file and each that claims another header), or 64 MiB by which
    the process grows over the whole run

Each is printed with the command that repeats it.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
import traceback
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import common, mutations
from benchmarks.fuzz_report import Report
from benchmarks.mutations import Base, Mutation
from semcomp.bitstream.container import read_header, smallest_file
from semcomp.errors import FormatError, SemcompError, SemcompWarning
from semcomp.eval.memory import peak_bytes

TIME_FACTOR, TIME_SLACK = 2.0, 0.002  # seconds
MEMORY_FACTOR, MEMORY_SLACK = 2.0, 256 << 10  # bytes
TIME_PER_CELL, MEMORY_PER_CELL = 5e-6, 4 << 10  # seconds, bytes
TRACED_KINDS = ("header fields", "header bytes", "largest claim")
BATCH = 200


class Fuzzer:
    """The codec, the good files, and what they cost."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.codec = common.load_codec(options, threads=1)
        width, height = mutations.SIZE
        self.bases = mutations.base_files(self.codec, common.picture_of_size(options.photo, width, height))
        for base in self.bases * 3:
            self.codec.decode(base.data)
        self.seconds = [statistics.median(self._seconds(base.data) for _ in range(15)) for base in self.bases]
        self.bytes = [self._allocated(base.data) for base in self.bases]
        self.peak_at_start = peak_bytes()

    def run(self, first: int, last: int) -> Report:
        """Mutations first..last - 1; below zero, the truncations."""
        report = Report()
        for number in range(first, last):
            if number < 0:
                mutation, repeat = self.truncation(-1 - number), f"--only {number}"
            else:
                mutation = mutations.mutate(self.codec, self.bases, seed=self.options.seed, number=number)
                repeat = f"--seed {self.options.seed} --only {number}"
            self._one(mutation, number, repeat, report)
        grown = peak_bytes()
        if grown is not None and self.peak_at_start is not None:
            report.growth = max(0, grown - self.peak_at_start)
        return report

    def truncations(self) -> int:
        return sum(len(base.data) for base in self._truncated())

    def truncation(self, number: int) -> Mutation:
        """The file of `_truncated` at that place of their row, cut there."""
        for base in self._truncated():
            if number < len(base.data):
                return Mutation("truncation", self.bases.index(base), base.data[:number], hopeless=True)
            number -= len(base.data)
        raise ValueError("there are fewer truncations")

    def _truncated(self) -> list[Base]:
        return [self.bases[0], self.bases[2], self.bases[-1]]

    def _one(self, mutation: Mutation, number: int, repeat: str, report: Report) -> None:
        base = self.bases[mutation.base]
        name = f"{mutation.kind} of {base.name} ({repeat})"
        start = time.perf_counter()
        outcome, problem = self.judge(mutation, base)
        passed = time.perf_counter() - start
        report.outcomes[f"{mutation.kind}: {outcome}"] += 1
        if problem:
            report.violations.append(("outcome", f"{name}: {problem}"))

        cells = extra_cells(mutation.data, base.data)
        normal, slack = self.seconds[mutation.base], TIME_SLACK + TIME_PER_CELL * cells
        if passed > TIME_FACTOR * normal + slack:
            passed, normal = self._compared(mutation.data, base.data)
        limit = TIME_FACTOR * normal + slack
        report.slowest = max(report.slowest, (round(passed / limit, 3), name))
        if passed > limit:
            took = f"takes {1000 * passed:.1f} ms for {cells} more cells, its original {1000 * normal:.1f} ms"
            report.violations.append(("time", f"{name}: {took}"))

        if number % 16 == 0 or mutation.kind in TRACED_KINDS:
            used, normal_bytes = self._allocated(mutation.data), self.bytes[mutation.base]
            allowed = MEMORY_FACTOR * normal_bytes + MEMORY_SLACK + MEMORY_PER_CELL * cells
            report.hungriest = max(report.hungriest, (round(used / allowed, 3), name))
            if used > allowed:
                took = f"allocates {used:,} bytes for {cells} more cells, its original {normal_bytes:,}"
                report.violations.append(("memory", f"{name}: {took}"))

    def judge(self, mutation: Mutation, base: Base) -> tuple[str, str]:
        """What came of it in a word, and what is wrong with that, if anything."""
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                image = self.codec.decode(mutation.data)
            except SemcompError as error:
                damaged = isinstance(error, FormatError) or not mutation.hopeless
                return "refused", "" if damaged else f"{type(error).__name__}, not FormatError"
            except Exception as error:
                return "crashed", f"{type(error).__name__}: {error}"
        foreign = [str(warning.message) for warning in heard if not issubclass(warning.category, SemcompWarning)]
        if foreign:
            return "foreign warning", foreign[0]
        if mutation.hopeless:
            return "decoded", "a file that must be refused is decoded"
        if mutation.forged:
            return "forged picture", "" if image.size == mutation.size else f"its size is {image.size}"
        if image.mode != base.decoded.mode or image.tobytes() != base.decoded.tobytes():
            return "another picture", "it decodes to another picture"
        if heard:
            return "same picture, warned", ""
        lost = mutation.kind == "raw bytes" and _metadata(image) != _metadata(base.decoded)
        return "same picture", "metadata is lost or changed without a warning" if lost else ""

    def _quietly(self, data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.codec.decode(data)
            except Exception:  # what it raises is judged elsewhere
                return

    def _seconds(self, data: bytes) -> float:
        start = time.perf_counter()
        self._quietly(data)
        return time.perf_counter() - start

    def _compared(self, data: bytes, original: bytes) -> tuple[float, float]:
        """Median seconds of both, run in turn."""
        pairs = [(self._seconds(data), self._seconds(original)) for _ in range(7)]
        return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)

    def _allocated(self, data: bytes) -> int:
        tracemalloc.start()
        try:
            self._quietly(data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def extra_cells(data: bytes, original: bytes) -> int:
    """Cells of 64 x 64 pixels that a file claims beyond its original, as far as its bytes reach."""
    try:
        header, _ = read_header(data)
    except FormatError:
        return 0
    own, _ = read_header(original)
    claimed = min(smallest_file(header.width, header.height), len(data))
    return max(0, claimed - smallest_file(own.width, own.height))


def _metadata(image: Image.Image) -> tuple[Any, Any]:
    return image.info.get("icc_profile"), image.info.get("exif")


_fuzzer: Fuzzer | None = None


def _start(options: argparse.Namespace) -> None:
    global _fuzzer
    _fuzzer = Fuzzer(options)


def _run(span: tuple[int, int]) -> Report:
    assert _fuzzer is not None
    return _fuzzer.run(*span)


def reports(spans: list[tuple[int, int]], options: argparse.Namespace) -> Iterator[Report]:
    """The report of every span, in this process or in others."""
    if options.jobs == 1:
        yield from map(_run, spans)
        return
    with multiprocessing.get_context("spawn").Pool(options.jobs, _start, (options,)) as pool:
        yield from pool.imap_unordered(_run, spans)


def show_one(options: argparse.Namespace) -> int:
    """Repeat one mutation and show all about it."""
    fuzzer = Fuzzer(options)
    report = fuzzer.run(options.only, options.only + 1)
    cost = [f"{report.slowest[0]} of its time", f"{report.hungriest[0]} of its memory"]
    common.say("\n".join([*report.outcomes, *cost]))
    made = (
        fuzzer.truncation(-1 - options.only)
        if options.only < 0
        else mutations.mutate(fuzzer.codec, fuzzer.bases, seed=options.seed, number=options.only)
    )
    if options.keep:
        options.keep.write_bytes(made.data)
    try:
        fuzzer.codec.decode(made.data)
    except Exception:
        common.say(traceback.format_exc())
    for _, violation in report.violations:
        common.say(f"VIOLATION {violation}")
    return 1 if report.violations else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("fuzz", __doc__, "python -m benchmarks.fuzz --count 20000 -j 2 -o out/fuzz.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("--count", type=int, default=20000, help="mutations (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--no-truncations", action="store_true", help="mutations alone")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="repeat one mutation and show its error")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="with --only, write the mutated file")
    options = parser.parse_args(arguments)
    if options.only is not None:
        return show_one(options)

    _start(options)
    assert _fuzzer is not None
    first = 0 if options.no_truncations else -_fuzzer.truncations()
    spans = [(low, min(low + BATCH, options.count)) for low in range(first, options.count, BATCH)]
    total, start = Report(), None
    for report in common.progress(reports(spans, options), total=len(spans), label="fuzz", options=options):
        start = start or time.perf_counter()  # without the loading and the first batch
        total.add(report)
    files = sum(total.outcomes.values())
    passed = time.perf_counter() - start if start else 0.0
    rate = (files - BATCH) / passed if passed and files > BATCH else 0.0
    result = {
        "model": options.model,
        "seed": options.seed,
        "mutations": options.count,
        "truncations": -first,
        "files_per_second": round(rate, 1),
        "outcomes": dict(sorted(total.outcomes.items())),
        "slowest": total.slowest,
        "hungriest": total.hungriest,
        "growth_bytes": total.growth,
        "violations": dict(Counter(kind for kind, _ in total.violations)),
        "examples": [text for _, text in total.violations[:100]],
    }
    head = f"{options.count:,} mutations (seed {options.seed}) and {-first:,} truncations"
    lines = [f"{head}, {rate:.0f} files a second", "", *total.lines()]
    return common.finish("fuzz", options, result=result, checks=total.checks(), table="\n".join(lines))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
