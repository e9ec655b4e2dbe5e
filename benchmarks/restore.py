"""The restorer beside a plain decoder and a classical deblocker, JPEG files that were made for it, and JPEG 2000.

Photos are compressed by Pillow at several qualities, in colour (4:2:0) and in grey, once and twice on shifted grids.
With --jpeg2000, files of JPEG 2000 at several rates are restored too.
Gains are means over the photos of PSNR and SSIM against the original. With --compact, photos are also encoded by
`encode_compact`, and compared with optimised files by Pillow, mozjpeg and jpegli, as a plain viewer shows them and
restored.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.deblocking import deblocked
from benchmarks.weights_ids import weights_ids
from semcomp.eval.classical import JPEG, JPEG2000
from semcomp.eval.jpeg_encoders import Jpegli, MozJpeg
from semcomp.eval.perceptual import load_lpips
from semcomp.imaging.metrics import psnr_db, ssim
from semcomp.imaging.picture import from_array
from semcomp.jpeg.reader import read_jpeg
from semcomp.restoration.compact import encode_compact
from semcomp.restoration.compact_encoder import CompactFile
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
JPEG2000_BPP = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Rates of the files of JPEG 2000."""
SAVING, SECONDS = 20, 0.2
"""Goals: percent of bytes, and processor time of a photo of 768x512, which is 0.1 s on two threads."""
ENDINGS = {*common.SUFFIXES, ".jpg", ".jpeg"}
Pixels = NDArray[np.uint8]
Distance = Callable[[Pixels, Pixels], float]


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """Pillow's optimised file, 4:2:0; of grey pixels a grey one."""
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


def cases_of_jpeg2000(photo: Pixels) -> Iterator[tuple[str, Pixels, bytes]]:
    """(Name, original, file) at each of JPEG2000_BPP."""
    for bpp in JPEG2000_BPP:
        file = io.BytesIO()
        rate = {"quality_mode": "rates", "quality_layers": [24 / bpp]}
        Image.fromarray(photo).save(file, "JPEG2000", **dict(JPEG2000.options), **rate)
        yield f"JPEG 2000, {bpp:g} bpp", photo, file.getvalue()


def measured(original: Pixels, data: bytes, restorer: TrainedRestorer, lpips: Distance | None) -> dict[str, Any]:
    """PSNR, SSIM and LPIPS of a file as it is, deblocked and restored, and the processor time of restoring."""
    shown = plain(data)
    start = time.process_time()
    restored = np.asarray(restore(data, weights=restorer))
    seconds = time.process_time() - start
    pictures = {"jpeg": shown, "restored": restored}
    if restorer.codec == "jpeg":
        pictures["deblocked"] = deblocked(shown, read_jpeg(data))
    row: dict[str, Any] = {"bytes": len(data), "seconds": seconds}
    for name, pixels in pictures.items():
        row[f"{name}_psnr"] = psnr_db(original, pixels)
        three = [np.repeat(p[..., None], 3, 2) if p.ndim == 2 else p for p in (original, pixels)]
        row[f"{name}_ssim"] = ssim(three[0], three[1])
        if lpips:
            row[f"{name}_lpips"] = lpips(three[0], three[1])
    return row


def compact_rows(photo: Pixels, restorer: TrainedRestorer) -> list[dict[str, float]]:
    """Files for the restorer at several rates beside other encoders' files of equal PSNR and of equal bytes."""
    rivals = [Rival(encoder, photo, restorer) for encoder in (JPEG, MozJpeg(), Jpegli()) if encoder.available]
    rows = []
    for bpp in COMPACT_BPP:
        wanted = int(bpp * photo.shape[0] * photo.shape[1] / 8)
        if not all(rival.sizes[0] <= np.log(wanted) <= rival.sizes[-1] for rival in rivals):
            continue
        made = encode_compact(from_array(photo), restorer, max_bytes=wanted)
        row = {"bpp": bpp, "bytes": len(made.data), "psnr": made.psnr_db, "plain_psnr": made.plain_psnr_db}
        for rival in rivals:
            row |= rival.beside(made)
        rows.append(row)
    return rows


class Rival:
    """One encoder's files of a photo, at every third quality: their sizes and what plain viewers and `restore` show."""

    def __init__(self, encoder: Any, photo: Pixels, restorer: TrainedRestorer) -> None:
        self.name = encoder.name
        files = [encoder.encode(photo, quality) for quality in range(4, 96, 3)]
        self.sizes = np.log([len(data) for data in files])
        self.plain = np.array([psnr_db(photo, plain(data)) for data in files])
        self.restored = np.array([psnr_db(photo, np.asarray(restore(data, weights=restorer))) for data in files])

    def beside(self, made: CompactFile) -> dict[str, float]:
        """PSNR of the encoder's file of equal bytes, plain and restored, and the bytes that `made` saves.

        "saved" compares with the file whose PSNR in a plain viewer is what the restorer shows of `made`.
        """
        size = np.log(len(made.data))
        needed = float(np.exp(np.interp(made.psnr_db, self.plain, self.sizes)))
        return {
            f"{self.name}_psnr": float(np.interp(size, self.sizes, self.plain)),
            f"{self.name}_restored_psnr": float(np.interp(size, self.sizes, self.restored)),
            f"{self.name}_saved": 100 * (1 - len(made.data) / needed),
        }


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means of the figures of one case."""
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}


def table_of(results: dict[str, dict[str, float]], compact: dict[str, dict[str, float]], count: int) -> str:
    """The result as text."""
    lines = [f"{count} photos", f"{'':<20}{'plain dB':>9}{'deblocked':>11}{'restored':>10}{'SSIM':>8}{'restored':>10}"]
    for name, row in results.items():
        gains = [row.get(f"{kind}_psnr", np.nan) - row["jpeg_psnr"] for kind in ("deblocked", "restored")]
        lines.append(
            f"{name:<20}{row['jpeg_psnr']:>9.2f}{gains[0]:>+11.2f}{gains[1]:>+10.2f}"
            f"{row['jpeg_ssim']:>8.4f}{row['restored_ssim'] - row['jpeg_ssim']:>+10.4f}"
            + (f"   LPIPS {row['jpeg_lpips']:.4f}, restored {row['restored_lpips']:.4f}" if "jpeg_lpips" in row else "")
        )
    for rate, row in compact.items():
        title = f"{rate} bpp, {row['photos']:.0f}"
        lines += ["", f"{title:<16}{'plain dB':>10}{'restored dB':>13}{'we save':>10}"]
        lines.append(f"{'made for it':<16}{row['plain_psnr']:>10.2f}{row['psnr']:>13.2f}")
        for name in (key.removesuffix("_saved") for key in row if key.endswith("_saved")):
            figures = f"{row[f'{name}_psnr']:>10.2f}{row[f'{name}_restored_psnr']:>13.2f}{row[f'{name}_saved']:>8.1f} %"
            lines.append(f"{name:<16}{figures}")
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
        checks.append(at_least(f"bytes saved at {name} bpp", round(row["jpeg_saved"], 2), SAVING, " %"))
        ahead = round(row["plain_psnr"] - row["jpeg_psnr"], 3)
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
    images = [Image.open(path).convert("RGB") for path in paths]
    return [path.name for path in paths], [np.asarray(i.reduce(2) if options.halve else i) for i in images]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    example = "python -m benchmarks.restore data/val/clic --jpeg2000"
    parser = common.make_parser("restore", __doc__ or "", example)
    parser.add_argument("photos", nargs="+", type=Path, help="photos, or folders of them")
    parser.add_argument("--weights", metavar="FILE", help="weights of the restorer (what comes with this version)")
    parser.add_argument("--jpeg2000", action="store_true", help="files of JPEG 2000 too")
    parser.add_argument("--weights-jpeg2000", metavar="FILE", help="weights for them (what comes with this version)")
    parser.add_argument("--qualities", default="10,20,30,40,90,95", metavar="A,B", help="qualities of Pillow's files")
    parser.add_argument("--limit", type=int, metavar="N", help="measure at most N photos, evenly spaced")
    parser.add_argument("--halve", action="store_true", help="halve photos first, if they are JPEG files themselves")
    parser.add_argument("--compact", type=int, default=0, metavar="N", help="encode N photos for the restorer too (0)")
    parser.add_argument("--lpips", action="store_true", help="LPIPS too: AlexNet's weights must be on this machine")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: 2)")
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(options.threads)
    restorer = load_restorer(options.weights)
    restorer_2000 = load_restorer(options.weights_jpeg2000, codec="jpeg2000") if options.jpeg2000 else None
    lpips = load_lpips() if options.lpips else None
    names, photos = read_photos(options)
    qualities = [int(text) for text in options.qualities.split(",")]
    rows: dict[str, list[dict[str, Any]]] = {}
    for photo in common.progress(photos, total=len(photos), label="photos", options=options):
        for name, original, data in cases(photo, qualities):
            rows.setdefault(name, []).append(measured(original, data, restorer, lpips))
        if restorer_2000 is None:
            continue
        for name, original, data in cases_of_jpeg2000(photo):
            rows.setdefault(name, []).append(measured(original, data, restorer_2000, lpips))
    made: dict[str, list[dict[str, float]]] = {}
    chosen = common.spread(photos, options.compact) if options.compact else []
    for photo in common.progress(chosen, total=len(chosen), label="compact", options=options):
        for row in compact_rows(photo, restorer):
            made.setdefault(f"{row['bpp']:g}", []).append(row)
    results = {name: means(of_case) for name, of_case in rows.items()}
    by_rate = sorted(made.items(), key=lambda item: float(item[0]))
    compact = {name: {"photos": len(of_rate), **means(of_rate)} for name, of_rate in by_rate}
    used = [options.weights or "restorer"]
    used += [options.weights_jpeg2000 or "restorer_jpeg2000"] if options.jpeg2000 else []
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
        weights=weights_ids(used),
        unseen={"names": names, "rows": rows},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
