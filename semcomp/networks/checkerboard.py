"""The checkerboard that splits the elements of y between the two passes of the mean path."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

KEPT = 1 << 20
"""Elements of the largest checkerboard that is kept: bytes."""


def even_elements(shape: torch.Size, *, device: torch.device) -> Tensor:
    """The checkerboard: bool (1, M, h, w), channels-last, true where c + i + j is even."""
    channel, row, column = (torch.arange(size, device=device) % 2 for size in shape[-3:])
    ways = torch.stack([channel == 0, channel == 1])  # 2 M: where row + column is even, and where it is odd
    return ways[row[:, None] ^ column].permute(2, 0, 1)[None]


@lru_cache(maxsize=8)
def _kept_checkerboard(shape: torch.Size, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # training may be the next to use it
        return even_elements(shape, device=device)


def checkerboard(shape: torch.Size, *, device: torch.device) -> Tensor:
    """`even_elements`, not to be written to: those of the last few small grids are kept."""
    return _kept_checkerboard(shape[-3:], device) if shape[-3:].numel() <= KEPT else even_elements(shape, device=device)
