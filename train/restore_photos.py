"""Pairs that the restorer learns from: crops of clean photos, and what a JPEG file of them would hold.

Entropy coding loses nothing, so no file is written: the crops are transformed and quantised in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.jpeg.standard import CHROMA, LUMA, at_quality
from semcomp.restoration.network import StoredPlanes
from semcomp.restoration.transform import enlarge, forward_dct, inverse_dct, planes_to_rgb, rgb_to_planes, shrink
from train.lossless_photos import load_pool

SUBSAMPLINGS = (((2, 2), 0.58), ((1, 1), 0.27), ((1, 2), 0.11), ((2, 1), 0.04))
"""(Vertical, horizontal) factors of chroma and how often each is drawn."""


@dataclass(frozen=True, kw_only=True)
class RestoreDataConfig:
    """What the restorer learns from."""

    exact: tuple[str, ...] = ("data/lossless",)
    """Folders of lossless photos."""
    compressed: tuple[str, ...] = ("data/photos",)
    """Folders of compressed photos, which are shown at 1/2 to 1/3 of their size: their own compression is gone then."""
    exact_share: float = 0.5
    """Share of the crops that come from lossless photos."""
    twice: float = 0.15
    """Share of the batches that are compressed twice, on grids that need not match."""
    grey: float = 0.08
    """Share of the batches without colour."""
    own_tables: float = 0.3
    """Share of the crops whose tables are other ones than the JPEG standard's."""
    crop: int = 112
    """Side of a crop, a multiple of 16."""
    batch: int = 8
    """Crops a step."""

    def __post_init__(self) -> None:
        if self.crop < 32 or self.crop % 16:
            raise ValueError(f"data.crop must be a multiple of 16 of at least 32, not {self.crop}")


def draw_quality(rng: np.random.Generator) -> float:
    """Qualities that files have: half of them low, where there is most to restore, few above 85."""
    low, high = ((6, 45), (45, 85), (85, 99))[int(rng.choice(3, p=(0.62, 0.28, 0.10)))]
    return float(rng.uniform(low, high))


def draw_tables(rng: np.random.Generator, quality: float, own: float) -> NDArray[np.int64]:
    """Tables of three planes, (3, 64), in rows: the standard's at a quality, or ones that grow with the frequency."""
    if rng.random() >= own:
        chroma = LUMA if rng.random() < 0.05 else CHROMA
        return np.stack([at_quality(LUMA, quality), *[at_quality(chroma, quality)] * 2])
    place = np.arange(8)
    distance = np.hypot(place[:, None], place).reshape(64) / np.hypot(7, 7)
    bases = []
    for largest in (rng.uniform(16, 110), rng.uniform(16, 110)):
        first = rng.uniform(8, 20)
        base = first + max(largest - first, 0) * distance ** rng.uniform(0.7, 2)
        bases.append(np.rint(base * np.exp(rng.normal(0, 0.1, 64))).astype(np.int64).clip(1))
    luma, chroma = (at_quality(base, quality) for base in bases)
    return np.stack([luma, chroma, chroma])


def compress(rgb: Tensor, tables: Tensor, factors: tuple[int, int], *, grey: bool = False) -> StoredPlanes:
    """Quantise pictures as an encoder of JPEG does.

    Args:
        rgb: (B, 3, H, W), whole numbers 0..255. H and W are multiples of 8 times the factors.
        tables: (B, 3, 64) steps.
        factors: (Vertical, horizontal) subsampling of chroma.
        grey: Keep luma alone.
    """
    planes = rgb_to_planes(rgb).round()
    coefficients = []
    for number in range(1 if grey else 3):
        plane = planes[:, number] if number == 0 else shrink(planes[:, number], factors).round()
        steps = tables[:, number, None, None]
        coefficients.append((forward_dct(plane) / steps).round() * steps)
    return StoredPlanes(
        coefficients=tuple(coefficients), steps=tables[:, : 1 if grey else 3], factors=(1, 1) if grey else factors
    )


def decompress(stored: StoredPlanes) -> Tensor:
    """Pixels as a plain decoder shows them: (B, 3, H, W), whole numbers 0..255; of grey pictures luma, (B, 1, H, W)."""
    planes = [inverse_dct(stored.coefficients[0])]
    planes += [enlarge(inverse_dct(c).round(), stored.factors) for c in stored.coefficients[1:]]
    stacked = torch.stack(planes, 1).round()
    return shown(stacked).round()


def shown(planes: Tensor) -> Tensor:
    """RGB (B, 3, H, W) of three planes, luma (B, 1, H, W) of one; clipped to 0..255, not rounded."""
    return (planes + 128 if planes.shape[1] == 1 else planes_to_rgb(planes)).clamp(0, 255)


class Pairs:
    """An endless row of batches."""

    def __init__(self, config: RestoreDataConfig, folder: Path):
        self.config = config
        side = config.crop + 16
        self.exact = load_pool(config.exact, smallest=side, shrink=False, cache=folder / "exact")
        self.compressed = load_pool(config.compressed, smallest=side, shrink=True, cache=folder / "compressed")

    def batch(self, seed: int) -> tuple[StoredPlanes, Tensor]:
        """What the files tell, and the pixels before them: RGB (B, 3, crop, crop) or luma (B, 1, crop, crop)."""
        config, rng = self.config, np.random.default_rng(seed)
        crops = []
        for _ in range(config.batch):
            pool = self.exact if rng.random() < config.exact_share else self.compressed
            crops.append(pool.crop(config.crop + 16, rng).transpose(2, 0, 1))
        rgb = torch.from_numpy(np.stack(crops).astype(np.float32))
        grey = bool(rng.random() < config.grey)
        top, left = rng.integers(0, 17, 2)
        inner = (..., slice(top, top + config.crop), slice(left, left + config.crop))
        clean = rgb[inner]
        if rng.random() < config.twice:
            rgb = decompress(compress(rgb, self._tables(rng), _draw_factors(rng)))
        stored = compress(rgb[inner], self._tables(rng), _draw_factors(rng), grey=grey)
        return stored, rgb_to_planes(clean)[:, :1] + 128 if grey else clean

    def _tables(self, rng: np.random.Generator) -> Tensor:
        tables = [draw_tables(rng, draw_quality(rng), self.config.own_tables) for _ in range(self.config.batch)]
        return torch.from_numpy(np.stack(tables).astype(np.float32))


def _draw_factors(rng: np.random.Generator) -> tuple[int, int]:
    return SUBSAMPLINGS[int(rng.choice(len(SUBSAMPLINGS), p=[share for _, share in SUBSAMPLINGS]))][0]
