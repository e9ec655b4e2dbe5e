"""The integers of a file, and the latents that they stand for: what every client of the format shares.

No network is in here, and no torch: a client brings the integer path that names the tables (`table_numbers`) and the
mean path (`quantize`, `dequantize`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

QUALITIES = 100
"""Qualities are the integers 1..100."""
STRIDE_Y, STRIDE_Z = 16, 64
Z_LIMIT = 127
"""z-hat lies in -Z_LIMIT..Z_LIMIT."""


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What heads and generators read: the decoded latents of one file."""

    y_hat: Any
    """float32 (1, M, ceil(height / 16), ceil(width / 16)), after the inverse gain: a tensor, or semcomp.edge's array"""
    width: int
    height: int
    quality: int
    entropy_id: bytes
    model_id: bytes
    keep: np.ndarray | None = None
    """bool (rows, columns) of y_hat: false where nothing was coded and y_hat is 0; None for a whole picture"""


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """The integers of one file, in C, H, W order."""

    z: np.ndarray
    """int16 (Z, ceil(h/64), ceil(w/64))"""
    y: np.ndarray
    """int16 (M, ceil(h/16), ceil(w/16))"""
    index: np.ndarray
    """int8 of the same shape: table numbers, -1 where nothing is coded"""
    keep: np.ndarray | None = None
    """bool (ceil(h/16), ceil(w/16)): positions that are coded at all, see `Latents`"""


def grid(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the positions that an image has at a stride."""
    return -(-height // stride), -(-width // stride)


def rate_node(quality: Any, nodes: int) -> Any:
    """Number of the prior of z that a quality (an integer, or integers) uses: it selects tables."""
    return ((quality - 1) * (nodes - 1) * 2 + (QUALITIES - 1)) // (2 * (QUALITIES - 1))
