"""Adaptive coding: every symbol under frequencies of its own, which follow what was coded before it.

:class:`Counts` makes the frequencies, integers computed from integers, so that every machine has the same.
:class:`Writer` and :class:`Reader` turn symbols into the words of ans.py and back. Reading uses constriction
where it is installed; it needs all of a row, which would be too much to keep until the last symbol is written first.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from semcomp.bitstream import ans
from semcomp.bitstream.frequency_tables import PRECISION, TOTAL
from semcomp.errors import FormatError

try:
    import constriction
except ImportError:  # no wheel for aarch64 or musl
    constriction = None

HAS_CONSTRICTION = constriction is not None
_STEP = 16
"""What a symbol adds to its count: halving a count keeps fractions of a symbol."""
_FINE_WEIGHT = 6 * _STEP
"""Of the coarse context's expectation, against the counts of the fine one."""
_FINE_LIMIT = 200 * _STEP
_WORD_MASK = (1 << 32) - 1


class Counts:
    """How often each of A symbols came in a coarse and in a fine context, and the frequencies that follow from it.

    Shares are mixed as by Dirichlet priors: the coarse context starts from a guess that weighs as much as A symbols,
    the fine one from what the coarse one expects, with the weight of 6.
    """

    def __init__(self, guess: np.ndarray, *, fine: int) -> None:
        """``guess`` (coarse contexts, A): integer weights of the symbols; ``fine``: the number of fine contexts."""
        alphabet = guess.shape[1]
        self._room = TOTAL - alphabet  # one unit is everybody's own: no frequency is 0
        self._guess = guess.astype(np.int64) * self._room // guess.sum(axis=1, keepdims=True)
        self._coarse = np.zeros(guess.shape, np.int64)
        self._fine = np.zeros((fine, alphabet), np.int64)
        self._ones = np.ones(alphabet, np.int64)  # along a short axis a product is faster than a sum

    def frequencies(self, coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """int64 (N, A), rows adding up to 2**24, for the contexts ``coarse`` (N,) and ``fine`` (N,)."""
        weight = _STEP * len(self._ones)
        total = (self._coarse @ self._ones + weight)[:, None]
        expected = (self._coarse * self._room + self._guess * weight) // total
        counts = self._fine.take(fine, axis=0)
        total = (counts @ self._ones + _FINE_WEIGHT)[:, None]
        frequencies = (counts * self._room + expected.take(coarse, axis=0) * _FINE_WEIGHT) // total + 1
        frequencies[:, 0] += TOTAL - frequencies @ self._ones
        return frequencies

    def add(self, coarse: np.ndarray, fine: np.ndarray, symbols: np.ndarray) -> None:
        """Count ``symbols`` (N,). A fine context beyond 200 of them is halved, so that the latest tell most."""
        np.add.at(self._coarse.reshape(-1), coarse * len(self._ones) + symbols, _STEP)
        np.add.at(self._fine.reshape(-1), fine * len(self._ones) + symbols, _STEP)
        full = fine[self._fine.take(fine, axis=0) @ self._ones > _FINE_LIMIT]
        self._fine[full] = self._fine[full] >> 1  # once, however often it is in the list


class Writer:
    """Collects symbols in the order in which a reader wants them: 8 bytes of memory for each."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []  # of each symbol its frequency, and those below

    def code(self, frequencies: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Take ``symbols`` (N,), each under its row of ``frequencies`` (N, A); they are returned as they are."""
        at = np.arange(symbols.size), symbols
        own = frequencies[at]
        lower = np.cumsum(frequencies, axis=1)[at] - own
        self._parts.append((own.astype(np.int32), lower.astype(np.int32)))
        return symbols

    def finish(self) -> bytes:
        """The words of everything so far, without the zero bytes that end the last one."""
        coder = _PlainCoder()
        for own, lower in reversed(self._parts):
            coder.push(own, lower)
        return coder.get_compressed().astype("<u4", copy=False).tobytes().rstrip(b"\0")


class Reader:
    """Gives back what :class:`Writer` took, for the same frequencies. FormatError for words that end in a zero byte."""

    def __init__(self, data: bytes, *, plain: bool = False) -> None:
        """``plain`` does without constriction even where it is installed; the symbols are the same."""
        if data.endswith(b"\0"):
            raise FormatError("the coded words end in a zero byte, which no encoder writes; copy the file again")
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        self._plain = plain or not HAS_CONSTRICTION
        self._coder: Any = _PlainCoder(words) if self._plain else constriction.stream.stack.AnsCoder(words)

    def code(self, frequencies: np.ndarray) -> np.ndarray:
        """int64 (N,): the next symbols, each under its row of ``frequencies`` (N, A)."""
        if self._plain:
            return self._coder.pop(frequencies)
        family = constriction.stream.model.Categorical(perfect=False)  # frequency - 1: see symbol_stream.py
        return self._coder.decode(family, (frequencies - 1).astype(np.float64)).astype(np.int64)

    def finish(self) -> None:
        """FormatError unless the words have been used up: then no other words stand for these symbols."""
        if not self._coder.is_empty():
            raise FormatError("coded words are left over after the last symbol; copy the file again")


class _PlainCoder(ans.AnsCoder):
    """The plain coder for symbols that have no model in common."""

    def push(self, own: np.ndarray, lower: np.ndarray) -> None:
        """Put symbols on the stack, the first on top: the frequency (N,) of each, and the sum of those below it."""
        x, words = self._state, self._words
        for f, c in zip(own[::-1].tolist(), lower[::-1].tolist(), strict=True):
            if x >> 40 >= f:
                words.append(x & _WORD_MASK)
                x >>= 32
            x = (x // f << PRECISION) | (x % f + c)
        self._state = x

    def pop(self, frequencies: np.ndarray) -> np.ndarray:
        """int64 (N,): take a symbol off the stack under each row of ``frequencies`` (N, A)."""
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
