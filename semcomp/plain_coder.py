"""The ANS coder in plain Python: the same 32-bit words as constriction's ``stream.stack.AnsCoder``.

It runs where constriction has no wheel, and is the whole of what a decoder in another language has to do.
The state x is a 64-bit integer, 0 at first, on top of a stack of 32-bit words. To push a category of
frequency f, below which lie frequencies that add up to c:

    if (x >> 40) >= f:  push the low 32 bits of x onto the stack, then x >>= 32
    x = ((x // f) << 24) | (x % f + c)

and at the end push x itself, low word first, without a zero high word. A decoder does the reverse and gets
the categories in the opposite order, so the encoder pushes the last one first. (Duda et al., "The use of
asymmetric numeral systems as an accurate replacement for Huffman coding", PCS 2015, in constriction's
streaming form.) About 0.3 microseconds a symbol.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from semcomp.errors import FormatError
from semcomp.tables import PRECISION, TOTAL, Tables

_QUANTILE_MASK = TOTAL - 1
_WORD_MASK = (1 << 32) - 1


def encode_words(categories: np.ndarray, *, counts: np.ndarray, tables: Tables) -> np.ndarray:
    """The uint32 words of ``categories`` (K,), grouped by table in ascending order; K = counts.sum().

    ``counts`` (T,) says how many belong to each table. A category must exist in its table.
    """
    words: list[int] = []
    x, stop = 0, len(categories)
    for table in np.flatnonzero(counts)[::-1].tolist():
        frequency, lower, _ = _model(tables, table)
        start = stop - int(counts[table])
        for category in categories[start:stop][::-1].tolist():
            f = frequency[category]
            if x >> 40 >= f:
                words.append(x & _WORD_MASK)
                x >>= 32
            x = (x // f << PRECISION) | (x % f + lower[category])
        stop = start
    while x:
        words.append(x & _WORD_MASK)
        x >>= 32
    return np.array(words, np.uint32)


def decode_words(words: np.ndarray, *, counts: np.ndarray, tables: Tables) -> np.ndarray:
    """int32 categories (K,): the inverse of :func:`encode_words`.

    FormatError unless the words are used up exactly, which makes the words of a message unique.
    """
    if len(words) and words[-1] == 0:
        raise FormatError("the coded words end in a zero word, which no encoder writes; copy the file again")
    stack = words.tolist()
    x = stack.pop() if stack else 0
    if stack:
        x = x << 32 | stack.pop()
    categories: list[int] = []
    for table in np.flatnonzero(counts).tolist():
        frequency, lower, upper = _model(tables, table)
        for _ in range(int(counts[table])):
            quantile = x & _QUANTILE_MASK
            category = bisect_right(upper, quantile)
            x = (x >> PRECISION) * frequency[category] + quantile - lower[category]
            if x <= _WORD_MASK and stack:
                x = x << 32 | stack.pop()
            categories.append(category)
    if x or stack:
        raise FormatError("coded words are left over after the last symbol; copy the file again")
    return np.array(categories, np.int32)


def _model(tables: Tables, table: int) -> tuple[list[int], list[int], list[int]]:
    """Of one table: the frequencies, and the cumulative frequency below and up to each category."""
    frequency = tables.frequencies[table].astype(np.int64)
    upper = np.cumsum(frequency)
    return frequency.tolist(), (upper - frequency).tolist(), upper.tolist()
