"""Where pixels are: levels of 2x, the four lattices of a level, and the windows that a prediction looks at.

A level of height H and width W is cut into cells of 2x2 pixels. The four pixels of a cell belong to four lattices:

    00 01      00 is the next coarser level and is known
    10 11      11 is coded first, then 01, then 10

Cells that stick out of the image at odd sizes have pixels that do not exist. They are never coded: their value is the
value of lattice 00 in their cell, for every prediction that looks at them.
"""

from __future__ import annotations

from typing import NamedTuple

OFFSETS = {"00": (0, 0), "11": (1, 1), "01": (0, 1), "10": (1, 0)}
"""Row and column of each lattice's pixel in its cell."""
PASSES = ("11", "01", "10")
"""The lattices of a level in the order in which they are coded."""
KINDS = ("luma", "first", "second")
"""Names of the planes: luma and two colour differences."""
REACH = 2
"""Windows look at most this many cells away."""


class Neighbour(NamedTuple):
    """One pixel of a window: its lattice, and its cell relative to the cell of the predicted pixel."""

    lattice: str
    row: int
    column: int


def known_before(lattice: str) -> tuple[str, ...]:
    """The lattices that are known when ``lattice`` is coded.

    >>> known_before("01")
    ('00', '11')
    """
    return ("00", *PASSES[: PASSES.index(lattice)])


def window(target: str, count: int, lattices: tuple[str, ...]) -> tuple[Neighbour, ...]:
    """The nearest pixels of some lattices around a pixel of lattice ``target``, the nearest first.

    Pixels at equal distance come all or not at all, so that a window has at least ``count`` pixels and every symmetry
    of the lattices. Ties are ordered by lattice, row and column.

    >>> window("11", 4, ("00",))[0]
    Neighbour(lattice='00', row=0, column=0)
    """
    found = []
    for lattice in lattices:
        for row in range(-REACH, REACH + 1):
            for column in range(-REACH, REACH + 1):
                down = 2 * row + OFFSETS[lattice][0] - OFFSETS[target][0]
                right = 2 * column + OFFSETS[lattice][1] - OFFSETS[target][1]
                if down or right:
                    found.append((down * down + right * right, Neighbour(lattice, row, column)))
    found.sort()
    count = min(count, len(found))
    while count < len(found) and found[count][0] == found[count - 1][0]:
        count += 1
    return tuple(neighbour for _, neighbour in found[:count])


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the levels, the full image first, down to a level of one pixel.

    >>> level_sizes(5, 3)
    [(5, 3), (3, 2), (2, 1), (1, 1)]
    """
    sizes = [(height, width)]
    while sizes[-1] != (1, 1):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes
