"""The checkerboard that splits the elements of y between the two passes of the mean path."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

CACHED_ELEMENTS = 1 << 20
"""Checkerboards of at most this many elements (one byte each) are cached."""


def even_elements(shape: torch.Size, *, device: torch.device) -> Tensor:
    """The checkerboard, bool (1, M, h, w) and channels-last. Element (c, i, j) is true where c + i + j is even."""
    channel, row, column = (torch.arange(size, device=device) % 2 for size in shape[-3:])
    ways = torch.stack([channel == 0, channel == 1])  # 2 M: for even row + column, and for odd
    return ways[row[:, None] ^ column].permute(2, 0, 1)[None]


@lru_cache(maxsize=8)
def _cached_checkerboard(shape: torch.Size, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # training may use the cached tensor next
        return even_elements(shape, device=device)


def checkerboard(shape: torch.Size, *, device: torch.device) -> Tensor:
    """`even_elements` with a cache of the last eight small grids. Callers must not write to the result."""
    if shape[-3:].numel() <= CACHED_ELEMENTS:
        return _cached_checkerboard(shape[-3:], device)
    return even_elements(shape, device=device)
