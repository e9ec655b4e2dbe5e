"""How time grows with the size of a picture and with threads; the entropy coder alone; opening a file.

    sizes      encode and decode, 0.1 to 50 megapixels, milliseconds a megapixel
    threads    encode and decode of the size in the middle
    coder      symbols of that file to bytes and back, with constriction and in pure Python
    opening    `semcomp.info` of the bytes, and `Image.open` of them with semcomp.pillow; no network runs
    processes  `semcomp info` and `semcomp doctor` as processes, imports included: the least processor time
    small      two threads beside one for small pictures: latents of a file, a head, decode and encode

Everything is run in turn within a round, after a warm-up; figures are medians with quartiles.

Two threads may be slower than one on small pictures, which depends on how threads wait for each other. OpenMP reads
this when torch is loaded, so each way of waiting has a process of its own. The library's rule for small pictures
(semcomp.networks.threads) is off there. A ratio compares two runs of one round.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_most
from benchmarks.speed import quartiles
from benchmarks.structure import cpu_seconds
from benchmarks.weights_ids import weights_ids
from semcomp.bitstream.container import ChunkKind, read
from semcomp.networks import threads as rule
from semcomp.semantics.head import load_head
from semcomp.types import STRIDE_Y, grid
from semcomp.workers import WAIT_POLICY, worker_pool

PARTS = ("sizes", "threads", "coder", "opening", "processes", "small")
MEGAPIXELS = (0.1, 0.4, 1.5, 6.0, 24.0, 50.0)
SIDES = (3, 2)
"""Width to height."""
SMALL = ("96x96", "160x160", "320x256", "480x360", "768x512", "1536x1024")
WAITING: dict[str, dict[str, str]] = {"sleeping": WAIT_POLICY, "spinning": {}}
"""How threads wait, with the environment that asks for it: what the command sets, and OpenMP's default."""

Work = dict[str, Callable[[], Any]]
Times = dict[str, dict[str, float]]


def size_of(megapixels: float) -> tuple[int, int]:
    """A size (width, height) of about this number of megapixels."""
    unit = (megapixels * 1e6 / (SIDES[0] * SIDES[1])) ** 0.5
    return round(SIDES[0] * unit), round(SIDES[1] * unit)


def rounds(work: Work, *, repeats: int, label: str, options: argparse.Namespace) -> Times:
    """Milliseconds of each, in turn; one round more, the first, is not counted."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in common.progress(range(repeats + 1), total=repeats + 1, label=label, options=options):
        for name, run in work.items():
            began = time.perf_counter()
            run()
            if number:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: quartiles(values) for name, values in times.items()}


def both_ways(codec: Any, pixels: NDArray[np.uint8], quality: int) -> tuple[Work, bytes]:
    """Encoding and decoding, and the file."""
    data = codec.encode(pixels, quality=quality)
    return {"encode": lambda: codec.encode(pixels, quality=quality), "decode": lambda: codec.decode(data)}, data


def coder_of(codec: Any, data: bytes) -> Work:
    """The entropy coder without networks: symbols to bytes, and the whole reading of symbols with either coder."""
    symbols, quality = codec.read_symbols(data), read(data).header.quality
    return {
        "symbols to bytes": lambda: codec.coder.write(symbols, quality=quality),
        "bytes to symbols, with the integer path": lambda: codec.read_symbols(data),
        "the same, pure Python": lambda: codec.read_symbols(data, plain=True),
    }


def opening(data: bytes) -> Work:
    """What a program does that only wants to know what a file is."""
    import semcomp
    import semcomp.pillow

    def header_only() -> None:
        with Image.open(io.BytesIO(data)) as image:
            _ = image.size

    return {"semcomp.info": lambda: semcomp.info(data), "Image.open": header_only}


def processes(data: bytes, repeats: int) -> dict[str, float]:
    """Processor seconds of commands as processes, imports included: the least of some runs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.semc"
        file.write_bytes(data)
        commands = {"semcomp info": ["info", str(file)], "semcomp doctor": ["doctor"]}
        return {name: cpu_seconds(common.ROOT, ["-m", "semcomp", *words], repeats) for name, words in commands.items()}


def small_pictures(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Two threads beside one, for each way of waiting in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    found = []
    for waiting, setting in WAITING.items():
        with patch.dict(os.environ, {**kept, **setting}, clear=True), worker_pool(1) as pool:
            sizes = pool.submit(two_threads, options).result()
        found.append({"waiting": waiting, "environment": setting, "sizes": sizes})
    return found


def two_threads(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Two threads beside one in this process, for each size. The library's rule is off."""
    codec, head = common.load_codec(options), load_head(options.head)
    rows = []
    with patch.object(rule, "small", return_value=0):
        for size in options.small:
            width, height = map(int, size.split("x"))
            work, data = both_ways(codec, common.picture_of_size(options.photo, width, height), options.quality)
            latents = partial(codec.latents, data)
            work = {"latents of a file": latents, f"head {Path(options.head).stem}": partial(head, latents()), **work}
            rows.append({"size": [width, height], **beside_one(work, repeats=3 * options.repeats)})
    return rows


def beside_one(work: Work, *, repeats: int) -> dict[str, Any]:
    """Median milliseconds on one thread and on two, and how many times as fast two are.

    Each ratio compares two runs of one round. One round more, the first, is not counted.
    """
    before = torch.get_num_threads()
    times: dict[str, dict[int, list[float]]] = {name: {1: [], 2: []} for name in work}
    for number in range(repeats + 1):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for name, run in work.items():
                began = time.perf_counter()
                run()
                if number:
                    times[name][threads].append(1000 * (time.perf_counter() - began))
    torch.set_num_threads(before)
    return {
        "ms": {name: {str(count): float(np.median(ms)) for count, ms in two.items()} for name, two in times.items()},
        "times_as_fast": {name: float(np.median(np.divide(two[1], two[2]))) for name, two in times.items()},
    }


def small_checks(small: list[dict[str, Any]]) -> list[Check]:
    """Where threads sleep, the rule takes one thread only for sizes at which two are not faster."""
    checks = []
    for row in next((one["sizes"] for one in small if one["waiting"] == "sleeping"), ()):
        width, height = row["size"]
        rows, columns = grid(height, width, STRIDE_Y)
        if rows * columns <= rule.SMALL_ASLEEP:
            best = max(ratio for name, ratio in row["times_as_fast"].items() if name != "encode")
            name = f"{width}x{height}, threads that sleep: times as fast on two threads as on the rule's one"
            checks.append(at_most(name, best, 1.0, ""))
    return checks


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"quality {result['quality']}; ms, median (quartiles)", ""]
    for one in result.get("sizes", ()):
        per = {name: one["ms"][name]["median"] / one["megapixels"] for name in ("encode", "decode")}
        lines.append(
            f"{one['megapixels']:6.2f} Mpx  encode {one['ms']['encode']['median']:9.1f}  {per['encode']:7.1f} a Mpx   "
            f"decode {one['ms']['decode']['median']:9.1f}  {per['decode']:7.1f} a Mpx"
        )
    for one in result.get("threads", ()):
        encode, decode = one["ms"]["encode"]["median"], one["ms"]["decode"]["median"]
        lines.append(f"{one['threads']:3d} thread(s)  encode {encode:9.1f}  decode {decode:9.1f}")
    for name, value in {**result.get("coder", {}), **result.get("opening", {})}.items():
        lines.append(f"{name:<42}{value['median']:9.3f}  ({value['low']:.3f} .. {value['high']:.3f})")
    for name, seconds in result.get("processes", {}).items():
        lines.append(f"{name + ', seconds of the processor':<42}{seconds:9.3f}")
    for one in result.get("small", ()):
        lines += ["", f"threads that are {one['waiting']}: times as fast on two threads as on one"]
        for row in one["sizes"]:
            ratios = "".join(f"  {name} {ratio:.2f}" for name, ratio in row["times_as_fast"].items())
            lines.append(f"{row['size'][0]}x{row['size'][1]}".rjust(11) + ratios)
    return "\n".join(lines)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = common.make_parser("scaling", __doc__, "python -m benchmarks.scaling -o out/scaling.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("-q", "--quality", type=int, default=55, help="default: 55")
    parser.add_argument("--megapixels", type=float, nargs="+", default=MEGAPIXELS, help="sizes (0.1 .. 50)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch (1 2); sizes run on the last")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (default: 5; three times for small)")
    parser.add_argument(
        "--small", nargs="+", default=SMALL, metavar="WxH", help=f"small sizes ({SMALL[0]} .. {SMALL[-1]})"
    )
    parser.add_argument("--head", default="imagenette", help="head of the part small (default: imagenette)")
    parser.add_argument("--limit-ms", type=float, default=5.0, help="for semcomp.info (default: 5)")
    return parser.parse_args(arguments)


def in_this_process(codec: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The parts that need no process of their own."""
    found: dict[str, Any] = {}
    middle = sorted(options.megapixels)[len(options.megapixels) // 2 - 1 if len(options.megapixels) > 1 else 0]

    def ways(megapixels: float) -> tuple[Work, bytes]:
        return both_ways(codec, common.picture_of_size(options.photo, *size_of(megapixels)), options.quality)

    def timed(work: Work, label: str, repeats: int = options.repeats) -> Times:
        return rounds(work, repeats=repeats, label=label, options=options)

    torch.set_num_threads(options.threads[-1])
    if "sizes" in options.only:
        found["sizes"] = []
        for megapixels in options.megapixels:
            width, height = size_of(megapixels)
            ms = timed(ways(megapixels)[0], f"{megapixels:g} Mpx")
            found["sizes"].append({"megapixels": round(width * height / 1e6, 3), "ms": ms})
    if not {"threads", "coder", "opening", "processes"} & set(options.only):
        return found
    work, data = ways(middle)
    found |= {"middle_megapixels": middle, "symbol_bytes": len(read(data).get(ChunkKind.SYMBOLS) or b"")}
    if "threads" in options.only:
        found["threads"] = []
        for count in options.threads:
            torch.set_num_threads(count)
            found["threads"].append({"threads": count, "ms": timed(work, f"{count} threads")})
    if "coder" in options.only:
        found["coder"] = timed(coder_of(codec, data), "coder")
    if "opening" in options.only:
        found["opening"] = timed(opening(data), "opening", max(20, options.repeats))
    if "processes" in options.only:
        found["processes"] = processes(data, options.repeats)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    options = options_of(arguments)
    codec, before = common.load_codec(options), torch.get_num_threads()
    result = {"model": codec.name, "model_id": codec.model_id.hex(), "quality": options.quality}
    result |= in_this_process(codec, options)
    torch.set_num_threads(before)
    checks, weights = [], [options.model]
    if "opening" in result:
        slowest = result["opening"]["semcomp.info"]["median"]
        checks.append(at_most("semcomp.info of a file", slowest, options.limit_ms, " ms"))
    if "small" in options.only:
        result["small"] = small_pictures(options)
        checks += small_checks(result["small"])
        weights.append(options.head)
    return common.finish(
        "scaling", options, result=result, checks=checks, table=table_of(result), weights=weights_ids(weights)
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
