"""Crops of lossless photos: PNG as they are, compressed photos only downsampled, and sensor noise on a share.

Decoded photos are kept in one file beside the run, because decoding takes longer than a hundred steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semcomp.lossless.colour import ColourTransform, forward
from train.photos import find_photos

Pixels = NDArray[np.uint8]

_FILTERS = (Image.Resampling.BOX, Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.HAMMING)
_KEPT_SIDE = 128
"""Downsampled photos keep at least this many pixels on their smaller side."""


@dataclass(frozen=True, kw_only=True)
class LosslessDataConfig:
    """What the lossless networks learn from."""

    exact: tuple[str, ...] = ("data/lossless",)
    """Folders of lossless photos."""
    compressed: tuple[str, ...] = ("data/photos",)
    """Folders of compressed photos, which are shown at 1/2 to 1/3 of their size."""
    exact_share: float = 0.6
    """Share of the crops that come from lossless photos."""
    noise: float = 0.2
    """Share of the crops that get sensor noise."""
    differences: float = 0.1
    """Share of the batches that are green and differences to green, and not YCoCg-R."""
    grey: float = 0.05
    """Share of the crops that lose their colour."""
    crop: int = 128
    """Side of a crop, a power of two."""
    batch: int = 8
    """Crops a step."""

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop & (self.crop - 1):
            raise ValueError(f"data.crop must be a power of two of at least 16, not {self.crop}")


class Pool:
    """Photos of one kind in one flat array, drawn in proportion to area."""

    def __init__(self, flat: Pixels, sizes: NDArray[np.int64]):
        self.flat, self.sizes = flat, sizes
        areas = sizes[:, 0] * sizes[:, 1]
        self.offsets = np.concatenate([[0], np.cumsum(3 * areas)])
        self.shares = areas / areas.sum()

    def crop(self, side: int, rng: np.random.Generator) -> Pixels:
        """(side, side, 3) at random, mirrored and turned at random."""
        number = rng.choice(len(self.shares), p=self.shares)
        height, width = self.sizes[number]
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        photo = self.flat[self.offsets[number] : self.offsets[number + 1]].reshape(height, width, 3)
        crop = photo[top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.5:
            crop = crop[::-1]
        return crop.transpose(1, 0, 2) if rng.random() < 0.5 else crop


def load_pool(folders: Sequence[str], *, smallest: int, shrink: bool, cache: Path) -> Pool:
    """Decode the photos below some folders, or read what an earlier run decoded.

    Args:
        folders: Where to search.
        smallest: Photos with a smaller side below it are left out.
        shrink: Downsample every photo by a random factor of 2 to 3.
        cache: A file whose name gets the endings .npy and .sizes.npy.

    Returns:
        The photos.

    Raises:
        ValueError: There is no photo that is large enough.
    """
    pixels_file, sizes_file = cache.with_suffix(".npy"), cache.with_suffix(".sizes.npy")
    if not sizes_file.exists():
        rng, photos = np.random.default_rng(7), []
        for path in find_photos(folders):
            with Image.open(path) as image:
                photo = _shrunk(image, rng) if shrink else image
                if photo is not None and photo.mode == "RGB" and min(photo.size) >= smallest:
                    photos.append(np.asarray(photo))
        if not photos:
            raise ValueError(f"no RGB photo below {', '.join(folders)} has {smallest} pixels on its smaller side")
        np.save(pixels_file, np.concatenate([photo.reshape(-1) for photo in photos]))
        np.save(sizes_file, np.array([photo.shape[:2] for photo in photos], np.int64))
    return Pool(np.load(pixels_file, mmap_mode="r"), np.load(sizes_file))


def _shrunk(image: Image.Image, rng: np.random.Generator) -> Image.Image | None:
    factor = min(rng.uniform(2, 3), min(image.size) / _KEPT_SIDE)
    if factor < 1.95:
        return None
    size = round(image.width / factor), round(image.height / factor)
    return image.convert("RGB").resize(size, _FILTERS[rng.integers(len(_FILTERS))])


def noisy(crop: Pixels, rng: np.random.Generator) -> Pixels:
    """Add Gaussian noise of a standard deviation of 0.3 to 3, half of the time growing with the signal."""
    values = crop.astype(np.float32)
    noise = rng.standard_normal(crop.shape, np.float32) * rng.uniform(0.3, 3)
    if rng.random() < 0.5:
        noise *= np.sqrt(values / 128 + 0.1)
    return np.clip(np.rint(values + noise), 0, 255).astype(np.uint8)


class Crops:
    """An endless row of batches."""

    def __init__(self, config: LosslessDataConfig, folder: Path):
        self.config = config
        self.exact = load_pool(config.exact, smallest=config.crop, shrink=False, cache=folder / "exact")
        self.compressed = load_pool(config.compressed, smallest=config.crop, shrink=True, cache=folder / "compressed")

    def batch(self, seed: int) -> tuple[Tensor, bool]:
        """Planes int16 (3, B, crop, crop), and whether they are green and differences to green, for a number."""
        config, rng = self.config, np.random.default_rng(seed)
        planes, differences = [], bool(rng.random() < config.differences)
        transform = ColourTransform.GREEN if differences else ColourTransform.YCOCG
        for _ in range(config.batch):
            pool = self.exact if rng.random() < config.exact_share else self.compressed
            crop = pool.crop(config.crop, rng)
            if rng.random() < config.noise:
                crop = noisy(crop, rng)
            values = forward(crop, transform)
            if rng.random() < config.grey:
                values[1:] = 0
            planes.append(values)
        return torch.from_numpy(np.stack(planes, 1).astype(np.int16)), differences
