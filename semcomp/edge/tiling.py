"""Graphs on pictures that do not fit memory at once: the tiles of tiles.py, assembled in numpy."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from semcomp.pipeline.tiles import tiles

Input = TypeVar("Input")


def run_tiled(
    network: Callable[[Input], np.ndarray],
    source: Callable[[slice, slice], Input],
    *,
    height: int,
    width: int,
    tile: int,
    halo: int,
    axis: int,
    down: int = 1,
    up: int = 1,
) -> np.ndarray:
    """`network`'s output over a plane of height x width. `axis` is that of the output's rows; columns follow."""
    output: np.ndarray | None = None
    before = (slice(None),) * axis
    for part in tiles(height, width, tile=tile, halo=halo, down=down, up=up):
        result = network(source(*part.source))
        if output is None:
            full = (height * up // down, width * up // down)
            if result.shape[axis : axis + 2] == full:
                return result
            output = np.empty((*result.shape[:axis], *full, *result.shape[axis + 2 :]), result.dtype)
        output[before + part.target] = result[before + part.inner]
    assert output is not None
    return output
