"""The ANS coder in plain Python: the same 32-bit words as constriction's ``stream.stack.AnsCoder``, the same methods.

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
from typing import NamedTuple

import numpy as np

from semcomp.bitstream.frequency_tables import PRECISION, TOTAL

_QUANTILE_MASK = TOTAL - 1
_WORD_MASK = (1 << 32) - 1


class Model(NamedTuple):
    """One frequency table: what each category has, and what lies below it and up to it."""

    frequency: list[int]
    lower: list[int]
    upper: list[int]


def model_of(frequencies: np.ndarray) -> Model:
    """The model of ``frequencies`` (K,), integers that add up to 2**24."""
    frequency = frequencies.astype(np.int64)
    upper = np.cumsum(frequency)
    return Model(frequency.tolist(), (upper - frequency).tolist(), upper.tolist())


class AnsCoder:
    """A stack of categories: ``encode_reverse`` puts some on top, ``decode`` takes them off.

    It starts from the uint32 words of ``get_compressed``, of which the last is not 0, or empty.
    """

    def __init__(self, words: np.ndarray | None = None) -> None:
        self._words: list[int] = [] if words is None else words.tolist()
        self._state = self._words.pop() if self._words else 0
        if self._words:
            self._state = self._state << 32 | self._words.pop()

    def encode_reverse(self, categories: np.ndarray, model: Model) -> None:
        """Put ``categories`` (K,) on the stack, the first on top. Each must exist in the model."""
        frequency, lower, _ = model
        x, words = self._state, self._words
        for category in categories[::-1].tolist():
            f = frequency[category]
            if x >> 40 >= f:
                words.append(x & _WORD_MASK)
                x >>= 32
            x = (x // f << PRECISION) | (x % f + lower[category])
        self._state = x

    def decode(self, model: Model, count: int) -> np.ndarray:
        """int32 (count,): that many categories off the stack. A stack that is empty gives the first one for ever."""
        frequency, lower, upper = model
        x, words = self._state, self._words
        categories: list[int] = []
        for _ in range(count):
            quantile = x & _QUANTILE_MASK
            category = bisect_right(upper, quantile)
            x = (x >> PRECISION) * frequency[category] + quantile - lower[category]
            if x <= _WORD_MASK and words:
                x = x << 32 | words.pop()
            categories.append(category)
        self._state = x
        return np.array(categories, np.int32)

    def get_compressed(self) -> np.ndarray:
        """uint32: the words, the state among them."""
        state = [self._state & _WORD_MASK, self._state >> 32]
        while state and not state[-1]:
            state.pop()
        return np.array(self._words + state, np.uint32)

    def is_empty(self) -> bool:
        """Whether everything that was put on the stack has been taken off."""
        return not self._state and not self._words
