"""Measures thumbnail codes beside BlurHash, ThumbHash, JPEG, WebP and JPEG XL.

    python -m benchmarks.thumbs out/thumbs/held.npy -o out/thumbs.json --sheet out/thumbs.png

held.npy holds uint8 thumbnails (N, 32, 32, 3) that no training saw; train.thumbs_data writes it. Each row of the table
codes the thumbnails for its size; `cut` holds what the first bytes of the longest codes show. JPEG and WebP count their
bytes without headers. A row gives a photo codec only if it can reach the size for every thumbnail.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.thumbs_peers import blurhash, ladder, thumbhash, within
from benchmarks.weights_ids import weights_ids
from semcomp.imaging.metrics import psnr_db, ssim
from semcomp.thumbs.tables import FILE
from semcomp.thumbs.thumb import decode_canvas, thumb

SIZES = (12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048)
"""Bytes of the table's rows."""
CUT_SIZES = (32, 64, 128)
"""Bytes of the rows that cut long codes."""
SOURCE = {64: 0.8191, 128: 0.8654, 512: 0.9478, 2048: 0.9951}
"""SSIM in the source's table, by bytes of a 32x32 thumbnail."""
MARGIN = {64: 0.02, 128: 0.02}
"""How far above the source's SSIM the goal is."""
PHOTO_CODECS = ("jpeg", "webp", "jpegxl")
Decoded = list[tuple[NDArray[Any], int]]


def quality(originals: NDArray[Any], decoded: Decoded) -> dict[str, float]:
    """Mean bytes, SSIM and PSNR over the thumbnails."""
    pairs = [(original, pixels) for original, (pixels, _) in zip(originals, decoded, strict=True)]
    return {
        "bytes": round(float(np.mean([size for _, size in decoded])), 2),
        "ssim": round(float(np.mean([ssim(a, b) for a, b in pairs])), 4),
        "psnr_db": round(float(np.mean([min(psnr_db(a, b), 99.0) for a, b in pairs])), 3),
    }


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median processor time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(1000 * (time.process_time() - start))
    return float(np.median(times))


def times_of(sample: NDArray[Any], size: int) -> dict[str, float]:
    """Median milliseconds of coding a 32x32 image and of decoding it."""
    encoding = [milliseconds(partial(thumb, pixels, size)) for pixels in sample]
    decoding = [milliseconds(partial(decode_canvas, thumb(pixels, size))) for pixels in sample]
    return {"encode_ms": round(float(np.median(encoding)), 2), "decode_ms": round(float(np.median(decoding)), 2)}


def shown(originals: NDArray[Any], codes: Sequence[bytes]) -> dict[str, float]:
    """A row: what codes show."""
    return quality(originals, [(decode_canvas(code)[0], len(code)) for code in codes])


def ours(originals: NDArray[Any]) -> dict[str, Any]:
    """Rows of our codes, and their times."""
    long = [thumb(pixels, max(SIZES)) for pixels in originals]
    rows = {size: shown(originals, [thumb(pixels, size) for pixels in originals]) for size in SIZES}
    cut = {size: shown(originals, [code[:size] for code in long]) for size in CUT_SIZES}
    sample = originals[:: max(1, len(originals) // 10)]
    times = {str(size): times_of(sample, size) for size in (24, 32, 64, 128, 512, 2048)}
    return {"rows": rows, "cut": cut, "times": times}


def peers(originals: NDArray[Any]) -> dict[str, dict[int, Any]]:
    """Rows of the peers by name and size; None where a peer cannot reach the size for every thumbnail."""
    table: dict[str, dict[int, Any]] = {"thumbhash": {24: quality(originals, [thumbhash(p) for p in originals])}}
    table["blurhash"] = {}
    for size in (28, 56, 128):
        rows = [row for p in originals if (row := blurhash(p, size)) is not None]
        table["blurhash"][size] = quality(originals, rows)
    for name in PHOTO_CODECS:
        ladders = [ladder(name, p) for p in originals]
        table[name] = {}
        for size in SIZES:
            chosen = [within(steps, size) for steps in ladders]
            fitting = [row for row in chosen if row is not None]
            table[name][size] = quality(originals, fitting) if len(fitting) == len(originals) else None
    return table


def with_sizes(table: dict[str, Any]) -> dict[str, dict[int, Any]]:
    """Rows of an earlier result; JSON has turned their sizes into text."""
    return {name: {int(size): row for size, row in rows.items()} for name, rows in table.items()}


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal beside what was reached."""
    rows, hashed = result["ours"]["rows"], result["peers"]["thumbhash"][24]
    goals = []
    for size, source in SOURCE.items():
        goal = source + MARGIN.get(size, 0.0)
        value = rows[size]["ssim"]
        goals.append({"goal": f"SSIM at {size} B above {goal:.4f}", "reached": value, "met": value > goal})
    gain = round(rows[24]["psnr_db"] - hashed["psnr_db"], 3)
    goals.append({"goal": "+1.5 dB over ThumbHash at 24 B", "reached": gain, "met": gain >= 1.5})
    goals.append({"goal": "+2.5 dB over ThumbHash at 24 B", "reached": gain, "met": gain >= 2.5})
    half = round(rows[12]["psnr_db"] - hashed["psnr_db"], 3)
    goals.append({"goal": "PSNR of ThumbHash in half its bytes", "reached": half, "met": half >= 0})
    for length in ("64", "2048"):
        slowest = result["ours"]["times"][length]["encode_ms"]
        goals.append({"goal": f"encoding {length} B below 20 ms", "reached": slowest, "met": slowest < 20})
    goals.append(
        {"goal": "weights at most 1.5 MB", "reached": FILE.stat().st_size, "met": FILE.stat().st_size <= 1.5e6}
    )
    return goals


def sheet(originals: NDArray[Any], path: Path, *, count: int = 40, zoom: int = 3) -> None:
    """Write a sheet: each thumbnail, beside it ThumbHash (24 B), then our codes of 24, 48, 64 and 128 B."""
    chosen = originals[:: max(1, len(originals) // count)][:count]
    cells = []
    for pixels in chosen:
        ours = (decode_canvas(thumb(pixels, size))[0] for size in (24, 48, 64, 128))
        pictures = [pixels, thumbhash(pixels)[0], *ours]
        cells.append(np.concatenate([np.pad(s, ((1, 1), (1, 1), (0, 0)), constant_values=255) for s in pictures], 1))
    columns = [np.concatenate(cells[i::4], 0) for i in range(4)]
    whole = np.concatenate([np.pad(c, ((0, 0), (0, 6), (0, 0)), constant_values=255) for c in columns], 1)
    image = Image.fromarray(whole)
    image.resize((image.width * zoom, image.height * zoom), Image.Resampling.BICUBIC).save(path)


def as_markdown(result: dict[str, Any]) -> str:
    """The table for people."""
    names = ["ours", *PHOTO_CODECS]
    lines = ["| bytes | " + " | ".join(f"{n} SSIM | {n} dB" for n in names) + " |", "|" + "---|" * (1 + 2 * len(names))]
    for size in SIZES:
        cells = [result["ours"]["rows"][size], *(result["peers"][n][size] for n in PHOTO_CODECS)]
        text = [f"{c['ssim']:.4f} | {c['psnr_db']:.2f}" if c else "- | -" for c in cells]
        lines.append(f"| {size} | " + " | ".join(text) + " |")
    for size, row in result["ours"]["cut"].items():
        lines.append(f"\n{size} bytes of a long code: SSIM {row['ssim']:.4f}, {row['psnr_db']:.2f} dB")
    for name in ("thumbhash", "blurhash"):
        for row in result["peers"][name].values():
            lines.append(f"\n{name}: {row['bytes']:.0f} bytes, SSIM {row['ssim']:.4f}, {row['psnr_db']:.2f} dB")
    lines += [f"\n{'met' if g['met'] else 'NOT met'}: {g['goal']}, reached {g['reached']}" for g in result["targets"]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = common.Parser(prog="python -m benchmarks.thumbs", description=__doc__.partition("\n")[0])
    parser.add_argument("held", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the result")
    parser.add_argument("--sheet", type=Path, help="PNG file for 40 thumbnails to look at")
    parser.add_argument("--limit", type=int, help="measure only so many thumbnails")
    parser.add_argument("--peers", type=Path, metavar="JSON", help="take the peers from an earlier result")
    options = parser.parse_args(arguments)
    originals = np.load(options.held)[: options.limit]
    earlier = json.loads(options.peers.read_text(encoding="utf-8"))["peers"] if options.peers else None
    rivals = with_sizes(earlier) if earlier else peers(originals)
    result: dict[str, Any] = {"thumbnails": len(originals), "ours": ours(originals), "peers": rivals}
    result["targets"] = targets(result)
    if options.output:
        origin = common.origin_of("thumbs", options, weights_ids(["thumbs"]))
        common.write_json(options.output, {**origin, **result})
    sys.stdout.write(as_markdown(result) + "\n")
    if options.sheet:
        sheet(originals, options.sheet)


if __name__ == "__main__":
    main()
