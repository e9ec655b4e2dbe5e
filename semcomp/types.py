"""Types that every backend shares: the latents and the integers of a file. Only the standard library is
needed.

The coder is generic in its array type `A`: torch tensors in semcomp.codec, numpy arrays in semcomp.edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Generic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import TypeVar

    A = TypeVar("A", default=Any)
else:
    from typing import TypeVar

    A = TypeVar("A")

QUALITIES = 100
"""Qualities are the integers 1..100."""
STRIDE_Y = 16
"""Side in pixels of the square that one position of y stands for."""
STRIDE_Z = 64
"""Side in pixels of the square that one position of z stands for. Pictures are padded to a multiple of it."""
Z_LIMIT = 127
"""Values of z_hat are in -Z_LIMIT..Z_LIMIT."""


@dataclass(frozen=True, kw_only=True)
class Latents(Generic[A]):
    """The decoded latents of one picture, which heads and generators read."""

    y_hat: A
    """float32 (1, M, ceil(height / 16), ceil(width / 16)), after the inverse gain. A tensor in semcomp.codec, an array
    in semcomp.edge."""
    width: int
    """Width of the picture in pixels."""
    height: int
    """Height of the picture in pixels."""
    quality: int
    """Quality of the file, 1..100."""
    entropy_id: bytes
    """8 bytes: the tables and the integer path that made the symbols."""
    model_id: bytes
    """8 bytes: the release that the file was made for."""
    keep: NDArray[np.bool_] | None = None
    """bool (rows, columns) of y_hat. Where it is false, nothing was coded and y_hat is 0. None for a whole picture."""


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """The integers of one file, in C, H, W order."""

    z: NDArray[np.int16]
    """(Z, ceil(height / 64), ceil(width / 64))"""
    y: NDArray[np.int16]
    """(M, ceil(height / 16), ceil(width / 16))"""
    index: NDArray[np.int8]
    """Table number of every element of y, -1 where nothing is coded."""
    keep: NDArray[np.bool_] | None = None
    """bool (rows, columns) of y: positions that are coded, see `Latents`."""


def grid(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the grid of positions of a picture.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        stride: Pixels of a position, STRIDE_Y or STRIDE_Z.

    Returns:
        (rows, columns). A position that is only begun counts.

    Example:
        >>> grid(97, 131, STRIDE_Y)
        (7, 9)
    """
    return -(-height // stride), -(-width // stride)


def is_whole(value: object, low: int, high: int) -> bool:
    """Return whether a value is an integer from `low` to `high`. A bool is not one, and an integer of numpy is.

    Example:
        >>> is_whole(3, 1, 9), is_whole(True, 1, 9), is_whole(2.0, 1, 9)
        (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high


def rate_node(quality: Any, nodes: int) -> Any:
    """Number of the prior of z that a quality uses.

    Args:
        quality: An integer 1..100, or an array or tensor of them.
        nodes: Number of rate nodes of the codec.

    Returns:
        0..nodes - 1, of the type of `quality`. Integer arithmetic computes it, because it selects tables.

    Example:
        >>> rate_node(1, 12), rate_node(50, 12), rate_node(100, 12)
        (0, 5, 11)
    """
    return ((quality - 1) * (nodes - 1) * 2 + (QUALITIES - 1)) // (2 * (QUALITIES - 1))
