"""How time grows with the size of a picture and with threads; the entropy coder alone; opening a file.

    sizes      encode and decode, 0.1 to 50 megapixels, milliseconds a megapixel
    threads    encode and decode of the size in the middle
    coder      symbols of that file to bytes and back, with constriction and in pure Python
    opening    `semcomp.info` of the bytes, and `Image.open` of them with semcomp.pillow; no network runs

Everything is run in turn within a round, after a warm-up; figures are medians with quartiles.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.speed import quartiles
from semcomp.bitstream.container import ChunkKind, read

MEGAPIXELS = (0.1, 0.4, 1.5, 6.0, 24.0, 50.0)
SIDES = (3, 2)
"""Width to height."""

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


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"quality {result['quality']}; ms, median (quartiles)", ""]
    for one in result["sizes"]:
        per = {name: one["ms"][name]["median"] / one["megapixels"] for name in ("encode", "decode")}
        lines.append(
            f"{one['megapixels']:6.2f} Mpx  encode {one['ms']['encode']['median']:9.1f}  {per['encode']:7.1f} a Mpx   "
            f"decode {one['ms']['decode']['median']:9.1f}  {per['decode']:7.1f} a Mpx"
        )
    for one in result["threads"]:
        encode, decode = one["ms"]["encode"]["median"], one["ms"]["decode"]["median"]
        lines.append(f"{one['threads']:3d} thread(s)  encode {encode:9.1f}  decode {decode:9.1f}")
    for name, value in {**result["coder"], **result["opening"]}.items():
        lines.append(f"{name:<42}{value['median']:9.3f}  ({value['low']:.3f} .. {value['high']:.3f})")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("scaling", __doc__, "python -m benchmarks.scaling -o out/scaling.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("-q", "--quality", type=int, default=55, help="default: 55")
    parser.add_argument("--megapixels", type=float, nargs="+", default=MEGAPIXELS, help="sizes (0.1 .. 50)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch (1 2); sizes run on the last")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--limit-ms", type=float, default=5.0, help="for semcomp.info (default: 5)")
    options = parser.parse_args(arguments)
    codec, before = common.load_codec(options), torch.get_num_threads()
    middle = sorted(options.megapixels)[len(options.megapixels) // 2 - 1 if len(options.megapixels) > 1 else 0]
    sizes, threads = [], []
    torch.set_num_threads(options.threads[-1])
    for megapixels in options.megapixels:
        pixels = common.picture_of_size(options.photo, *size_of(megapixels))
        work, _ = both_ways(codec, pixels, options.quality)
        ms = rounds(work, repeats=options.repeats, label=f"{megapixels:g} Mpx", options=options)
        sizes.append({"megapixels": round(pixels.shape[0] * pixels.shape[1] / 1e6, 3), "ms": ms})
    work, data = both_ways(codec, common.picture_of_size(options.photo, *size_of(middle)), options.quality)
    for count in options.threads:
        torch.set_num_threads(count)
        ms = rounds(work, repeats=options.repeats, label=f"{count} threads", options=options)
        threads.append({"threads": count, "ms": ms})
    coder = rounds(coder_of(codec, data), repeats=options.repeats, label="coder", options=options)
    opened = rounds(opening(data), repeats=max(20, options.repeats), label="opening", options=options)
    torch.set_num_threads(before)
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "quality": options.quality,
        "sizes": sizes,
        "middle_megapixels": middle,
        "threads": threads,
        "symbol_bytes": len(read(data).get(ChunkKind.SYMBOLS) or b""),
        "coder": coder,
        "opening": opened,
    }
    checks = [at_most("semcomp.info of a file", opened["semcomp.info"]["median"], options.limit_ms, " ms")]
    return common.finish("scaling", options, result=result, checks=checks, table=table_of(result))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
