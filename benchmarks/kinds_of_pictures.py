"""How well the codec does photos, and what tells other pictures from them: the figures of pipeline/loss_check.py.

python -m benchmarks.kinds_of_pictures data/val
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array, open_picture
from semcomp.pipeline.loss_check import EDGE_SHARE, EQUAL_SHARE, MARGIN_DB, PHOTOS_DB, shares_of, usual_db

SIDE = 512
"""Side of the middle crop of a photo that is measured, in pixels."""


def page() -> NDArray[np.uint8]:
    """A page of anti-aliased text."""
    image = Image.new("L", (512, 384), 255)
    draw = ImageDraw.Draw(image)
    for line in range(28):
        draw.text((8, 6 + 13 * line), f"The quick brown fox jumps over the lazy dog, and again {line}", fill=0)
    return np.asarray(image)


def line_art() -> NDArray[np.uint8]:
    """Sixty lines of one bit."""
    image, rng = Image.new("1", (512, 384), 1), np.random.default_rng(0)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        ends = rng.integers(0, (512, 384), (2, 2))
        draw.line([(int(x), int(y)) for x, y in ends], fill=0)
    return np.asarray(image.convert("L"))


def others() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Pictures that are not photos."""
    yield "text", page()
    yield "line art", line_art()
    yield "checkerboard", (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)


def photos(folder: Path, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Middle crops of at most `count` photos, spread evenly."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in common.SUFFIXES)
    for path in paths[:: max(1, len(paths) // count)]:
        pixels = open_picture(path, convert=True).pixels
        top, left = (max(0, (size - SIDE) // 2) for size in pixels.shape[:2])
        yield path.name, np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def measure(codec: Any, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Shares of equal and of far neighbours, and PSNR by quality."""
    picture = from_array(pixels)
    equal, edges = shares_of(picture)
    db = {}
    y = codec.analyse(picture)
    for quality in PHOTOS_DB:
        latents = codec.latents_of_analysis(y, picture, quality=quality, precise=True)
        db[quality] = round(psnr_db(picture.pixels, codec.render(latents)), 2)
    return {"equal": round(equal, 3), "edges": round(edges, 3), "psnr_db": db}


def table_of(result: dict[str, Any]) -> str:
    """The medians of photos and the other pictures, one line each."""
    lines = [f"{result['photos']} photos; PSNR in dB at qualities {', '.join(map(str, PHOTOS_DB))}", ""]
    for name, db in (
        ("photos, median", result["median_psnr_db"]),
        *((n, e["psnr_db"]) for n, e in result["others"].items()),
    ):
        lines.append(f"{name:<16}" + "".join(f"{value:>8.1f}" for value in db.values()))
    return "\n".join(lines)


def main() -> int:
    parser = common.make_parser("kinds_of_pictures", __doc__ or "", "data/val")
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--count", type=int, default=75, help="photos that are measured (%(default)s)")
    options = parser.parse_args()
    codec = common.load_codec(options)
    of_photos = [measure(codec, pixels) for _, pixels in photos(options.folder, options.count)]
    of_others = {name: measure(codec, pixels) for name, pixels in others()}
    medians = {q: round(float(np.median([each["psnr_db"][q] for each in of_photos])), 2) for q in PHOTOS_DB}
    apart = max(abs(medians[quality] - wanted) for quality, wanted in PHOTOS_DB.items())
    lost = min(usual_db(50) - each["psnr_db"][50] for each in of_others.values())
    checks = [
        at_most("largest share of equal neighbours in a photo", max(e["equal"] for e in of_photos), EQUAL_SHARE, ""),
        at_most("largest share of far neighbours in a photo", max(e["edges"] for e in of_photos), EDGE_SHARE, ""),
        at_most("PHOTOS_DB beside the medians of these photos", apart, 1.0, " dB"),
        at_least("least loss of a picture that is not a photo, quality 50", lost, MARGIN_DB, " dB"),
    ]
    result = {"photos": len(of_photos), "median_psnr_db": medians, "others": of_others}
    return common.finish("kinds_of_pictures", options, result=result, checks=checks, table=table_of(result))


if __name__ == "__main__":
    sys.exit(main())
