"""A picture whose latents are fitted, cut into tiles so that memory is bounded by a tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.pipeline.tiles import Region, Tile, tile_side, tiles
from semcomp.types import STRIDE_Y

HALO = 8
"""Positions around a tile that are computed with it and thrown away. Features of z reach 6, the synthesis 4."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The pixels that a region of positions should decode to."""

    pixels: Tensor
    """float32 (1, 3, 16 rows, 16 columns) in [0, 1]: the positions inside the picture, channels-last."""
    weight: Tensor
    """(1, 1, 16 rows, 16 columns): 1 for pixels that count."""

    def error(self, x_hat: Tensor) -> Tensor:
        """Squared error of the pixels that count, on the 0-255 scale and averaged over the colours."""
        squares: Tensor = ((x_hat - self.pixels) * self.weight).square()
        return squares.sum() * (255**2 / 3)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A picture, and where the search begins. Planes of positions are (1, C, 4a, 4b)."""

    pixels: Tensor
    """uint8 (H, W, 3)."""
    quality: int
    scaled: Tensor
    """y after the gain."""
    z_hat: Tensor
    """(1, Z, a, b)."""
    usable: Tensor
    """bool: elements that may be coded."""
    free: Tensor | None = None
    """bool (1, 1, 4a, 4b): positions that may change, and whose pixels count. None for all."""

    def tiles(self, rows: int, columns: int) -> Iterator[Tile]:
        """Cut a plane of positions into tiles with their surroundings. One is enough for up to 2,048 pixels a side."""
        height, width = self.pixels.shape[:2]
        side = -(-tile_side(height, width) // STRIDE_Y)
        side += -side % 4  # passes alternate with a period of 2 or 4
        return tiles(rows, columns, tile=side, halo=HALO)

    def target(self, region: Region, device: torch.device) -> Target:
        """What a region of positions should decode to. It ends with the picture."""
        rows, columns = region
        height, width = self.pixels.shape[:2]
        bottom, right = (
            STRIDE_Y * min(part.stop, -(-length // STRIDE_Y)) for part, length in ((rows, height), (columns, width))
        )
        top, left = STRIDE_Y * rows.start, STRIDE_Y * columns.start
        crop = self.pixels[top:bottom, left:right].to(device).permute(2, 0, 1)[None].float() / 255
        weight = torch.ones_like(crop[:, :1])
        missing = (0, right - left - crop.shape[3], 0, bottom - top - crop.shape[2])
        if self.free is not None:
            shown = self.free[..., rows, columns].float()
            shown = shown.repeat_interleave(STRIDE_Y, 2).repeat_interleave(STRIDE_Y, 3)
            weight = weight * shown[..., : crop.shape[2], : crop.shape[3]]
        return Target(
            pixels=F.pad(crop, missing).contiguous(memory_format=torch.channels_last), weight=F.pad(weight, missing)
        )
