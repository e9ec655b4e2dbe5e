"""How a plane is cut into tiles with a halo, whatever computes them.

No layer between pixels and latents, or back, looks at a whole image, so a tile with enough of its surroundings gives
what the whole image gives, up to the order of floating-point sums.
"""

from collections.abc import Iterator
from typing import NamedTuple

TILE = 1024
"""Side of a tile, in pixels; pictures up to twice that run as one."""

Region = tuple[slice, slice]
"""Rows and columns."""


class Tile(NamedTuple):
    """One tile: what a network reads, and where its result belongs."""

    source: Region
    """Of the input, the halo included."""
    inner: Region
    """Of the result, without the halo."""
    target: Region
    """Of the output."""


def tile_side(height: int, width: int) -> int:
    """Side of the tiles of a picture, in pixels: its longer side where it runs as one."""
    longest = max(height, width)
    return TILE if longest > 2 * TILE else longest


def _spans(size: int, tile: int, halo: int, down: int, up: int) -> Iterator[tuple[slice, slice, slice]]:
    """Source, inner and target along one axis."""
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        low, high = max(0, start - halo), min(size, stop + halo)
        inner = slice((start - low) * up // down, (stop - low) * up // down)
        yield slice(low, high), inner, slice(start * up // down, stop * up // down)


def tiles(height: int, width: int, *, tile: int, halo: int, down: int = 1, up: int = 1) -> Iterator[Tile]:
    """The tiles of a plane of height x width, whose output lies on a grid `down` times coarser or `up` times finer.

    tile and halo are multiples of `down`, as is every size.
    """
    assert tile % down == halo % down == height % down == width % down == 0
    for source_rows, inner_rows, target_rows in _spans(height, tile, halo, down, up):
        for source, inner, target in _spans(width, tile, halo, down, up):
            yield Tile((source_rows, source), (inner_rows, inner), (target_rows, target))
