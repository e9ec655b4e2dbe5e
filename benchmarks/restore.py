"""The restorer beside a plain decoder and a classical deblocker, and JPEG files that were made for it.

Photos are compressed by Pillow at several qualities, in colour (4:2:0) and in grey, once and twice on shifted grids.
Gains are means over the photos of PSNR and SSIM against the original. With --compact, photos are also encoded by
`encode_compact`, and its bytes are compared with Pillow's optimised files of equal PSNR.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.deblocking import deblocked
from semcomp.imaging.metrics import psnr_db, ssim
from semcomp.imaging.picture import from_array
from semcomp.jpeg.reader import read_jpeg
from semcomp.restoration.compact import encode_compact
from semcomp.restoration.restore import restore
from semcomp.restoration.restorer_file import TrainedRestorer, load_restorer

GOALS = {10: 1.5, 20: 1.4, 30: 1.3, 40: 1.2, 90: 0.0, 95: 0.0}
"""Smallest gain of colour photos in dB, by quality."""
TWICE = (75, 30)
"""Qualities of the files that are compressed twice."""
SHIFT = 3
"""Rows and columns that are cut off between the two."""
COMPACT_BPP = (0.2, 0.4, 0.7)
"""Rates at which files for the restorer are compared with Pillow's."""
SAVING, SECONDS = 20, 0.2
"""Goals: percent of bytes, and processor time of a photo of 768x512, which is 0.1 s on two threads."""
ENDINGS = {*common.SUFFIXES, ".jpg", ".jpeg"}
Pixels = NDArray[np.uint8]


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """Pillow's optimised file, 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True, subsampling="4:2:0")
    return file.getvalue()


def plain(data: bytes) -> Pixels:
    """What a plain decoder shows."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def cases(photo: Pixels, qualities: list[int]) -> Iterator[tuple[str, Pixels, bytes]]:
    """(Name, original, file) of everything that one photo is measured at."""
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    for quality in qualities:
        yield f"colour {quality}", photo, jpeg(photo, quality)
        yield f"grey {quality}", grey, jpeg(grey, quality)
    first, second = TWICE
    once = np.ascontiguousarray(plain(jpeg(photo, first))[SHIFT:, SHIFT:])
    yield f"twice {first}, {second}", np.ascontiguousarray(photo[SHIFT:, SHIFT:]), jpeg(once, second)


def measured(original: Pixels, data: bytes, restorer: TrainedRestorer) -> dict[str, Any]:
    """PSNR and SSIM of a file as it is, deblocked and restored, and the processor time of restoring."""
    shown = plain(data)
    start = time.process_time()
    restored = np.asarray(restore(data, weights=restorer))
    seconds = time.process_time() - start
    pictures = {"jpeg": shown, "deblocked": deblocked(shown, read_jpeg(data)), "restored": restored}
    row: dict[str, Any] = {"bytes": len(data), "seconds": seconds}
    for name, pixels in pictures.items():
        row[f"{name}_psnr"] = psnr_db(original, pixels)
        three = [np.repeat(p[..., None], 3, 2) if p.ndim == 2 else p for p in (original, pixels)]
        row[f"{name}_ssim"] = ssim(three[0], three[1])
    return row


def compact_rows(photo: Pixels, restorer: TrainedRestorer) -> list[dict[str, float]]:
    """Files for the restorer at several rates beside Pillow's files of equal PSNR and of equal bytes."""
    rival = [(len(data), psnr_db(photo, plain(data))) for data in (jpeg(photo, quality) for quality in range(4, 96, 3))]
    sizes, figures = np.log([size for size, _ in rival]), np.array([figure for _, figure in rival])
    rows = []
    for bpp in COMPACT_BPP:
        wanted = int(bpp * photo.shape[0] * photo.shape[1] / 8)
        if not sizes[0] <= np.log(wanted) <= sizes[-1]:
            continue
        made = encode_compact(from_array(photo), restorer, max_bytes=wanted)
        same = float(np.interp(np.log(len(made.data)), sizes, figures))
        needed = float(np.exp(np.interp(made.psnr_db, figures, sizes)))
        rows.append(
            {
                "bpp": bpp,
                "bytes": len(made.data),
                "psnr": made.psnr_db,
                "plain_psnr": made.plain_psnr_db,
                "rival_psnr": same,
                "saved": 100 * (1 - len(made.data) / needed),
            }
        )
    return rows


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means of the figures of one case."""
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}


def table_of(results: dict[str, dict[str, float]], compact: dict[str, dict[str, float]], count: int) -> str:
    """The result as text."""
    lines = [f"{count} photos", f"{'':<16}{'JPEG dB':>9}{'deblocked':>11}{'restored':>10}{'SSIM':>8}{'restored':>10}"]
    for name, row in results.items():
        gains = [row[f"{kind}_psnr"] - row["jpeg_psnr"] for kind in ("deblocked", "restored")]
        lines.append(
            f"{name:<16}{row['jpeg_psnr']:>9.2f}{gains[0]:>+11.2f}{gains[1]:>+10.2f}"
            f"{row['jpeg_ssim']:>8.4f}{row['restored_ssim'] - row['jpeg_ssim']:>+10.4f}"
        )
    if compact:
        lines += ["", f"{'bpp':<8}{'restored dB':>12}{'plain dB':>10}{'Pillow dB':>11}{'saved':>9}"]
    for name, row in compact.items():
        lines.append(
            f"{name:<8}{row['psnr']:>12.2f}{row['plain_psnr']:>10.2f}{row['rival_psnr']:>11.2f}{row['saved']:>7.1f} %"
        )
    return "\n".join(lines)


def checks_of(results: dict[str, dict[str, float]], compact: dict[str, dict[str, float]]) -> list[Check]:
    """The goals of the restorer."""
    checks = []
    for quality, goal in GOALS.items():
        if row := results.get(f"colour {quality}"):
            gain = row["restored_psnr"] - row["jpeg_psnr"]
            checks.append(at_least(f"gain in colour at quality {quality}", round(gain, 3), goal, " dB"))
    first = next(iter(results.values()))
    checks.append(at_most("processor time of restoring a photo", round(first["seconds"], 4), SECONDS, " s"))
    for name, row in compact.items():
        checks.append(at_least(f"bytes saved at {name} bpp", round(row["saved"], 2), SAVING, " %"))
        ahead = round(row["plain_psnr"] - row["rival_psnr"], 3)
        checks.append(at_least(f"plain viewers at {name} bpp, ahead of Pillow", ahead, 0, " dB"))
    return checks


def read_photos(options: argparse.Namespace) -> tuple[list[str], list[Pixels]]:
    """Names and RGB pixels, evenly spaced where there are more photos than asked for."""
    found: list[Path] = []
    for source in options.photos:
        below = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.suffix.lower() in ENDINGS)
        found += below
    if not found:
        raise SystemExit(f"no photo in {', '.join(map(str, options.photos))}")
    paths = common.spread(found, options.limit) if options.limit else found
    return [path.name for path in paths], [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.restore data/val/clic --weights runs/restore/restorer.safetensors"
    parser = common.make_parser("restore", __doc__ or "", example)
    parser.add_argument("photos", nargs="+", type=Path, help="photos, or folders of them")
    parser.add_argument("--weights", default="restorer", metavar="FILE", help="weights of the restorer")
    parser.add_argument("--qualities", default="10,20,30,40,90,95", metavar="A,B", help="qualities of Pillow's files")
    parser.add_argument("--limit", type=int, metavar="N", help="measure at most N photos, evenly spaced")
    parser.add_argument("--compact", type=int, default=0, metavar="N", help="encode N photos for the restorer too (0)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: 2)")
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(options.threads)
    restorer = load_restorer(options.weights)
    names, photos = read_photos(options)
    qualities = [int(text) for text in options.qualities.split(",")]
    rows: dict[str, list[dict[str, Any]]] = {}
    for photo in common.progress(photos, total=len(photos), label="photos", options=options):
        for name, original, data in cases(photo, qualities):
            rows.setdefault(name, []).append(measured(original, data, restorer))
    made: dict[str, list[dict[str, float]]] = {}
    chosen = common.spread(photos, options.compact) if options.compact else []
    for photo in common.progress(chosen, total=len(chosen), label="compact", options=options):
        for row in compact_rows(photo, restorer):
            made.setdefault(f"{row['bpp']:g}", []).append(row)
    results = {name: means(of_case) for name, of_case in rows.items()}
    compact = {name: means(of_rate) for name, of_rate in made.items()}
    return common.finish(
        "restore",
        options,
        result={
            "photos": len(photos),
            "restorer": restorer.restorer_id.hex(),
            "origin": restorer.origin,
            "decoded": results,
            "compact": compact,
        },
        checks=checks_of(results, compact),
        table=table_of(results, compact, len(photos)),
        unseen={"names": names, "rows": rows},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
