"""Files of exact pixels among the golden files: every mode, and what each decodes to as a PNG of 8 or 16 bits.

They are in tests/golden/exact, apart from the others, because they have no latents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.codec.codec import Codec
from semcomp.imaging.deep import deep_png

PHOTO = Path(__file__).parents[2] / "examples" / "photo.png"
EXACT = Path(__file__).parent / "exact"


def exact_pictures() -> dict[str, tuple[NDArray[Any], dict[str, Any]]]:
    """Map names to the samples of a picture, and how it is encoded."""
    with Image.open(PHOTO) as photo:
        rgb = np.asarray(photo.convert("RGB"))[100:161, 150:227]
    rng = np.random.default_rng(0)
    deep = rgb.astype(np.uint16) * 256 + rng.integers(0, 256, rgb.shape).astype(np.uint16)
    alpha = np.tile(np.arange(77, dtype=np.uint8) * 3, (61, 1))[..., None]
    drawing = np.zeros((40, 50, 3), np.uint8)
    drawing[5:30, 7:33] = (200, 10, 60)
    return {
        "rgb": (rgb, {}),
        "grey": (rgb[..., 1], {}),
        "alpha": (np.concatenate([rgb, alpha], 2), {}),
        "near": (rgb, {"near": 2}),
        "grey_near": (rgb[..., 1], {"near": 8}),
        "latents": (rgb, {"with_latents": 30}),
        "rgb16": (deep, {}),
        "grey16": (deep[..., 1], {}),
        "grey12": (deep[..., 1] >> 4 << 4, {}),
        "drawing": (drawing, {}),
        "pixel": (rgb[:1, :1], {}),
    }


def write_exact(folder: Path, codec: Codec) -> None:
    """Write the files. Those that are there already are removed."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, (pixels, options) in exact_pictures().items():
        data = codec.encode_exact(np.ascontiguousarray(pixels), **options)
        (folder / f"{name}.semc").write_bytes(data)
        decoded = codec.decode_pixels(data)
        if decoded.dtype == np.uint16:
            (folder / f"{name}.png").write_bytes(deep_png(decoded))
        else:
            Image.fromarray(decoded).save(folder / f"{name}.png", optimize=True)
