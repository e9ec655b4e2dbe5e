"""`semcomp map`: one verb over many files. Rows go to Parquet, and a run that was stopped goes on where it stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

from semcomp.cli.argument_types import whole_number
from semcomp.cli.exit_codes import EXIT_FAILED, EXIT_OK, UsageError
from semcomp.cli.failures import check_folder
from semcomp.cli.first_look import check_networks
from semcomp.cli.latents_input import HEAD_HELP, add_confidence, heads_in_words, usual_head
from semcomp.cli.output_formats import format_name
from semcomp.cli.paths import IMAGE_SUFFIXES, list_expanded
from semcomp.cli.shared_options import TARGETS, NewParser, SharedOptions, first_given
from semcomp.cli.terminal import LongRun, complain, say_json

if TYPE_CHECKING:
    from semcomp.scale.run import Progress, Summary
    from semcomp.scale.run_folder import Input
    from semcomp.scale.task import MapTask

VERBS = ("info", "classify", "segment", "embed", "encode", "decode")
_SEMC_ALONE = ("info", "decode")
"""Verbs that read no pictures"""

_READING = ("classify", "segment", "embed", "encode")
_BELONG = {
    ("quality", "convert", "convert_colour", "keep_hidden_colour", "head"): _READING,
    ("bpp", "max_bytes", "psnr", "strip", "preview"): ("encode",),
    ("min_confidence",): ("classify", "segment", "encode"),
    ("top",): ("classify", "encode"),
    ("maps",): ("segment",),
    ("format",): ("decode",),
}
"""Maps options to the verbs that they concern"""

_EPILOG = """\
examples:
  semcomp map classify photos/ -o labels.parquet --head things -j 8
  semcomp map encode s3://bucket/photos -o runs/encode.parquet --files s3://bucket/small -j 8
  semcomp map encode photos/ -o encode.parquet --files shards/ --shards     WebDataset: one tar a block
  semcomp map embed 'shards/*.tar' -o vectors.parquet --engine ray --address auto -j 64

The output is a folder of Parquet files: pyarrow, pandas, DuckDB and polars read it as one table. The same command goes
on with a run that was killed, and adds files that are new.
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.target, shared.parallel, shared.model, shared.output],
        epilog=_EPILOG,
        description="Do one thing to many files. A file that fails gets a row with its error, and nothing stops.",
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help=", ".join(VERBS))
    parser.add_argument("inputs", nargs="+", metavar="SRC", help="files, folders, globs, URLs, archives, .tar shards")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder or URL for the Parquet files")
    _add_run_options(parser)
    _add_verb_options(parser)
    parser.set_defaults(run=run)


def _add_run_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--engine", choices=("processes", "ray"), default="processes", help="processes: this machine; ray: a cluster"
    )
    group.add_argument("--address", metavar="ADDRESS", help="Ray cluster: auto, or ray://HOST:10001 (this machine)")
    group.add_argument("--block", type=whole_number(1, 10**6), metavar="N", help="files of a block (1000, or fewer)")
    group.add_argument("--retry", action="store_true", help="do blocks again in which a file failed")
    group.add_argument("-f", "--force", action="store_true", help="remove the rows that are there, and begin again")


def _add_verb_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the verb")
    group.add_argument(
        "--head", metavar="NAME", help=f"{HEAD_HELP}; encode stores its labels and its map, embed gives its features"
    )
    add_confidence(group)
    group.add_argument("--top", type=whole_number(1, 1000), default=5, metavar="N", help="labels of a row (5)")
    group.add_argument("--maps", action="store_true", help="segment: put the label map into the row, as a PNG")
    group.add_argument("--files", metavar="DIR", help="encode, decode: folder or URL for the files (mirrors the tree)")
    group.add_argument("--shards", action="store_true", help="write them as WebDataset shards, one tar for each block")
    group.add_argument("--format", default="png", metavar="FMT", help="decode: png, webp, tiff, bmp, ppm, jpg or avif")
    group.add_argument(
        "--preview",
        nargs="?",
        const=48,
        type=whole_number(1, 4096),
        metavar="BYTES",
        help="encode: store a thumbnail of at most this many bytes (48)",
    )


def run(options: Namespace) -> int:
    """Run the verb over every file that is not done; returns the exit code."""
    from semcomp.scale.run import map_files

    task = _task(options)
    inputs = _inputs(options)
    check_folder(options.output)
    if options.files is not None:
        check_folder(options.files, flag="--files")
    check_networks(options)
    report = _Report(options)
    try:
        summary = map_files(
            inputs,
            task=task,
            output=options.output,
            engine=options.engine,
            workers=options.jobs,
            address=options.address,
            block=options.block,
            retry=options.retry,
            force=options.force,
            on_progress=report.add,
        )
    finally:
        report.close()
    report.finish(summary)
    return EXIT_FAILED if summary.failed else EXIT_OK


def _task(options: Namespace) -> MapTask:
    """Check the options, and make the task of them."""
    from semcomp.scale.task import WRITING, MapTask
    from semcomp.workers import share_of_threads

    verb = options.verb
    if options.address is not None and options.engine != "ray":
        raise UsageError("--address names a Ray cluster: give --engine ray too")
    if verb in WRITING and options.files is None:
        raise UsageError(f"map {verb} writes files: give --files, a folder or a URL")
    if verb not in WRITING and (options.files is not None or options.shards):
        raise UsageError(f"map {verb} writes rows alone: leave out --files and --shards")
    targets = {name: getattr(options, name) for name in TARGETS}
    for names, verbs in _BELONG.items():
        if verb not in verbs and (flag := first_given(options, names)):
            raise UsageError(f"{flag} belongs to map {' and map '.join(verbs)}: leave it out")
    if verb == "classify" and options.head is None:
        options.head = usual_head(options, "classify")
    if verb == "classify" and options.head is None:
        raise UsageError(f"no head is asked by itself: {heads_in_words(options)}")
    if options.head is None and options.min_confidence is not None:
        raise UsageError("--min-confidence says how sure a head has to be: give --head too")
    return MapTask(
        verb=verb,
        model=options.model,
        graphs=options.graphs,
        lossless_weights=options.lossless_weights,
        device=options.device or "cpu",
        head=options.head,
        quality=options.quality,
        strip=options.strip,
        convert=options.convert,
        convert_colour=options.convert_colour,
        keep_hidden_colour=options.keep_hidden_colour,
        preview=options.preview,
        top=options.top,
        min_confidence=options.min_confidence,
        maps=options.maps,
        format=format_name(options.format),
        files=options.files,
        shards=options.shards,
        threads=share_of_threads(options.threads, options.jobs) if options.engine == "processes" else 1,
        **targets,
    )


def _inputs(options: Namespace) -> list[Input]:
    """Find the files. What cannot be used becomes a row with its reason."""
    from semcomp.scale.run_folder import Input

    own = (".semc", ".tar") if options.verb in _SEMC_ALONE else (".semc", ".tar", *IMAGE_SUFFIXES)
    suffixes = tuple(suffix for suffix in own if suffix != ".semc" or options.verb != "encode")
    expansion = list_expanded(options.inputs, read_suffixes=suffixes)
    for note in expansion.notes:
        if not options.quiet:
            complain(f"semcomp map: {note}")
    found = [Input(entry.source, entry.mirrored.as_posix()) for entry in expansion.found]
    return found + [Input(entry.source, entry.source, entry.reason) for entry in expansion.unusable]


class _Report(LongRun):
    """Progress on stderr: a bar on a terminal, else a line now and then; with --json an object for every block."""

    def __init__(self, options: Namespace) -> None:
        super().__init__()
        self.options, self.files = options, 0
        self.start: int | None = None

    def add(self, progress: Progress) -> None:
        """Take one finished block."""
        done = progress.done
        if self.start is None:
            self.start = progress.inputs - done.files if progress.total >= done.files else 0
        self.files += done.files
        if self.options.json:
            values: dict[str, Any] = {**done._asdict(), "inputs": progress.inputs, "total": progress.total}
            say_json({"command": "map", "verb": self.options.verb, **values})
        if not self.options.quiet:
            line = partial(self._line, progress)
            self.show(progress.inputs, progress.total, start=self.start, line=line)

    def _line(self, progress: Progress, seconds: float) -> str:
        left = (progress.total - progress.inputs) * seconds / max(1, progress.inputs - (self.start or 0))
        rate = self.files / max(seconds, 1e-9)
        where = f"{progress.inputs:,} of {progress.total:,} inputs"
        return f"semcomp map: {where}, {rate:.1f} files/s, {_in_time(left)} left"

    def finish(self, summary: Summary) -> None:
        """Say what the run did."""
        if self.options.json or self.options.quiet:
            return
        rate = summary.files / max(summary.seconds, 1e-9)
        skipped = f", {summary.skipped:,} inputs were done before" if summary.skipped else ""
        why = ", as their column error says" if summary.failed else ""
        complain(
            f"semcomp map: {summary.files:,} files in {_in_time(summary.seconds)} ({rate:.1f} files/s), "
            f"{summary.failed:,} failed{why}{skipped}; the rows are in {self.options.output}"
        )


def _in_time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 60 else f"{seconds:.1f} s"
