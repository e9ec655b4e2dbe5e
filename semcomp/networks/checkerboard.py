"""The checkerboard that splits the elements of y between two passes of the mean path, and quarters for four passes."""

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


def _quarters(shape: torch.Size, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        channel, row, column = (torch.arange(size, device=device) for size in shape)
        place = torch.tensor([[0, 2], [3, 1]], device=device)[row[:, None] % 2, column[None] % 2]
        return ((place[..., None] + channel) % 4).to(torch.uint8).permute(2, 0, 1)[None]


_cached_quarters = lru_cache(maxsize=8)(_quarters)


def quarters(shape: torch.Size, *, device: torch.device) -> Tensor:
    """The pass of every element, 0 to 3: uint8 (1, M, h, w), channels-last. Callers must not write to the result.

    Within a channel pass 1 takes the diagonal neighbours of pass 0, and passes 2 and 3 take the rest. The channels at
    one position take turns.
    """
    shape = torch.Size(shape[-3:])
    return (_cached_quarters if shape.numel() <= CACHED_ELEMENTS else _quarters)(shape, device)


@lru_cache(maxsize=32)
def _cached_quarter(shape: torch.Size, device: torch.device, number: int) -> Tensor:
    with torch.inference_mode(False):
        return quarters(shape, device=device) == number


def quarter_mask(shape: torch.Size, number: int, *, device: torch.device) -> Tensor:
    """The elements of pass `number` of four, bool (1, M, h, w). Callers must not write to the result."""
    shape = torch.Size(shape[-3:])
    if shape.numel() <= CACHED_ELEMENTS:
        return _cached_quarter(shape, device, number)
    return quarters(shape, device=device) == number
