"""JPEG files of every kind that Pillow writes, and a decoder that shares no code with the reader."""

from __future__ import annotations

import io
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.jpeg.reader import JpegFile, JpegPlane
from semcomp.jpeg.writer import write_jpeg

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {"quality": 60},
    "optimised": {"quality": 60, "optimize": True},
    "progressive": {"quality": 60, "progressive": True},
    "4:4:4": {"quality": 60, "subsampling": "4:4:4"},
    "4:2:2": {"quality": 60, "subsampling": "4:2:2"},
    "4:2:2 progressive": {"quality": 80, "subsampling": "4:2:2", "progressive": True},
    "4:4:4 progressive": {"quality": 95, "subsampling": "4:4:4", "progressive": True},
    "restart markers": {"quality": 60, "restart_marker_blocks": 3},
    "restart rows, progressive": {"quality": 60, "restart_marker_rows": 1, "progressive": True},
    "own tables": {"qtables": [list(range(1, 65)), [200] * 64]},
    "very low quality": {"quality": 3},
    "quality 100": {"quality": 100, "subsampling": "4:4:4"},
    "RGB": {"quality": 70, "keep_rgb": True},
}


def photo(height: int, width: int, *, seed: int = 0, grey: bool = False) -> Image.Image:
    """Edges, waves and noise, so that all kinds of blocks occur."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(y / rng.uniform(3, 30) + rng.uniform(0, 6)) * np.cos(x / 11) for _ in range(3)]
    pixels = np.stack(waves, -1) + 70 * ((x // 13 + y // 17) % 2)[..., None] - 35
    pixels[: height // 3] += rng.normal(0, 12, (height // 3, width, 3))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.convert("L") if grey else image


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    """What Pillow decodes: luma and chroma as they are in the file, without conversion to RGB."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "RGB" and image.info.get("adobe_transform") != 0:
            image.draft("YCbCr", image.size)
        return np.array(image)


def beyond_16_bits(*, progressive: bool) -> tuple[bytes, NDArray[np.int64]]:
    """A grey file of 64x64 whose sums of DC differences leave 16 bits, and those sums."""
    sums = np.cumsum(np.repeat([2000, -1999], [40, 24]))
    blocks = np.zeros((8, 8, 64), np.int64)
    blocks[..., 0], blocks[..., 5] = sums.reshape(8, 8), 3
    plane = JpegPlane(coefficients=blocks, steps=np.ones(64, np.int64), horizontal=1, vertical=1)  # type: ignore[arg-type]
    with patch("semcomp.jpeg.writer._check"):
        return write_jpeg(JpegFile(width=64, height=64, planes=(plane,)), progressive=progressive), sums


def without(data: bytes, marker: int) -> bytes:
    """The file without its segments of a kind."""
    at = 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        data, at = (data[:at] + data[end:], at) if data[at + 1] == marker else (data, end)
    return data
