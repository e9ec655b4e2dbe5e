"""Noise that a generator reads: standard normal planes from a seed, the same for every client.

Philox's integers are part of numpy's promises, the distributions that numpy makes of them are not: so the normal values
are made here, two of each 64 bits, by the transform of Box and Muller (1958). Machines may differ in the last digits.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE = 64
"""Positions a side after which the noise repeats."""


@lru_cache(maxsize=2)
def noise_tile(seed: int, channels16: int, channels8: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """float32 (1, channels16, TILE, TILE) and (1, channels8, 2 TILE, 2 TILE) of a seed below 2^64, read-only."""
    shapes = (1, channels16, TILE, TILE), (1, channels8, 2 * TILE, 2 * TILE)
    sizes = [shape[1] * shape[2] * shape[3] for shape in shapes]
    words = np.random.Philox(key=seed).random_raw(sum(sizes) // 2)
    high, low = (words >> np.uint64(32)).astype(np.float32), words.astype(np.uint32).astype(np.float32)
    radius = np.sqrt(-2 * np.log((high + 1) / np.float32(2**32)))
    angle = low * np.float32(2 * np.pi / 2**32)
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    normal.flags.writeable = False
    coarse, fine = normal[: sizes[0]].reshape(shapes[0]), normal[sizes[0] :].reshape(shapes[1])
    return coarse, fine


def noise_at(tile: NDArray[Any], rows: slice, columns: slice, *, fine: int = 1) -> NDArray[Any]:
    """The part of an endless plane of tiles that belongs to these positions, each of `fine` x `fine` elements."""
    period = tile.shape[2]
    row = np.arange(fine * rows.start, fine * rows.stop) % period
    column = np.arange(fine * columns.start, fine * columns.stop) % period
    return np.ascontiguousarray(tile[:, :, row][..., column])
