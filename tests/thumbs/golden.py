"""Writes tests/golden/thumbs.json: python -m tests.thumbs.golden. Only a release of new weights may do so."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semcomp.thumbs import header
from semcomp.thumbs.pixels import PixelTables
from semcomp.thumbs.tables import released
from semcomp.thumbs.thumb import decode_canvas, thumb

ROOT = Path(__file__).parents[2]
SIZES = (1, 2, 24, 48, 128, 300, 4096)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return text(stream.getvalue())


def row(code: bytes, picture: int | None = None, size: int = 0) -> dict[str, Any]:
    """One code, what it shows, and where there is one the number of the picture that it was made of."""
    pixels, ratio = decode_canvas(code)
    return {
        "code": text(code),
        "ratio": list(ratio),
        "pixels": text(pixels.tobytes()),
        "picture": picture,
        "bytes": size,
    }


def made_up_network() -> PixelTables:
    """A network 12 -> 8 -> 12 whose weights both languages count out alike."""
    state, layers = 7, []
    for inputs, outputs in ((12, 8), (8, 12)):
        values = []
        for _ in range(9 * inputs * outputs + 26 * outputs):
            state = (state * 1_664_525 + 1_013_904_223) % 2**32
            values.append((state >> 16) % 401 - 200)
        cut = 9 * inputs * outputs
        weight, bias = np.array(values[:cut], float), np.array(values[cut:], float)
        layers.append((weight.reshape(-1, outputs), bias.reshape(26, outputs)))
    return PixelTables(layers=tuple(layers))


def sizes() -> list[list[int]]:
    """Sizes of pictures: width and height of the ratio, the longer side, and the size. Half of them round halves."""
    shapes = [(wide, tall, longest) for longest in (1, 4, 20, 50, 60, 100) for wide, tall in header.RATIOS]
    halves = [(wide, tall, side) for wide, tall, side in shapes if 2 * side * tall % (2 * wide) == wide]
    others = [shape for shape in shapes if shape not in halves][:: len(shapes) // len(halves)]
    chosen = [*halves, *others]
    chosen += [(tall, wide, longest) for wide, tall, longest in chosen]
    return [[wide, tall, longest, *header.size_within((wide, tall), longest)] for wide, tall, longest in chosen]


def main() -> None:
    rng = np.random.default_rng(8)
    photo = Image.open(ROOT / "examples" / "photo.png").convert("RGB")
    left = photo.crop((0, 0, photo.width // 2, photo.height)).resize((32, 32), Image.Resampling.BILINEAR)
    whole = photo.resize((32, 32), Image.Resampling.BILINEAR)
    shape = whole.copy().convert("RGBA")
    shape.putalpha(Image.radial_gradient("L").resize((32, 32)))
    rows = [row(b"")]
    pictures = (whole, left, shape)
    for number, picture in enumerate(pictures):
        rows += [row(thumb(picture, size), number, size) for size in SIZES]
    for length in (1, 20, 300):  # bytes that no encoder wrote
        rows += [row(bytes([first]) + rng.bytes(length)) for first in (0, 0x46, 0x3E, 0x80, 0xC5)]
    tables = replace(released(), short=replace(released().short, repair=made_up_network()))
    repaired = [text(decode_canvas(thumb(whole, size), tables)[0].tobytes()) for size in SIZES]
    body = json.dumps(
        {"repaired": repaired, "pictures": [png(picture) for picture in pictures], "rows": rows, "sizes": sizes()},
        indent=0,
    )
    (ROOT / "tests" / "golden" / "thumbs.json").write_text(body + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
