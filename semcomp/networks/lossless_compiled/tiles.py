"""A whole network in the processor's tiles: features of cells to predictions, compiled.

Outputs stand in the rows of a tile and 16 cells in its columns, so that neighbouring cells stay neighbours from the
features to the predictions. What is multiplied has four inputs of a cell side by side: a row of *words* has one word,
uint32, for each cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import int32, uint8, uint32
from numpy.typing import NDArray

from semcomp.lossless.network import IntegerNetwork, bias_for_bytes, byte_halves
from semcomp.networks.lossless_compiled.amx import CONFIGURATION, ROW, ROWS, aligned, begin, end, load, multiply, store
from semcomp.networks.lossless_compiled.jit import compiled, part, sra

BATCH = 32
"""Cells at a time: the columns of two tiles."""


class TileNetwork(NamedTuple):
    """One network for features plus 128.

    Weights are int8 (G, K, 16, 64): tiles of 16 G outputs and 64 K inputs. A bias is int32 (G, 16, 16), the same in
    every column. Blocks are stacked.
    """

    entry: NDArray[Any]
    entry_bias: NDArray[Any]
    inner: NDArray[Any]
    """Hidden values to inner ones. Words of both stand one after the other."""
    inner_bias: NDArray[Any]
    joint: NDArray[Any]
    """Hidden and inner values to the next hidden ones."""
    joint_bias: NDArray[Any]
    from_hidden: NDArray[Any]
    """Higher parts of mean and scale, then lower parts."""
    from_features: NDArray[Any]
    bias: NDArray[Any]


def tile_network(network: IntegerNetwork) -> TileNetwork:
    """Arrange the weights of a network."""
    hidden, inner = (-(-count // ROWS) * ROWS for count in network.blocks[0].inner.shape[::-1])
    joint = [np.hstack([_filled(one.direct, columns=hidden), one.outer]) for one in network.blocks]
    last = np.append(np.zeros_like(network.bias), bias_for_bytes(network.from_features, network.bias))
    return TileNetwork(
        entry=_tiles(network.entry),
        entry_bias=_columns(bias_for_bytes(network.entry, network.entry_bias)),
        inner=_stacked([_tiles(block.inner) for block in network.blocks]),
        inner_bias=_stacked([_columns(block.inner_bias) for block in network.blocks]),
        joint=_stacked([_tiles(weight, columns=hidden + inner) for weight in joint]),
        joint_bias=_stacked([_columns(block.bias) for block in network.blocks]),
        from_hidden=_tiles(byte_halves(network.from_hidden)),
        from_features=_tiles(byte_halves(network.from_features)),
        bias=_columns(last),
    )


def _filled(weight: NDArray[Any], *, rows: int = 0, columns: int = 0) -> NDArray[Any]:
    """A matrix with zeros below and beside it up to a least number of rows and columns."""
    return np.pad(
        weight, [(0, max(0, least - size)) for least, size in zip((rows, columns), weight.shape, strict=True)]
    )


def _tiles(weight: NDArray[Any], *, columns: int = 0) -> NDArray[Any]:
    """(O, I) to (G, K, 16, 64). Zeros fill it."""
    groups, parts = -(-len(weight) // ROWS), -(-max(weight.shape[1], columns) // ROW)
    filled = _filled(weight.astype(np.int8), rows=groups * ROWS, columns=parts * ROW)
    return aligned(filled.reshape(groups, ROWS, parts, ROW).transpose(0, 2, 1, 3))


def _columns(bias: NDArray[Any]) -> NDArray[Any]:
    """(O,) to (G, 16, 16)"""
    groups = -(-len(bias) // ROWS)
    filled = _filled(bias.astype(np.int32)[:, None], rows=groups * ROWS)
    return aligned(np.repeat(filled, ROWS, 1).reshape(groups, ROWS, ROWS))


def _stacked(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return aligned(np.stack(arrays))


@part
def _lines(rows: int) -> Any:
    """Rows of words (rows, BATCH), 0, whose first begins a line of the cache."""
    data = np.zeros(rows * BATCH * 4 + 64, uint8)
    first = -data.ctypes.data % 64
    return data[first : first + rows * BATCH * 4].view(uint32).reshape(rows, BATCH)


@part
def _read(small: Any, start: int, words: Any) -> None:
    """Words of the features (F, N) of the cells from ``start`` on."""
    last = len(small) - 1
    for row in range((last + 4) // 4):
        one, two = small[4 * row, start : start + BATCH], small[min(4 * row + 1, last), start : start + BATCH]
        three = small[min(4 * row + 2, last), start : start + BATCH]
        four = small[min(4 * row + 3, last), start : start + BATCH]
        target = words[row]
        for c in range(BATCH):
            low, high = uint32(one[c]) | uint32(two[c]) << 8, uint32(three[c]) | uint32(four[c]) << 8
            target[c] = uint32(low | high << 16)


@part
def _add(words: Any, weights: Any, group: int) -> None:
    """Add the products of a group of 16 outputs to the tiles 0 and 1."""
    values, matrix = words.ctypes.data, weights.ctypes.data + 1024 * group * weights.shape[1]
    for k in range(weights.shape[1]):
        load(2, matrix + 1024 * k, 64)
        load(3, values + 64 * BATCH * k, 4 * BATCH)
        load(4, values + 64 * BATCH * k + 64, 4 * BATCH)
        multiply(0, 2, 3)
        multiply(1, 2, 4)


@part
def _layer(words: Any, weights: Any, bias: Any, shift: Any, sums: Any, target: Any) -> None:
    """Words of clip((weights values + bias) >> shift, 0, 255)."""
    for group in range(len(weights)):
        load(0, bias.ctypes.data + 1024 * group, 64)
        load(1, bias.ctypes.data + 1024 * group, 64)
        _add(words, weights, group)
        store(0, sums.ctypes.data + 64 * BATCH * group, 4 * BATCH)
        store(1, sums.ctypes.data + 64 * BATCH * group + 64, 4 * BATCH)
    for row in range(4 * len(weights)):
        one, two, three, four = sums[4 * row], sums[4 * row + 1], sums[4 * row + 2], sums[4 * row + 3]
        line = target[row]
        for c in range(BATCH):
            low = _byte(one[c], shift) | _byte(two[c], shift) << 8
            high = _byte(three[c], shift) | _byte(four[c], shift) << 8
            line[c] = uint32(low | high << 16)


@part
def _byte(value: Any, shift: Any) -> Any:
    return uint32(min(max(sra(value, shift), int32(0)), int32(255)))


@part
def _predictions(sums: Any, means: Any, mean: Any, table: Any) -> None:
    """The integers of `cells.predictions`."""
    for c in range(len(mean)):
        k = int32(means[1, c])
        output = sra(int32(128 * sums[0, c] + sums[2, c]), int32(9))
        scale = sra(int32(128 * sums[1, c] + sums[3, c]), int32(9))
        output = sra(int32((min(max(output, int32(-8191)), int32(8191)) << k) + 4), int32(3))
        eighths = int32(min(max(output, int32(-4096)), int32(4096)) + 4)
        scale = min(max(sra(int32(scale + 24 * k + 50), int32(2)), int32(0)), int32(63))
        mean[c] = means[0, c] + sra(eighths, int32(3))
        table[c] = 8 * scale + (eighths & int32(7))


@compiled
def run(small: Any, shifts: Any, network: Any, means: Any, mean: Any, table: Any) -> None:
    """Predictions of N cells from their features.

    Args:
        small: Features plus 128, uint8 (F, N + BATCH or more).
        shifts: By how much the sums of the entry and of the blocks are shifted, int32 (2,).
        network: `TileNetwork`
        means: The traditional prediction and k, int16 (2, N).
        mean: Gets the integer that symbols are counted from, int32 (N,).
        table: Gets the number of the table, int32 (N,).
    """
    most = max(len(network.entry), network.inner.shape[1])
    features, sums = _lines(16 * network.entry.shape[1]), _lines(16 * most).view(int32)
    one, other = _lines(16 * network.joint.shape[2]), _lines(16 * network.joint.shape[2])
    width = 4 * len(network.entry)
    begin(CONFIGURATION.ctypes.data)
    for start in range(0, len(mean), BATCH):
        _read(small, start, features)
        _layer(features, network.entry, network.entry_bias, shifts[0], sums, one)
        for block in range(len(network.inner)):
            _layer(one, network.inner[block], network.inner_bias[block], shifts[1], sums, one[width:])
            _layer(one, network.joint[block], network.joint_bias[block], shifts[1], sums, other)
            one, other = other, one
        load(0, network.bias.ctypes.data, 64)
        load(1, network.bias.ctypes.data, 64)
        _add(one, network.from_hidden, 0)
        _add(features, network.from_features, 0)
        store(0, sums.ctypes.data, 4 * BATCH)
        store(1, sums.ctypes.data + 64, 4 * BATCH)
        stop = min(start + BATCH, len(mean))
        _predictions(sums, means[:, start:stop], mean[start:stop], table[start:stop])
    end()
