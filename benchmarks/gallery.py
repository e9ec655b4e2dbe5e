"""Ten photos as the pages show them: at three rates, generated, kept in part, as a label map, exactly, and restored.

Each photo of PHOTOS becomes sheets in docs/gallery: a close-up at three rates, the whole photo in other ways and, where
weights for it are inside the package, a close-up of a JPEG file and of the same file restored. The figures go into
out/gallery.json, and from there (python -m tools.results) into docs/gallery.md. What has no weights is left out.

The photos are gb82's, which their author dedicated to the public domain (CC0 1.0). No training saw them.
"""

import argparse
import bisect
import io
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.weights_ids import is_released, weights_ids
from semcomp.errors import SemcompWarning
from semcomp.generative.generator_file import load_generator
from semcomp.generative.priority import Priority
from semcomp.generative.request import Request
from semcomp.imaging.metrics import psnr_db
from semcomp.semantics.head import Segmentation, load_head

FOLDER = common.ROOT / "docs" / "gallery"
RATES = (0.1, 0.25, 0.6)
"""Bits a pixel of the faithful files."""
SIDE = 288
"""Pixels a side of a panel."""
GAP = 4
SHEET_LIMIT, RESTORED_LIMIT, FOLDER_LIMIT = 60_000, 50_000, 1_500_000
"""Bytes of a sheet, of one that shows a JPEG file restored, and of all."""
GENERATED_QUALITY, KEPT_QUALITY, JPEG_QUALITY = 8, 50, 15
VOID = 255
LEAST_AREA = 0.01
"""Share of the photo below which a class is not named."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo, and where to look at it."""

    name: str
    title: str
    near: tuple[int, int]
    """Left and top of the close-up."""
    box: tuple[int, int, int, int]
    """What is kept: x, y, width, height."""
    head: str = "objects"
    """The head that draws the label map."""


PHOTOS = (
    Photo(name="dog", title="A dog", near=(140, 130), box=(130, 60, 430, 516)),
    Photo(name="flowers", title="Asters", near=(150, 120), box=(110, 60, 370, 430)),
    Photo(name="girl", title="A girl with a phone", near=(260, 70), box=(60, 30, 516, 546)),
    Photo(name="city", title="A city at night", near=(180, 150), box=(60, 60, 400, 380), head="street"),
    Photo(name="guitar", title="A guitar", near=(120, 150), box=(150, 120, 290, 456)),
    Photo(name="baby", title="A baby and its grandfather", near=(80, 270), box=(60, 240, 330, 336)),
    Photo(name="nyc", title="New York", near=(150, 200), box=(150, 210, 300, 150), head="street"),
    Photo(name="path", title="A path through reeds", near=(150, 280), box=(140, 370, 290, 206)),
    Photo(name="waves", title="Stones in the surf", near=(144, 144), box=(140, 110, 320, 270)),
    Photo(name="sumac", title="Sumac", near=(144, 180), box=(220, 170, 170, 270)),
)


def whole(pixels: Pixels) -> Pixels:
    """A photo as a panel."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def write_sheet(path: Path, panels: Sequence[Pixels], most: int = SHEET_LIMIT) -> None:
    """Panels beside each other as a WebP file of at most `most` bytes."""
    sheet = np.full((SIDE, len(panels) * (SIDE + GAP) - GAP, 3), 255, np.uint8)
    for number, panel in enumerate(panels):
        left = number * (SIDE + GAP)
        sheet[:, left : left + SIDE] = panel
    for quality in range(92, 20, -4):
        file = io.BytesIO()
        Image.fromarray(sheet).save(file, "WEBP", quality=quality, method=6)
        if len(file.getvalue()) <= most:
            break
    path.write_bytes(file.getvalue())


def jpeg_of(pixels: Pixels, quality: int) -> bytes:
    """Pillow's optimised file, 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def jpeg_bytes(pixels: Pixels, wanted_db: float) -> int | None:
    """Bytes of the smallest JPEG file with this PSNR, None where there is none."""

    def reached(quality: int) -> float:
        with Image.open(io.BytesIO(jpeg_of(pixels, quality))) as image:
            return psnr_db(pixels, np.asarray(image))

    quality = bisect.bisect_left(range(1, 101), wanted_db, key=reached) + 1
    return None if quality > 100 else len(jpeg_of(pixels, quality))


def label_panel(pixels: Pixels, found: Segmentation) -> Pixels:
    """The label map over the photo; what is not known is grey."""
    palette = np.asarray([*found.palette, *[(0, 0, 0)] * (256 - len(found.palette))], np.float64)
    grey = pixels.mean(axis=2, keepdims=True).repeat(3, 2)
    known = (found.label_map != VOID)[..., None]
    mixed = np.where(known, 0.35 * grey + 0.65 * palette[found.label_map], 0.6 * grey)
    return whole(mixed.round().astype(np.uint8))


def label_map(head: Any, latents: Any) -> tuple[Segmentation, bool]:
    """The map of a head, and True; where its limits let it say nothing, what it would say without them, and False."""
    found = head(latents)
    assert isinstance(found, Segmentation)
    if found.labels(least=LEAST_AREA).names:
        return found, True
    guess = common.without_limits(head)(latents)
    assert isinstance(guess, Segmentation)
    return guess, False


def faithful(codec: Any, photo: Photo, pixels: Pixels, folder: Path) -> list[dict[str, Any]]:
    """The close-up at every rate, with its figures."""
    x, y = photo.near
    panels, rows = [pixels[y : y + SIDE, x : x + SIDE]], []
    for bpp in RATES:
        made = codec.encode_to(pixels, bpp=bpp)
        decoded = np.asarray(codec.decode(made.data))
        panels.append(decoded[y : y + SIDE, x : x + SIDE])
        db = psnr_db(pixels, decoded)
        row = {"bpp": round(made.bpp, 3), "bytes": len(made.data), "psnr_db": round(db, 2)}
        rows.append({**row, "jpeg_bytes": jpeg_bytes(pixels, db)})
    write_sheet(folder / f"{photo.name}-near.webp", panels)
    return rows


def other_ways(codec: Any, photo: Photo, pixels: Pixels, folder: Path) -> dict[str, Any]:
    """The whole photo: as it is, generated, kept in part, and its label map."""
    generator, head = load_generator("photos"), load_head(photo.head)
    part = Priority(boxes=(photo.box,))
    made = codec.encode(pixels, quality=GENERATED_QUALITY, generative=Request(generator=generator))
    kept = codec.encode(pixels, quality=KEPT_QUALITY, priority=part)
    found, known = label_map(head, codec.latents(codec.encode(pixels, quality=KEPT_QUALITY)))
    labels = found.labels(least=LEAST_AREA)
    pictures = [np.asarray(codec.decode(data)) for data in (made, kept)]
    panels = [whole(pixels), *map(whole, pictures), label_panel(pixels, found)]
    write_sheet(folder / f"{photo.name}-ways.webp", panels)
    return {
        "generated": {"bytes": len(made)},
        "kept": {"bytes": len(kept), "box": list(photo.box)},
        "labels": {"head": photo.head, "known": known, "areas": dict(zip(labels.names, labels.scores, strict=True))},
    }


def restored(photo: Photo, pixels: Pixels, folder: Path) -> dict[str, Any]:
    """A JPEG file as a plain decoder shows it, and restored."""
    from semcomp.restoration.restore import restore

    data = jpeg_of(pixels, JPEG_QUALITY)
    with Image.open(io.BytesIO(data)) as image:
        shown = [np.asarray(image), np.asarray(restore(data))]
    x, y = photo.near
    panels = [picture[y : y + SIDE, x : x + SIDE] for picture in (pixels, *shown)]
    write_sheet(folder / f"{photo.name}-jpeg.webp", panels, RESTORED_LIMIT)
    values = [round(psnr_db(pixels, picture), 2) for picture in shown]
    return {"restored": {"bytes": len(data), "jpeg_db": values[0], "psnr_db": values[1]}}


def measure(codec: Any, photo: Photo, path: Path, folder: Path) -> dict[str, Any]:
    """Everything about one photo."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    row: dict[str, Any] = {"name": photo.name, "title": photo.title, "png_bytes": path.stat().st_size}
    row["rates"] = faithful(codec, photo, pixels, folder)
    row |= other_ways(codec, photo, pixels, folder)
    if is_released("lossless"):
        row["exact_bytes"] = len(codec.encode(pixels, lossless=True))
    if is_released("restorer"):
        row |= restored(photo, pixels, folder)
    return row


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = []
    for row in rows:
        rates = ", ".join(f"{rate['bytes']:,} B {rate['psnr_db']:.2f} dB" for rate in row["rates"])
        lines.append(f"{row['name']:<10}{rates}; generated {row['generated']['bytes']:,} B")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Make the gallery; the exit status."""
    parser = common.make_parser("gallery", __doc__ or "", "python -m benchmarks.gallery -o out/gallery.json")
    parser.add_argument("photos", nargs="?", type=Path, default=Path("data/val/gb82"), help="gb82 (data/val/gb82)")
    parser.add_argument("--only", nargs="+", choices=[photo.name for photo in PHOTOS], help="some photos (all)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    codec = common.load_codec(options)
    chosen = [photo for photo in PHOTOS if not options.only or photo.name in options.only]
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SemcompWarning)
        for photo in common.progress(chosen, total=len(chosen), label="gallery", options=options):
            rows.append(measure(codec, photo, options.photos / f"{photo.name}-lossless.png", options.folder))
    sizes = [path.stat().st_size for path in options.folder.glob("*.webp")]
    names = ["generator_photos", *sorted({photo.head for photo in chosen})]
    names += [name for name in ("lossless", "restorer") if is_released(name)]
    return common.finish(
        "gallery",
        options,
        result={"data": "photos of gb82 (CC0 1.0)", "rates": list(RATES), "pictures": rows},
        checks=[
            at_most("bytes of a sheet", max(sizes), SHEET_LIMIT, ""),
            at_most("bytes of all sheets", sum(sizes), FOLDER_LIMIT, ""),
        ],
        table=table_of(rows),
        weights=weights_ids([options.model, *names]),
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
