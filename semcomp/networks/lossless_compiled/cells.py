"""Between the networks and the rest: features as the bytes that products read, and outputs as predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int32, uint64

from semcomp.networks.lossless_compiled.jit import compiled

AT_ONCE = 64
"""Cells whose bytes are put together at a time."""


@compiled
def write_cells(small: Any, count: int, order: Any, cells: Any) -> None:
    """The bytes of N = ``count`` cells, uint64 (M, I / 8): row ``order[i]`` of ``small`` (F, N or more) is byte i."""
    words = np.empty((cells.shape[1], AT_ONCE), uint64)
    for start in range(0, count, AT_ONCE):
        end = min(start + AT_ONCE, count)
        for g in range(cells.shape[1]):
            word = words[g]
            word[:] = 0
            for pair in range(0, 8, 2):
                low, high = small[order[8 * g + pair], start:end], small[order[8 * g + pair + 1], start:end]
                for c in range(end - start):
                    word[c] |= (uint64(low[c]) | uint64(high[c]) << uint64(8)) << uint64(8 * pair)
        for c in range(end - start):
            for g in range(cells.shape[1]):
                cells[start + c, g] = words[g, c]


@compiled
def join(one: Any, other: Any, both: Any) -> None:
    """Bytes of cells (M, I) and (M, J) as (M, I + J), all as uint64."""
    first, second = one.shape[1], other.shape[1]
    for c in range(len(both)):
        x, y, z = one[c], other[c], both[c]
        for g in range(first):
            z[g] = x[g]
        for g in range(second):
            z[first + g] = y[g]


@compiled
def predictions(hidden: Any, direct: Any, bias: Any, means: Any, mean: Any, table: Any) -> None:
    """What `semcomp.lossless.step` makes of the last sums.

    Args:
        hidden: Sums over hidden values, float32 (M, 4): higher parts of mean and scale, then lower parts.
        direct: Sums over features, the same.
        bias: int32 (2,)
        means: The traditional prediction and k, int16 (2, N).
        mean: Gets the integer that symbols are counted from, int32 (N,).
        table: Gets the number of the table, int32 (N,).
    """
    for c in range(len(mean)):
        k = int32(means[1, c])
        output: Any = 128 * int32(hidden[c, 0] + direct[c, 0]) + int32(hidden[c, 2] + direct[c, 2])
        scale: Any = 128 * int32(hidden[c, 1] + direct[c, 1]) + int32(hidden[c, 3] + direct[c, 3])
        output, scale = (output + bias[0]) >> 9, (scale + bias[1]) >> 9
        output = ((min(max(output, -8191), 8191) << k) + 4) >> 3
        eighths: Any = min(max(output, -4096), 4096) + 4
        scale = min(max((scale + 4 * (6 * k + 12) + 2) >> 2, 0), 63)
        mean[c] = means[0, c] + (eighths >> 3)
        table[c] = 8 * scale + (eighths & 7)
