"""Photos in memory, and crops of them.

Every photo is decoded once into one flat uint8 buffer, which is on the GPU if there is one. Crops are cut on the same
device.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from heads.datasets import SUFFIXES, read_rgb


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

    def crop(self, side: int, *, halve: float, generator: torch.Generator) -> Tensor:
        """One random crop, mirrored and turned at random: uint8 (side, side, 3).

        With probability `halve` it shows twice the area at half the resolution, where the photo is large enough.
        """
        draw = torch.rand(6, generator=generator, dtype=torch.float64)
        number = int(torch.searchsorted(self._cumulative, draw[0] * self._cumulative[-1], right=True))
        number = min(number, len(self.sizes) - 1)
        height, width = self.sizes[number]
        window = 2 * side if draw[1] < halve and min(height, width) >= 2 * side else side
        top, left = int(draw[2] * (height - window + 1)), int(draw[3] * (width - window + 1))
        start = self.offsets[number]
        photo = self.buffer[start : start + height * width * 3].view(height, width, 3)
        crop = photo[top : top + window, left : left + window]
        if window != side:
            crop = crop.reshape(side, 2, side, 2, 3).float().mean((1, 3)).round().to(torch.uint8)
        if draw[4] < 0.5:
            crop = crop.flip(1)
        if draw[5] < 0.5:
            crop = crop.transpose(0, 1)
        return crop

    def batch(self, count: int, side: int, *, halve: float, generator: torch.Generator) -> Tensor:
        """`count` crops as float32 (count, 3, side, side) in [0, 1], channels-last."""
        crops = [self.crop(side, halve=halve, generator=generator) for _ in range(count)]
        return torch.stack(crops).permute(0, 3, 1, 2).float().div_(255)
