"""Prepares the 32x32 thumbnails that train.thumbs learns from: python -m train.thumbs_data -o out/thumbs

Four arrays are written: train.npy and dev.npy from training photos, held.npy from validation photos, alpha.npy from
label maps. dev.npy chooses between variants; held.npy is only measured.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train.photos import find_photos

SIDE = 32
"""Side of a thumbnail in pixels."""
PHOTO_CROPS, SMALL_CROPS = 12, 4
"""Thumbnails made of each photo, and of each small training image."""
DEV_COUNT = 100
"""Images of each source that are set aside for dev.npy."""
HELD_COUNT = 200
"""Thumbnails in held.npy."""


def thumbnail(image: Image.Image, box: tuple[float, float, float, float] | None = None) -> NDArray[Any]:
    """Scale an RGB image, or a box of it, to uint8 (32, 32, 3) with Pillow's area-aware bilinear filter."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


def centre_box(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Box of the largest centred square of an image of this (width, height)."""
    side = min(size)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    return left, top, left + side, top + side


def random_box(size: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Random box with 30 to 100 % of the smaller side, at least 64 pixels, and an aspect ratio of 3:4 to 4:3."""
    least = min(size)
    side = rng.uniform(min(max(0.3, 64 / least), 1.0), 1.0) * least
    ratio = np.exp(rng.uniform(-0.29, 0.29))
    width, height = min(side * np.sqrt(ratio), size[0]), min(side / np.sqrt(ratio), size[1])
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, left + width, top + height


def crops(paths: Sequence[Path], count: int, *, seed: int) -> Iterator[NDArray[Any]]:
    """`count` thumbnails of each image: the centred square, the whole image squeezed, then random boxes."""
    rng = np.random.default_rng(seed)
    for path in paths:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        boxes = [centre_box(image.size), None] + [random_box(image.size, rng) for _ in range(count - 2)]
        yield from (thumbnail(image, box) for box in boxes[:count])


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """`count` of the paths at equal distances."""
    return [paths[int(k * len(paths) / count)] for k in range(count)]


def silhouettes(folder: Path) -> Iterator[NDArray[Any]]:
    """Alpha planes uint8 (32, 32): the objects of label maps that cover 5 to 80 % of their image."""
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as opened:
            mask = np.asarray(opened) > 0
        if 0.05 < mask.mean() < 0.8:
            shape = Image.fromarray(np.uint8(mask) * 255)
            yield np.asarray(shape.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with photos/, imagenette/ and val/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the arrays")
    options = parser.parse_args(arguments)
    photos, small = find_photos([options.data / "photos"]), find_photos([options.data / "imagenette" / "train"])
    dev = spread(photos, DEV_COUNT) + spread(small, DEV_COUNT)
    aside = set(dev)
    validation = find_photos([options.data / "val"])
    small_validation = find_photos([options.data / "imagenette" / "val"])
    held = validation + spread(small_validation, HELD_COUNT - len(validation))
    train = [*crops([p for p in photos if p not in aside], PHOTO_CROPS, seed=1)]
    train += crops([p for p in small if p not in aside], SMALL_CROPS, seed=2)
    options.output.mkdir(parents=True, exist_ok=True)
    sets = {"train": train, "dev": [*crops(dev, 1, seed=3)], "held": [*crops(held, 1, seed=4)]}
    sets["alpha"] = [*silhouettes(options.data / "objects")]
    for name, thumbnails in sets.items():
        np.save(options.output / f"{name}.npy", np.stack(thumbnails))
        print(f"{name}: {len(thumbnails)} thumbnails")


if __name__ == "__main__":
    main()
