"""The arithmetic of `semcomp.bitstream.ans`, grouping by table, and counting for `semcomp.lossless.banks`, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int32, int64, uint32, uint64

from semcomp.networks.lossless_compiled.jit import compiled

_BINS = 256
"""The search for a category begins where its quantile's upper 8 bits say."""
_FEW = 32
"""Symbols of a table below which these beginnings are not worth their time."""


@compiled
def group(index: Any, counts: Any, order: Any) -> None:
    """Positions ``order`` of numbers ``index`` (N,) that are not negative, by number, and ``counts`` of each number."""
    counts[:] = 0
    for number in index:
        if number >= 0:
            counts[number] += 1
    starts = np.cumsum(counts) - counts
    for position in range(len(index)):
        number = index[position]
        if number >= 0:
            order[starts[number]] = position
            starts[number] += 1


@compiled
def push(categories: Any, counts: Any, offsets: Any, frequencies: Any, state: Any, words: Any) -> None:
    """Put categories, grouped by ascending table, on the stack: `AnsCoder.encode_reverse` for one table after another.

    ``state`` (2,) uint64 holds the state and the number of ``words``, which has room for a word a category.
    """
    x, used, end = state[0], int64(state[1]), len(categories)
    sizes = offsets[1:] - offsets[:-1]
    lower = np.empty(sizes.max(), uint64)
    for table in range(len(counts) - 1, -1, -1):
        if counts[table] == 0:
            continue
        frequency, total = frequencies[offsets[table] : offsets[table + 1]], uint64(0)
        for category in range(sizes[table]):
            lower[category] = total
            total += uint64(frequency[category])
        first = end - counts[table]
        for position in range(end - 1, first - 1, -1):
            category = categories[position]
            f = uint64(frequency[category])
            if x >> uint64(40) >= f:
                words[used] = uint32(x & uint64(0xFFFFFFFF))
                used += 1
                x >>= uint64(32)
            quotient = x // f
            x = (quotient << uint64(24)) | (x - quotient * f + lower[category])
        end = first
    state[0], state[1] = x, uint64(used)


@compiled
def pop(categories: Any, counts: Any, offsets: Any, frequencies: Any, state: Any, words: Any) -> None:
    """Take categories off the stack, the inverse of `push`."""
    x, used, position = state[0], int64(state[1]), 0
    sizes = offsets[1:] - offsets[:-1]
    upper, begin = np.empty(sizes.max(), uint64), np.zeros(_BINS, int32)
    for table in range(len(counts)):
        if counts[table] == 0:
            continue
        frequency, total, bins = frequencies[offsets[table] : offsets[table + 1]], uint64(0), 0
        for category in range(sizes[table]):
            total += uint64(frequency[category])
            upper[category] = total
            while counts[table] >= _FEW and bins < _BINS and uint64(bins << 16) < total:
                begin[bins] = category
                bins += 1
        for _ in range(counts[table]):
            quantile = x & uint64(0xFFFFFF)
            found: Any = begin[int64(quantile >> uint64(16))] if bins else 0
            while upper[found] <= quantile:
                found += 1
            f = uint64(frequency[found])
            x = (x >> uint64(24)) * f + quantile - (upper[found] - f)
            if x <= uint64(0xFFFFFFFF) and used > 0:
                used -= 1
                x = x << uint64(32) | uint64(words[used])
            categories[position] = found
            position += 1
    state[0], state[1] = x, uint64(used)


@compiled
def count(tables: Any, symbols: Any, bounds: Any, offsets: Any, counts: Any, changed: Any) -> None:
    """Count symbols (N,) under the numbers of their tables, as `AdaptiveBank.count` does."""
    for position in range(len(tables)):
        table, symbol = tables[position], symbols[position]
        bound = int64(bounds[table])
        counts[offsets[table] + (2 * bound + 1 if abs(symbol) > bound else symbol + bound)] += 1
        changed[table] = True


@compiled
def rebuild(changed: Any, offsets: Any, prior: Any, weight: int, counts: Any, frequencies: Any) -> None:
    """Mix the prior and the counts of changed tables, as `AdaptiveBank` does."""
    for table in np.flatnonzero(changed):
        first, last = offsets[table], offsets[table + 1]
        seen, total, largest = counts[first:last].sum() + weight, 0, first
        for place in range(first, last):
            share = (int64(prior[place]) * weight + (counts[place] << 24)) // seen
            frequencies[place] = 1 + (share * ((1 << 24) - (last - first)) >> 24)
            total += frequencies[place]
            if frequencies[place] > frequencies[largest]:
                largest = place
        frequencies[largest] += (1 << 24) - total
    changed[:] = False
