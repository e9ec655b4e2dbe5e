"""A photo becomes a .semc file and a photo again, beside JPEG and WebP of the same size.

    python examples/demo.py [PHOTO] [--quality 1..100] [--out FOLDER]

prints bytes, bits a pixel and PSNR, and writes into the folder `out`: the .semc file, the decoded PNG, a
picture of all of them side by side (above the whole, below a detail enlarged), and a page to explore them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import semcomp
from semcomp.eval.compare import Comparison, at_equal_bytes, comparison_page, interesting_crops
from semcomp.imaging.picture import open_picture

HERE = Path(__file__).resolve().parent
SHOWN = ("semcomp", "JPEG", "WebP")
GAP, CAPTION = 12, 52


def main(argv: list[str] | None = None) -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=HERE / "photo.png")
    parser.add_argument("-q", "--quality", type=int, default=35)
    parser.add_argument("-o", "--out", type=Path, default=HERE.parent / "out")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    codec = semcomp.load()
    picture = open_picture(options.photo)
    codec.decode(codec.encode(picture, quality=options.quality))  # the first run of a network is a slow one

    start = time.perf_counter()
    data = codec.encode(picture, quality=options.quality)
    encoded = time.perf_counter()
    decoded = codec.decode(data)
    done = time.perf_counter()

    comparison = at_equal_bytes(picture, data, decoded, quality=options.quality)
    stem = options.photo.stem
    files = {suffix: options.out / f"{stem}{suffix}" for suffix in (".semc", ".decoded.png", ".beside.png", ".html")}
    files[".semc"].write_bytes(data)
    decoded.save(files[".decoded.png"])
    side_by_side(comparison).save(files[".beside.png"])
    files[".html"].write_text(comparison_page(comparison, title=options.photo.name), encoding="utf-8")

    size = options.photo.stat().st_size
    print(f"{options.photo.name}: {picture.width}x{picture.height}, {size:,} B as a file")
    print(f"encoded in {1000 * (encoded - start):.0f} ms, decoded in {1000 * (done - encoded):.0f} ms\n")
    for entry in comparison.entries:
        print(entry.line())
    print("\nwritten:")
    for path in files.values():
        print(f"  {path}")


def side_by_side(comparison: Comparison, *, width: int = 480) -> Image.Image:
    """The original and each codec in a row: the whole picture, below it the most detailed place enlarged."""
    original = comparison.original
    columns = [("original", "", original)]
    for entry in comparison.entries:
        if entry.name in SHOWN:
            columns.append((entry.name, f"{len(entry.data):,} B   {entry.psnr_db:.2f} dB", entry.decoded))
    height = max(1, round(width * original.height / original.width))
    x, y = interesting_crops(np.asarray(original.convert("L")))[0]
    side = max(8, min(original.size) // 5)
    left = min(max(0, round(x * original.width) - side // 2), max(0, original.width - side))
    top = min(max(0, round(y * original.height) - side // 2), max(0, original.height - side))

    sheet_size = (len(columns) * (width + GAP) + GAP, CAPTION + height + GAP + width + GAP)
    sheet = Image.new("RGB", sheet_size, "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, figures, image) in enumerate(columns):
        start = GAP + index * (width + GAP)
        draw.text((start, 14), name, fill=(20, 20, 24), font=ImageFont.load_default(24))
        draw.text((start + width, 18), figures, fill=(90, 94, 104), font=ImageFont.load_default(20), anchor="ra")
        sheet.paste(image.resize((width, height), Image.Resampling.LANCZOS), (start, CAPTION))
        detail = image.crop((left, top, left + side, top + side))
        sheet.paste(detail.resize((width, width), Image.Resampling.NEAREST), (start, CAPTION + height + GAP))
    return sheet


if __name__ == "__main__":
    main()
