"""Pairs that the restorer learns from: crops of clean photos, and what a file of them would hold.

Entropy coding of JPEG loses nothing, so no file is written: the crops are transformed and quantised in torch. Files of
JPEG 2000 are written and read by Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semcomp.imaging.jpeg2000 import coded_bytes
from semcomp.jpeg.standard import CHROMA, LUMA, at_quality
from semcomp.restoration.jpeg2000 import stored_of_pixels
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
    codec: str = "jpeg"
    """"jpeg" or "jpeg2000"."""

    def __post_init__(self) -> None:
        if self.crop < 32 or self.crop % 16:
            raise ValueError(f"data.crop must be a multiple of 16 of at least 32, not {self.crop}")
        if self.codec not in PAIRS:
            raise ValueError(f"data.codec must be {' or '.join(PAIRS)}, not {self.codec!r}")


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


def decompress(stored: StoredPlanes, *, whole_planes: bool = True) -> Tensor:
    """Pixels as a plain decoder shows them: (B, 3, H, W), whole numbers 0..255; of grey pictures luma, (B, 1, H, W).

    A decoder of JPEG rounds the planes before it makes RGB of them.
    """
    planes = [inverse_dct(stored.coefficients[0])]
    planes += [enlarge(inverse_dct(c).round(), stored.factors) for c in stored.coefficients[1:]]
    stacked = torch.stack(planes, 1)
    return shown(stacked.round() if whole_planes else stacked).round()


def shown(planes: Tensor) -> Tensor:
    """RGB (B, 3, H, W) of three planes, luma (B, 1, H, W) of one; clipped to 0..255, not rounded."""
    return (planes + 128 if planes.shape[1] == 1 else planes_to_rgb(planes)).clamp(0, 255)


class Pairs:
    """An endless row of batches."""

    margin = 16
    """Pixels that are drawn beside a crop, on two sides together."""

    def __init__(self, config: RestoreDataConfig, folder: Path):
        self.config = config
        side = config.crop + self.margin
        self.exact = load_pool(config.exact, smallest=side, shrink=False, cache=folder / "exact")
        self.compressed = load_pool(config.compressed, smallest=side, shrink=True, cache=folder / "compressed")

    def batch(self, seed: int) -> tuple[StoredPlanes, Tensor]:
        """What the files tell, and the pixels before them: RGB (B, 3, crop, crop) or luma (B, 1, crop, crop)."""
        config, rng = self.config, np.random.default_rng(seed)
        rgb = as_tensor([self._drawn(rng) for _ in range(config.batch)])
        grey = bool(rng.random() < config.grey)
        top, left = rng.integers(0, 17, 2)
        inner = (..., slice(top, top + config.crop), slice(left, left + config.crop))
        clean = rgb[inner]
        if rng.random() < config.twice:
            rgb = decompress(compress(rgb, self._tables(rng), _draw_factors(rng)))
        stored = compress(rgb[inner], self._tables(rng), _draw_factors(rng), grey=grey)
        return stored, rgb_to_planes(clean)[:, :1] + 128 if grey else clean

    def _drawn(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Draw a crop with its margin, uint8 (side, side, 3)."""
        pool = self.exact if rng.random() < self.config.exact_share else self.compressed
        return pool.crop(self.config.crop + self.margin, rng)

    def _tables(self, rng: np.random.Generator) -> Tensor:
        tables = [draw_tables(rng, draw_quality(rng), self.config.own_tables) for _ in range(self.config.batch)]
        return torch.from_numpy(np.stack(tables).astype(np.float32))


def _draw_factors(rng: np.random.Generator) -> tuple[int, int]:
    return SUBSAMPLINGS[int(rng.choice(len(SUBSAMPLINGS), p=[share for _, share in SUBSAMPLINGS]))][0]


class Jpeg2000Pairs(Pairs):
    """Batches of JPEG 2000, each crop a file of its own."""

    margin = 0

    def batch(self, seed: int) -> tuple[StoredPlanes, Tensor]:
        rng = np.random.default_rng(seed)
        grey = bool(rng.random() < self.config.grey)
        photos = [self._drawn(rng) for _ in range(self.config.batch)]
        files = [through_jpeg2000(photo, rng.uniform(*np.log(JPEG2000_RATES))) for photo in photos]
        decoded, clean = as_tensor([pixels for pixels, _ in files]), as_tensor(photos)
        if grey:  # a colour file whose luma is taken has nearly the errors of a grey one
            decoded, clean = (rgb_to_planes(x)[:, :1] + 128 for x in (decoded, clean))
        return stored_of_pixels(decoded, torch.tensor([bpp for _, bpp in files])), clean


JPEG2000_RATES = (0.06, 5.0)
"""Least and most bits a pixel that are drawn, uniformly in their logarithm."""


def through_jpeg2000(photo: NDArray[np.uint8], log_bpp: float) -> tuple[NDArray[np.uint8], float]:
    """What a viewer shows of a photo as irreversible JPEG 2000, and its bits a pixel without headers.

    Args:
        photo: uint8 (H, W, 3).
        log_bpp: Natural logarithm of the wanted rate.
    """
    file = io.BytesIO()
    rate = {"quality_mode": "rates", "quality_layers": [24 / float(np.exp(log_bpp))]}
    Image.fromarray(photo).save(file, "JPEG2000", irreversible=True, mct=1, no_jp2=True, **rate)
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels, 8 * coded_bytes(file.getvalue(), 0) / (photo.shape[0] * photo.shape[1])


PAIRS: dict[str, type[Pairs]] = {"jpeg": Pairs, "jpeg2000": Jpeg2000Pairs}
"""Maps a codec to the batches of its files."""


def as_tensor(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures of one size as float32 (B, 3, H, W), whole numbers 0..255."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32))
