"""Networks on pictures that do not fit memory at once: tiles with a halo that covers the receptive field (tiles.py)."""

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
    """Assemble `network`'s output over a plane of height x width from tiles.

    `source(rows, columns)` gives a region's input, such as (1, C, h, w). The output lies on a grid `down` times coarser
    or `up` times finer: (1, channels, height * up / down, width * up / down), of type `dtype`. tile and halo are
    multiples of `down`, as is every size.
    """
    output = torch.empty(1, channels, height * up // down, width * up // down, dtype=dtype)
    output = output.contiguous(memory_format=torch.channels_last)
    for part in tiles(height, width, tile=tile, halo=halo, down=down, up=up):
        result = network(source(*part.source))
        (rows, columns), (inner_rows, inner_columns) = part.target, part.inner
        output[..., rows, columns] = result[..., inner_rows, inner_columns].cpu()
    return output
