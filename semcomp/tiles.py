"""Networks on pictures that do not fit memory at once: tiles with a halo that covers the receptive field.

No layer between pixels and latents, or back, looks at a whole image, so a tile with enough of its surroundings gives
what the whole image gives, up to the order of floating-point sums.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

TILE = 1024
"""Side of a tile, in pixels; pictures up to twice that run as one."""


def tile_for(height: int, width: int) -> int:
    """Side of the tiles that a picture is run in."""
    longest = max(height, width)
    return TILE if longest > 2 * TILE else longest


def _spans(size: int, tile: int, halo: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, stop) of each tile and (low, high) of it with its halo, along one axis."""
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        yield start, stop, max(0, start - halo), min(size, stop + halo)


def run_tiled(
    network: Callable[[Tensor], Tensor], source: Callable[[slice, slice], Tensor], *,
    height: int, width: int, tile: int, halo: int, channels: int, down: int = 1, up: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """Assemble `network`'s output over a plane of height x width from tiles.

    `source(rows, columns)` gives the input of a region, (1, C, h, w). The output lies on a grid `down` times coarser
    or `up` times finer: (1, channels, height * up / down, width * up / down), of type `dtype`. tile and halo are
    multiples of `down`, as is every size.
    """
    assert tile % down == halo % down == height % down == width % down == 0

    def scaled(position: int) -> int:
        return position * up // down

    output = torch.empty(1, channels, scaled(height), scaled(width), dtype=dtype)
    output = output.contiguous(memory_format=torch.channels_last)
    for top, bottom, low_row, high_row in _spans(height, tile, halo):
        for left, right, low_column, high_column in _spans(width, tile, halo):
            result = network(source(slice(low_row, high_row), slice(low_column, high_column)))
            inner = result[
                ...,
                scaled(top - low_row) : scaled(bottom - low_row),
                scaled(left - low_column) : scaled(right - low_column),
            ]
            output[..., scaled(top) : scaled(bottom), scaled(left) : scaled(right)] = inner.cpu()
    return output
