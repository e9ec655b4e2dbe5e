"""Run graphs tile by tile, for pictures that do not fit memory. numpy assembles the tiles."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from semcomp.pipeline.tiles import tiles

Input = TypeVar("Input")


def run_tiled(
    network: Callable[[Input], NDArray[Any]],
    source: Callable[[slice, slice], Input],
    *,
    height: int,
    width: int,
    tile: int,
    halo: int,
    axis: int,
    down: int = 1,
    up: int = 1,
) -> NDArray[Any]:
    """Assemble a graph's output over a plane of height x width from tiles.

    Args:
        network: Maps a region's input to its output.
        source: `source(rows, columns)` returns the input of a region.
        height: Rows of the input plane, a multiple of `down`.
        width: Columns of the input plane, a multiple of `down`.
        tile: Side of a tile on the input plane, a multiple of `down`.
        halo: Overlap of the tiles on the input plane, a multiple of `down`.
        axis: Axis of the output's rows. Its columns are the next axis.
        down: The output grid is this many times coarser than the input plane.
        up: The output grid is this many times finer than the input plane.

    Returns:
        The output over the whole plane.
    """
    output: NDArray[Any] | None = None
    before = (slice(None),) * axis
    for one in tiles(height, width, tile=tile, halo=halo, down=down, up=up):
        result = network(source(*one.source))
        if output is None:
            full = (height * up // down, width * up // down)
            if result.shape[axis : axis + 2] == full:
                return result
            output = np.empty((*result.shape[:axis], *full, *result.shape[axis + 2 :]), result.dtype)
        output[before + one.target] = result[before + one.inner]
    assert output is not None
    return output
