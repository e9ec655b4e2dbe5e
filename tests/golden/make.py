"""Writes the golden files anew with the embedded weights: python -m tests.golden.make

Until version 1.0 a new codec replaces them, in the commit that brings its weights. From 1.0 on they are only added to:
every later version must still decode every one of them.
"""

from pathlib import Path

import numpy as np
from PIL import Image

import semcomp

HERE = Path(__file__).parent
PHOTO = HERE.parents[1] / "examples" / "photo.png"


def pictures() -> dict[str, tuple[Image.Image, int]]:
    """Name -> picture and quality. Parts of the sample photo, and of what formats hold besides RGB."""
    photo = Image.open(PHOTO).convert("RGB")
    part = photo.crop((150, 100, 150 + 131, 100 + 97))
    ramp = Image.fromarray(np.add.outer(np.arange(40) * 3, np.arange(50) * 2).astype(np.uint8))
    veil = part.copy()
    veil.putalpha(Image.fromarray(np.tile(np.arange(131, dtype=np.uint8), (97, 1))))
    return {
        "low": (part, 5),
        "middle": (part, 50),
        "high": (part, 100),
        "grey": (part.convert("L"), 35),
        "alpha": (veil, 20),
        "ramp": (ramp, 60),
        "pixel": (photo.crop((200, 200, 201, 201)), 80),
        "strip": (photo.crop((0, 240, 300, 243)), 70),
    }


def main() -> None:
    codec = semcomp.load()
    for old in (*HERE.glob("*.semc"), *HERE.glob("*.png"), *HERE.glob("*.npz")):
        old.unlink()
    for name, (picture, quality) in pictures().items():
        data = codec.encode(picture, quality=quality)
        symbols = codec.read_symbols(data)
        (HERE / f"{name}.semc").write_bytes(data)
        np.savez_compressed(HERE / f"{name}.npz", z=symbols.z, y=symbols.y)
        codec.decode(data).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
