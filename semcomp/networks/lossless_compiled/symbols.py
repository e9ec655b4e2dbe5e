"""Symbols to words and tables that follow them, compiled: the same words and tables as `Stack` and `AdaptiveBank`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import Tables
from semcomp.bitstream.symbol_stream import Stack
from semcomp.lossless.banks import PRIOR_WEIGHT, AdaptiveBank, Int32
from semcomp.networks.lossless_compiled.coder import count, group, pop, push, rebuild


class CompiledCoder:
    """The words and the state of `semcomp.bitstream.ans.AnsCoder`."""

    def __init__(self, words: NDArray[np.uint32] | None) -> None:
        data = np.zeros(0, np.uint32) if words is None else words
        used = max(0, len(data) - 2)
        state = sum(int(word) << 32 * place for place, word in enumerate(data[used:]))
        self.words, self.state = data[:used].copy(), np.array([state, used], np.uint64)

    def reserve(self, count: int) -> None:
        """Make room for some words more."""
        needed = self.pos()[0] + count
        if needed > len(self.words):
            self.words = np.append(self.words, np.empty(max(needed, len(self.words)), np.uint32))

    def pos(self) -> tuple[int, int]:
        """Number of words below the state, and the state."""
        return int(self.state[1]), int(self.state[0])

    def get_compressed(self) -> NDArray[np.uint32]:
        """The words of the stack and of the state."""
        used, state = self.pos()
        top = [state & 0xFFFFFFFF, state >> 32] if state >> 32 else [state] if state else []
        return np.append(self.words[:used], np.array(top, np.uint32))

    def is_empty(self) -> bool:
        """Whether nothing is left on the stack."""
        return self.pos() == (0, 0)


class CompiledStack(Stack):
    """A stack whose categories of all tables are pushed and popped by one call."""

    def __init__(self, words: NDArray[Any] | None = None, *, plain: bool = False) -> None:
        """``plain`` is the plain coder of `Stack`."""
        super().__init__(words, plain=plain)
        if not plain:
            self.coder = CompiledCoder(words)

    def group(self, index: NDArray[Any], tables: Tables) -> tuple[NDArray[Any], NDArray[Any]]:
        """The coded positions sorted by table, and the number of them for each table (T,)."""
        if self.plain or index.max(initial=-1) >= len(tables):
            return super().group(index, tables)  # which refuses what has no table
        counts, order = np.empty(len(tables), np.int64), np.empty(len(index), np.int64)
        group(index.astype(np.int32, copy=False), counts, order)
        return order[: counts.sum()], counts

    def push(self, categories: NDArray[Any], counts: NDArray[Any], tables: Tables) -> None:
        """Put categories (K,) on top, as `Stack.push` does."""
        if self.plain:
            super().push(categories, counts, tables)
        else:
            self.coder.reserve(len(categories))
            push(categories, counts, tables.offsets, tables.flat, self.coder.state, self.coder.words)

    def pop(self, counts: NDArray[Any], tables: Tables) -> NDArray[Any]:
        """Take categories off, as `Stack.pop` does."""
        if self.plain:
            return super().pop(counts, tables)
        categories = np.empty(counts.sum(), np.int32)
        pop(categories, counts, tables.offsets, tables.flat, self.coder.state, self.coder.words)
        return categories


class CompiledBank(AdaptiveBank):
    """The tables of one channel of one file."""

    def _count(self, tables: Int32, symbols: Int32) -> None:
        prior = self._prior
        count(tables.astype(np.int32), symbols, prior.bounds, prior.offsets, self._counts, self._changed)

    def _mix(self) -> None:
        prior = self._prior
        rebuild(self._changed, prior.offsets, prior.flat, PRIOR_WEIGHT, self._counts, self._frequencies)
