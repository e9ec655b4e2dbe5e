"""The ANS coder in plain Python. It has the words and the methods of constriction's `stream.stack.AnsCoder`.

It runs where constriction has no wheel. A decoder in another language has to do what this file does, and no more. The
state x is a 64-bit integer, 0 at first, on top of a stack of 32-bit words. This pushes a category of frequency f, where
the frequencies of the categories below it add up to c:

    if (x >> 40) >= f:  push the low 32 bits of x onto the stack, then x >>= 32
    x = ((x // f) << 24) | (x % f + c)

At the end x itself is pushed, low word first, without a high word of zero. A decoder reverses the steps and gets the
categories in the opposite order, so the encoder pushes the last category first. The method is from Duda et al., "The
use of asymmetric numeral systems as an accurate replacement for Huffman coding", PCS 2015, in the streaming form of
constriction.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import PRECISION, TOTAL

_QUANTILE_MASK = TOTAL - 1
_WORD_MASK = (1 << 32) - 1


class Model(NamedTuple):
    """One frequency table: the frequency of each category, and the sums of frequencies below it and up to it."""

    frequency: list[int]
    lower: list[int]
    upper: list[int]


def model_of(frequencies: NDArray[Any]) -> Model:
    """The model of frequencies (K,), integers that add up to 2**24."""
    frequency = frequencies.astype(np.int64)
    upper = np.cumsum(frequency)
    return Model(frequency.tolist(), (upper - frequency).tolist(), upper.tolist())


class AnsCoder:
    """A stack of categories: `encode_reverse` puts some on top, `decode` takes them off.

    It starts empty, or from the uint32 words of `get_compressed`, the last of which is not 0.
    """

    def __init__(self, words: NDArray[Any] | None = None) -> None:
        self._words: list[int] = [] if words is None else words.tolist()
        self._state = self._words.pop() if self._words else 0
        if self._words:
            self._state = self._state << 32 | self._words.pop()

    def encode_reverse(self, categories: NDArray[Any], model: Model) -> None:
        """Put categories (K,) on the stack, the first on top. Each must exist in the model."""
        frequency, lower, _ = model
        x, words = self._state, self._words
        for category in categories[::-1].tolist():
            f = frequency[category]
            if x >> 40 >= f:
                words.append(x & _WORD_MASK)
                x >>= 32
            x = (x // f << PRECISION) | (x % f + lower[category])
        self._state = x

    def decode(self, model: Model, count: int) -> NDArray[Any]:
        """Take categories off the stack: int32 (count,). An empty stack gives category 0 without end."""
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

    def pos(self) -> tuple[int, int]:
        """Number of words below the state, and the state."""
        return len(self._words), self._state

    def get_compressed(self) -> NDArray[Any]:
        """The words of the stack and of the state, uint32."""
        state = [self._state & _WORD_MASK, self._state >> 32]
        while state and not state[-1]:
            state.pop()
        return np.array(self._words + state, np.uint32)

    def is_empty(self) -> bool:
        """Whether nothing is left on the stack."""
        return not self._state and not self._words
