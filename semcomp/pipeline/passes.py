"""Which elements of y are coded in which pass.

Two passes alternate like the squares of a checkerboard: element (c, i, j) belongs to pass (c + i + j) mod 2. Four
passes take the places of every 2x2 block of positions in turn, and the channels at one place take turns too:

    place of (i mod 2, j mod 2)      pass of (c, i, j) = (place + c) mod 4
        0 2
        3 1

Within a channel, a pass of four is one place, so its elements are a grid of half the rows and columns. Slicing works on
tensors and on arrays.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOUR = 4
PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column of every place in its 2x2 block."""

Turn = tuple[slice, slice, slice]
"""Channels, rows and columns of one of the four groups of elements that make up a pass."""


@lru_cache(maxsize=16)
def turns(passes: int, number: int) -> tuple[Turn, ...]:
    """The elements of pass `number` as four slices of (channels, rows, columns).

    Args:
        passes: 2 or 4.
        number: 0 to `passes` - 1.

    Example:
        >>> turns(4, 1)[0]
        (slice(1, None, 4), slice(0, None, 2), slice(0, None, 2))
    """
    found = []
    for place, (row, column) in enumerate(PLACES):
        first = (number - place) % FOUR if passes == FOUR else (number + row + column) % 2
        found.append((slice(first, None, passes), slice(row, None, 2), slice(column, None, 2)))
    return tuple(found)


def halved(size: int) -> int:
    """Rows or columns of one pass of four: the blocks of two that `size` begins."""
    return -(-size // 2)


def quarter(plane: NDArray[Any], number: int, *, fill: int = 0) -> NDArray[Any]:
    """The elements of pass `number` of four, (M, ceil(rows / 2), ceil(columns / 2)).

    Args:
        plane: (M, rows, columns).
        number: 0 to 3.
        fill: Value at elements of the result that are outside of `plane`, where rows or columns are odd.

    Returns:
        An array of the type of `plane`. Its order is the order of these elements in `plane`.
    """
    channels, rows, columns = plane.shape
    shape = (channels, halved(rows), halved(columns))
    out = np.empty(shape, plane.dtype) if not rows % 2 and not columns % 2 else np.full(shape, fill, plane.dtype)
    for channel, row, column in turns(FOUR, number):
        part = plane[channel, row, column]
        out[channel, : part.shape[1], : part.shape[2]] = part
    return out


def put_quarter(plane: NDArray[Any], number: int, values: NDArray[Any]) -> None:
    """Write what `quarter` returns back into a plane (M, rows, columns), which may be larger."""
    for channel, row, column in turns(FOUR, number):
        part = plane[channel, row, column][:, : values.shape[1], : values.shape[2]]
        part[...] = values[channel, : part.shape[1], : part.shape[2]]
