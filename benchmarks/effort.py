"""What `encode --effort` buys: bytes, PSNR, BD-rate against effort 5 and time, from real files of lossless photos.

Every photo is encoded at every quality with every effort, and decoded again. BD-rate compares curves of mean bpp and
mean PSNR over the range that both cover. J is bits per pixel + lmbda * MSE, which an effort above 5 brings down.
Seconds are of the processor, on one thread, and scaled to a photo of 768x512.

With -o, photos that are already measured there are not measured again.
"""

import sys
import time
import zlib
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.common import Check, at_most
from benchmarks.rate import Results, Row, curve_of
from semcomp.eval.curves import Curve, saving
from semcomp.imaging.metrics import psnr_db
from semcomp.pipeline.effort import DEFAULT_EFFORT, EFFORTS

EFFORT_5 = str(DEFAULT_EFFORT)
PIXELS = 768 * 512


def rows_of(
    codec: Any, effort: int, qualities: list[int], side: int | None, pixels: NDArray[np.uint8]
) -> dict[str, Row]:
    """Bytes, PSNR, J, processor seconds a pixel, and pixels, one row a quality."""
    pixels = middle(pixels, side)
    rows = {}
    for quality in qualities:
        start = time.thread_time()
        data = codec.encode(pixels, quality=quality, effort=effort)
        seconds = time.thread_time() - start
        decoded = np.asarray(codec.decode(data))
        count = pixels.shape[0] * pixels.shape[1]
        error = float(np.square(pixels.astype(np.float64) - decoded).mean())
        lmbda = float(codec.network.lmbda(torch.tensor([quality])))
        rows[str(quality)] = [
            len(data),
            psnr_db(pixels, decoded),
            8 * len(data) / count + lmbda * error,
            seconds / count,
            count,
        ]
    return rows


def middle(pixels: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    """The middle of a photo, at most `side` pixels high and wide."""
    if side is None:
        return pixels
    top, left = (max(0, size - side) // 2 for size in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


Measured = list[tuple[int, dict[str, Row]]]


def summary(measured: Measured, anchor: Measured) -> dict[str, float]:
    """Figures of an effort against effort 5. Changes are in percent."""
    curve, of_anchor = curve_of(measured), curve_of(anchor)
    costs = [
        100 * (row[2] / other[quality][2] - 1)
        for (_, rows), (_, other) in zip(measured, anchor, strict=True)
        for quality, row in rows.items()
    ]
    seconds = [row[3] for _, rows in measured for row in rows.values()]
    return {
        "bd_rate": saving(of_anchor, curve, limits=None),
        "bytes": round(100 * (sum(curve["bpp"]) / sum(of_anchor["bpp"]) - 1), 2),
        "db": round(float(np.mean(curve["psnr_db"]) - np.mean(of_anchor["psnr_db"])), 3),
        "mean_cost": round(float(np.mean(costs)), 3),
        "worst_cost": round(max(costs), 3),
        "seconds": round(float(np.mean(seconds)) * PIXELS, 3),
    }


def table_of(curves: dict[str, Curve], figures: dict[str, dict[str, float]], photos: int) -> str:
    """Curves and figures as text."""
    lines = [f"{photos} photos", f"{'effort':<8}{'quality':>8}{'bpp':>8}{'dB':>8}"]
    for effort, curve in curves.items():
        for quality, bpp, db in zip(curve["setting"], curve["bpp"], curve["psnr_db"], strict=True):
            lines.append(f"{effort:<8}{quality:>8}{bpp:>8.3f}{db:>8.2f}")
    lines += ["", f"{'effort':<8}{'BD-rate':>9}{'bytes':>8}{'dB':>8}{'J, mean':>9}{'J, worst':>9}{'s at 768x512':>14}"]
    for effort, row in figures.items():
        lines.append(
            f"{effort:<8}{row['bd_rate']:>+8.2f}%{row['bytes']:>+7.1f}%{row['db']:>+8.2f}{row['mean_cost']:>+8.2f}%"
            f"{row['worst_cost']:>+8.2f}%{row['seconds']:>14.2f}"
        )
    return "\n".join(lines)


def checks_of(figures: dict[str, dict[str, float]]) -> list[Check]:
    """What the efforts must keep to."""
    checks = [
        at_most(f"effort {effort}, J of the worst file against effort 5", row["worst_cost"], 0.01, " %")
        for effort, row in figures.items()
        if int(effort) > DEFAULT_EFFORT
    ]
    if "9" in figures:
        checks.append(at_most("effort 9, BD-rate against effort 5", figures["9"]["bd_rate"], -3, " %"))
        checks.append(at_most("effort 9, processor time at 768x512", figures["9"]["seconds"], 80, " s"))
    return checks


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.effort data/val/clic --side 512 --limit 4 --efforts 5 6 9 -o out/effort.json"
    parser = common.make_parser("effort", __doc__, example)
    parser.add_argument("photos", nargs="+", help="folders or files of lossless photos")
    parser.add_argument("--efforts", type=int, nargs="+", default=sorted(EFFORTS), help="default: all")
    parser.add_argument("--qualities", type=int, nargs="+", default=[20, 45, 70], help="default: 20 45 70")
    parser.add_argument("--side", type=int, metavar="N", help="take the middle N x N pixels of each photo")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N photos of each folder")
    parser.add_argument("--threads", type=int, default=1, help="photos at a time, each on one thread (default: 1)")
    options = parser.parse_args(arguments)

    folders = [common.find_photos([folder]) for folder in options.photos]
    paths = [path for folder in folders for path in common.spread(folder, options.limit or len(folder))]
    named = {f"{path.parent.name}/{path.name} {zlib.crc32(path.read_bytes()):08x}": path for path in paths}
    codec = common.load_codec(options)
    results, qualities = Results(options.output), sorted(set(options.qualities))
    measured = {}
    for effort in sorted({DEFAULT_EFFORT, *options.efforts}):
        rounds, steps = EFFORTS[effort].rounds, EFFORTS[effort].steps
        meaning = f"{rounds} rounds" if rounds else f"{steps} steps"
        series = f"effort {effort}, {meaning}, {codec.model_id.hex()}, {qualities}, side {options.side}"
        rows = results.measure(series, named, partial(rows_of, codec, effort, qualities, options.side), options)
        measured[str(effort)] = [(int(next(iter(by_quality.values()))[4]), by_quality) for _, by_quality in rows]
    curves = {effort: curve_of(rows) for effort, rows in measured.items()}
    figures = {effort: summary(rows, measured[EFFORT_5]) for effort, rows in measured.items()}
    return common.finish(
        "effort",
        options,
        result={"model": codec.name, "photos": len(named), "curves": curves, "figures": figures},
        checks=checks_of(figures),
        table=table_of(curves, figures, len(named)),
        unseen={"rows": results.rows},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
