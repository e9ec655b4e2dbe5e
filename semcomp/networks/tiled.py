"""Run torch networks tile by tile, for pictures that do not fit memory. Tiles overlap by the receptive field."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from semcomp.pipeline.tiles import tiles

Input = TypeVar("Input")


def run_tiled(
    network: Callable[[Input], Tensor],
    source: Callable[[slice, slice], Input],
    *,
    height: int,
    width: int,
    tile: int,
    halo: int,
    channels: int,
    down: int = 1,
    up: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Assemble a network's output over a plane of height x width from tiles.

    Args:
        network: Maps a region's input to its output (1, channels, h', w').
        source: `source(rows, columns)` returns the input of a region, usually (1, C, h, w).
        height: Rows of the input plane, a multiple of `down`.
        width: Columns of the input plane, a multiple of `down`.
        tile: Side of a tile on the input plane, a multiple of `down`.
        halo: Overlap of the tiles on the input plane, a multiple of `down`.
        channels: Channels of the output.
        down: The output grid is this many times coarser than the input plane.
        up: The output grid is this many times finer than the input plane.
        dtype: Type of the output.

    Returns:
        (1, channels, height * up / down, width * up / down), channels-last, on the CPU.
    """
    output = torch.empty(1, channels, height * up // down, width * up // down, dtype=dtype)
    output = output.contiguous(memory_format=torch.channels_last)
    for part in tiles(height, width, tile=tile, halo=halo, down=down, up=up):
        result = network(source(*part.source))
        (rows, columns), (inner_rows, inner_columns) = part.target, part.inner
        output[..., rows, columns] = result[..., inner_rows, inner_columns].cpu()
    return output
