"""Photos in memory, and crops of them.

Every photo is decoded once into one flat uint8 buffer, which is on the GPU if there is one. Crops are cut on the same
device.
"""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from heads.datasets import SUFFIXES, read_rgb
from train.drawn import draw_crop
from train.noise import SensorNoise


def find_photos(folders: Sequence[str]) -> list[Path]:
    """Every image below the folders, sorted.

    Raises:
        ValueError: A folder holds no image.
    """
    paths = []
    for folder in folders:
        found = sorted(p for p in Path(folder).expanduser().rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise ValueError(f"no photo below {folder}; known endings: {' '.join(sorted(SUFFIXES))}")
        paths += found
    return paths


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What crops show. Shares are of all crops, but for `noise`, a share of the photographs."""

    halve: float = 0.2
    """Photos at half their resolution, where they are large enough."""
    rescale: float = 0.0
    """Photos at a random scale, uniform in `scales`, where they are large enough."""
    scales: tuple[float, ...] = (0.35, 1.0)
    noise: float = 0.0
    """Photos with sensor noise (train/noise.py)."""
    drawn: float = 0.0
    """Text, line art, windows, gradients and flat colour (train/drawn.py)."""

    def __post_init__(self) -> None:
        if self.halve + self.rescale > 1:
            raise ValueError(f"halve and rescale are shares of one whole, not {self.halve} and {self.rescale}")
        if len(self.scales) != 2 or not 0 < self.scales[0] <= self.scales[1] <= 1:
            raise ValueError(f"scales must be two factors, 0 < low <= high <= 1, not {self.scales}")


class Photos:
    """Photos from which crops are drawn at random, in proportion to area."""

    def __init__(self, paths: Sequence[Path], *, smallest: int, device: torch.device, quiet: bool = False):
        with ThreadPoolExecutor(4) as pool:
            pictures = list(tqdm(pool.map(read_rgb, paths), total=len(paths), desc="photos", disable=quiet))
        pictures = [p for p in pictures if min(p.shape[:2]) >= smallest]
        if not pictures:
            raise ValueError(f"no photo has {smallest} pixels on its smaller side")
        self.sizes = [p.shape[:2] for p in pictures]
        self.offsets = np.cumsum([0] + [p.size for p in pictures])[:-1].tolist()
        buffer = torch.empty(sum(p.size for p in pictures), dtype=torch.uint8)
        for offset, picture in zip(self.offsets, pictures, strict=True):
            buffer[offset : offset + picture.size] = torch.from_numpy(picture.reshape(-1).copy())
        self.buffer = buffer.to(device)
        areas = torch.tensor([h * w for h, w in self.sizes], dtype=torch.float64)
        self.pixels = int(areas.sum())
        self._cumulative = torch.cumsum(areas, 0)

    def __len__(self) -> int:
        return len(self.sizes)

    def crop(self, side: int, *, mix: Mix, generator: torch.Generator) -> Tensor:
        """One random crop, mirrored and turned at random: uint8 (side, side, 3)."""
        if mix.drawn and _chance(mix.drawn, generator):
            seed = int(torch.randint(1 << 62, (), generator=generator))
            return torch.from_numpy(draw_crop(side, random.Random(seed)).copy()).to(self.buffer.device)
        crop = self._photo_crop(side, mix=mix, generator=generator)
        if mix.noise and _chance(mix.noise, generator):
            crop = SensorNoise.draw(generator).apply(crop.cpu(), generator).to(crop.device)
        return crop

    def _photo_crop(self, side: int, *, mix: Mix, generator: torch.Generator) -> Tensor:
        draw = torch.rand(6, generator=generator, dtype=torch.float64)
        number = int(torch.searchsorted(self._cumulative, draw[0] * self._cumulative[-1], right=True))
        number = min(number, len(self.sizes) - 1)
        height, width = self.sizes[number]
        window = self._window(side, min(height, width), chance=float(draw[1]), mix=mix, generator=generator)
        top, left = int(draw[2] * (height - window + 1)), int(draw[3] * (width - window + 1))
        start = self.offsets[number]
        photo = self.buffer[start : start + height * width * 3].view(height, width, 3)
        crop = photo[top : top + window, left : left + window]
        if window != side:
            crop = area_resized(crop, side)
        if draw[4] < 0.5:
            crop = crop.flip(1)
        if draw[5] < 0.5:
            crop = crop.transpose(0, 1)
        return crop

    @staticmethod
    def _window(side: int, smaller: int, *, chance: float, mix: Mix, generator: torch.Generator) -> int:
        """Side of the square that a crop shows, at most the photo's `smaller` side."""
        if chance < mix.halve:
            return 2 * side if smaller >= 2 * side else side
        if chance >= mix.halve + mix.rescale or smaller <= side:
            return side
        low, high = mix.scales
        scale = low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))
        return min(round(side / scale), smaller)

    def batch(self, count: int, side: int, *, mix: Mix, generator: torch.Generator) -> Tensor:
        """`count` crops as float32 (count, 3, side, side) in [0, 1], channels-last."""
        crops = [self.crop(side, mix=mix, generator=generator) for _ in range(count)]
        return torch.stack(crops).permute(0, 3, 1, 2).float().div_(255)


def tiles(crops: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) -> (B * H/side * W/side, 3, side, side), channels-last as the crops are."""
    cut: Tensor = crops.permute(0, 2, 3, 1).unflatten(2, (-1, side)).unflatten(1, (-1, side))  # B R S C S 3
    return cut.transpose(2, 3).flatten(0, 2).contiguous().permute(0, 3, 1, 2)


def area_resized(crop: Tensor, side: int) -> Tensor:
    """uint8 (H, W, 3) -> uint8 (side, side, 3), each value the mean of the area that it covers."""
    image = Image.fromarray(crop.cpu().numpy()).resize((side, side), Image.Resampling.BOX)
    return torch.from_numpy(np.array(image)).to(crop.device)


def _chance(share: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < share)
