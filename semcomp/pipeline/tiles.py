"""How a plane is cut into tiles with a halo, for any backend.

The receptive field of the networks between pixels and latents is small. A tile with enough of its surroundings
therefore gives what the whole picture gives, up to the order of floating-point sums.
"""

from collections.abc import Iterator
from typing import NamedTuple

TILE = 1024
"""Side of a tile in pixels. Pictures with sides up to twice as long are not cut."""

Region = tuple[slice, slice]
"""Rows and columns."""


class Tile(NamedTuple):
    """One tile: what a network reads, and where its result goes."""

    source: Region
    """Region of the input, with the halo."""
    inner: Region
    """Region of the network's result inside the halo."""
    target: Region
    """Region of the output that `inner` is copied to."""


def tile_side(height: int, width: int) -> int:
    """Side of the tiles of a picture, in pixels. It is the longer side of a picture that is not cut."""
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
    """Cut a plane into tiles.

    Args:
        height: Rows of the plane, a multiple of `down`.
        width: Columns of the plane, a multiple of `down`.
        tile: Side of a tile on the plane, a multiple of `down`.
        halo: Overlap on each side of a tile, a multiple of `down`.
        down: The output grid is this many times coarser than the plane.
        up: The output grid is this many times finer than the plane.

    Returns:
        An iterator over the tiles, row by row.

    Example:
        >>> first, second = tiles(64, 128, tile=64, halo=16)
        >>> first.source, second.source
        ((slice(0, 64, None), slice(0, 80, None)), (slice(0, 64, None), slice(48, 128, None)))
    """
    assert tile % down == halo % down == height % down == width % down == 0
    for source_rows, inner_rows, target_rows in _spans(height, tile, halo, down, up):
        for source, inner, target in _spans(width, tile, halo, down, up):
            yield Tile((source_rows, source), (inner_rows, inner), (target_rows, target))
