"""Adaptive coding: the frequencies of every symbol follow from the symbols before it.

`Counts` computes the frequencies with integers from integers, so every machine gets equal ones. `Writer` and `Reader`
turn symbols into the words of ans.py and back. The reader uses constriction where it is installed. The writer does
not: it would have to keep whole rows of frequencies, because the last symbol is written first.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream import ans
from semcomp.bitstream.frequency_tables import PRECISION, TOTAL
from semcomp.errors import FormatError

try:
    import constriction
except ImportError:  # no wheel for aarch64 or musl
    constriction = None

HAS_CONSTRICTION = constriction is not None
_STEP = 16
"""What a symbol adds to its count. It is more than 1, so that a halved count keeps fractions of a symbol."""
_FINE_WEIGHT = 6 * _STEP
"""Weight of the coarse context's expectation, against the counts of the fine context."""
_FINE_LIMIT = 200 * _STEP
_WORD_MASK = (1 << 32) - 1


class Counts:
    """Counts of A symbols in coarse and fine contexts, and the frequencies that follow from them.

    Dirichlet priors mix the shares. A coarse context starts from a guess that weighs as much as A symbols. A fine
    context starts from what the coarse one expects, with the weight of 6 symbols.
    """

    def __init__(self, guess: NDArray[Any], *, fine: int) -> None:
        """`guess` (coarse contexts, A) holds integer weights of the symbols, `fine` is the number of fine contexts."""
        alphabet = guess.shape[1]
        self._room = TOTAL - alphabet  # every symbol has one unit of its own, so no frequency is 0
        self._guess = guess.astype(np.int64) * self._room // guess.sum(axis=1, keepdims=True)
        self._coarse = np.zeros(guess.shape, np.int64)
        self._fine = np.zeros((fine, alphabet), np.int64)
        self._ones = np.ones(alphabet, np.int64)  # along a short axis a product is faster than a sum

    def frequencies(self, coarse: NDArray[Any], fine: NDArray[Any]) -> NDArray[Any]:
        """Frequencies int64 (N, A) in the contexts `coarse` (N,) and `fine` (N,). Each row adds up to 2**24."""
        weight = _STEP * len(self._ones)
        total = (self._coarse @ self._ones + weight)[:, None]
        expected = (self._coarse * self._room + self._guess * weight) // total
        counts = self._fine.take(fine, axis=0)
        total = (counts @ self._ones + _FINE_WEIGHT)[:, None]
        frequencies: NDArray[np.int64] = (
            counts * self._room + expected.take(coarse, axis=0) * _FINE_WEIGHT
        ) // total + 1
        frequencies[:, 0] += TOTAL - frequencies @ self._ones
        return frequencies

    def add(self, coarse: NDArray[Any], fine: NDArray[Any], symbols: NDArray[Any]) -> None:
        """Count symbols (N,). Counts of a fine context beyond 200 symbols are halved: recent ones weigh more."""
        np.add.at(self._coarse.reshape(-1), coarse * len(self._ones) + symbols, _STEP)
        np.add.at(self._fine.reshape(-1), fine * len(self._ones) + symbols, _STEP)
        full = fine[self._fine.take(fine, axis=0) @ self._ones > _FINE_LIMIT]
        self._fine[full] = self._fine[full] >> 1  # once, even if the context is in the list several times


class Writer:
    """Collects symbols in the order of reading. It takes 8 bytes of memory per symbol."""

    def __init__(self) -> None:
        self._coded: list[tuple[NDArray[Any], NDArray[Any]]] = []  # frequencies of the symbols, and sums below them

    def code(self, frequencies: NDArray[Any], symbols: NDArray[Any]) -> NDArray[Any]:
        """Code symbols (N,), each under its row of `frequencies` (N, A). Returns the symbols."""
        at = np.arange(symbols.size), symbols
        own = frequencies[at]
        lower = np.cumsum(frequencies, axis=1)[at] - own
        self._coded.append((own.astype(np.int32), lower.astype(np.int32)))
        return symbols

    def finish(self) -> bytes:
        """The words of all symbols, without the zero bytes at the end of the last word."""
        coder = _PlainCoder()
        for own, lower in reversed(self._coded):
            coder.push(own, lower)
        return coder.get_compressed().astype("<u4", copy=False).tobytes().rstrip(b"\0")


class Reader:
    """Reads what `Writer` wrote, under equal frequencies. Words that end in a zero byte are a FormatError."""

    def __init__(self, data: bytes, *, plain: bool = False) -> None:
        """`plain` reads without constriction even where it is installed. The symbols are equal."""
        if data.endswith(b"\0"):
            raise FormatError("the coded words end in a zero byte, which no encoder writes; copy the file again")
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        self._plain = plain or not HAS_CONSTRICTION
        self._coder: Any = _PlainCoder(words) if self._plain else constriction.stream.stack.AnsCoder(words)

    def code(self, frequencies: NDArray[Any]) -> NDArray[Any]:
        """The next symbols int64 (N,), each under its row of `frequencies` (N, A)."""
        symbols: NDArray[np.int64]
        if self._plain:
            symbols = self._coder.pop(frequencies)
            return symbols
        family = constriction.stream.model.Categorical(perfect=False)  # frequency - 1: see symbol_stream.py
        symbols = self._coder.decode(family, (frequencies - 1).astype(np.float64)).astype(np.int64)
        return symbols

    def finish(self) -> None:
        """Check that the words are used up, so that no other words stand for these symbols. FormatError if not."""
        if not self._coder.is_empty():
            raise FormatError("coded words are left over after the last symbol; copy the file again")


class _PlainCoder(ans.AnsCoder):
    """The plain coder for symbols with a model each."""

    def push(self, own: NDArray[Any], lower: NDArray[Any]) -> None:
        """Put symbols on the stack, the first on top. `own` (N,): their frequencies, `lower` (N,): the sums below."""
        x, words = self._state, self._words
        for f, c in zip(own[::-1].tolist(), lower[::-1].tolist(), strict=True):
            if x >> 40 >= f:
                words.append(x & _WORD_MASK)
                x >>= 32
            x = (x // f << PRECISION) | (x % f + c)
        self._state = x

    def pop(self, frequencies: NDArray[Any]) -> NDArray[Any]:
        """Take a symbol off the stack under each row of `frequencies` (N, A): int64 (N,)."""
        x, words = self._state, self._words
        symbols: list[int] = []
        for upper in np.cumsum(frequencies, axis=1).tolist():
            quantile = x & (TOTAL - 1)
            symbol = bisect_right(upper, quantile)
            lower = upper[symbol - 1] if symbol else 0
            x = (x >> PRECISION) * (upper[symbol] - lower) + quantile - lower
            if x <= _WORD_MASK and words:
                x = x << 32 | words.pop()
            symbols.append(symbol)
        self._state = x
        return np.array(symbols, np.int64)
