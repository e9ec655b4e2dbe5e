"""The table numbers of four passes, each of the last three refined by the integers of the passes before it.

    r      symbol of a coded element                 i     its table number, 0..63
    own    T[i, min(|r|, 1023)]: how far the symbol speaks for a wider (+) or narrower (-) table, -127..127; 0 where
           nothing is coded
    seen   own where the pass of an element is over, else clip(floor(sum of own over its 8 neighbours / 4), -127, 127)
    i      of pass n = refinement of the sums of the sigma path by `seen` (FORMAT.md, semcomp/networks/refine.py)

Encoder and decoder drive `RefinedTables` alike: `index()` for a pass, then `add(symbols)`. Everything is an integer.
Elements of a pass are arrays (M, h, w) with half the rows and columns of y (passes.py). `seen` holds the places of the
2x2 blocks apart: (M, 4, h, w). Each new symbol changes the sums of its eight neighbours alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.pipeline.passes import FOUR, PLACES, halved, put_quarter, quarter

LARGEST = 1023
"""Larger magnitudes of symbols count as this one."""
SURPRISE_LIMIT = 127
SCALES, SHIFT2 = 64, 10

Integers = NDArray[Any]
Refine = Callable[[NDArray[np.int8], Integers, int], NDArray[np.int8]]
"""Maps `seen` (M, 4, N), the sums of a pass (M, N) and its number to table numbers 0..63, int8 (M, N)."""


class RefinedTables:
    """The table numbers of one picture, while the symbols of one pass after the other become known."""

    def __init__(
        self,
        sums: Integers,
        *,
        rows: int,
        columns: int,
        keep: NDArray[np.bool_] | None,
        surprise: NDArray[np.int8],
        refine: Refine,
        skip: int,
    ):
        """Start before the first pass.

        Args:
            sums: Sums of the sigma path, integers of any type, (M, at least rows, at least columns).
            rows: Rows of y.
            columns: Columns of y.
            keep: bool (rows, columns): positions that are coded. None for all.
            surprise: T after a line of zeros for what is not coded, flat, (65 * 1024,): see `surprise_lines`.
            refine: The integer network.
            skip: Elements with a smaller table number are not coded.
        """
        even = sums[:, : 2 * halved(rows), : 2 * halved(columns)]
        self._sums = [quarter(even, number) for number in range(FOUR)]
        self._closed = _closed(rows, columns, keep)
        self._surprise, self.refine, self._skip = surprise, refine, skip
        shape = (len(sums), FOUR, halved(rows), halved(columns))
        self._seen, self._around = np.zeros(shape, np.int8), np.zeros(shape, np.int16)
        self._plane = np.full((len(sums), rows, columns), -1, np.int8)
        self._number, self._index = 0, np.zeros(0, np.int8)

    @property
    def plane(self) -> NDArray[np.int8]:
        """Table numbers (M, rows, columns), -1 where nothing is coded and in passes that have not begun."""
        return self._plane

    def index(self) -> NDArray[np.int8]:
        """Table numbers of the next pass, int8 (M, h, w), -1 where nothing is coded."""
        number, sums = self._number, self._sums[self._number]
        if number:
            self._look_around(number)
            count = sums.shape[1] * sums.shape[2]
            flat = self.refine(self._seen.reshape(len(sums), FOUR, count), sums.reshape(-1, count), number)
            index = flat.reshape(sums.shape)
        else:
            index = np.clip(np.floor(sums * 2.0**-SHIFT2), 0, SCALES - 1).astype(np.int8)
        index[index < self._skip] = -1
        if self._closed is not None:
            for group in range(FOUR):
                np.copyto(index[group::FOUR], np.int8(-1), where=self._closed[(number - group) % FOUR])
        put_quarter(self._plane, number, index)
        self._index = index
        return index

    def add(self, symbols: Integers) -> None:
        """Take the symbols of the pass that `index` was called for, integers (M, h, w). Others are ignored."""
        if self._number < FOUR - 1:
            size = np.minimum(np.abs(symbols.astype(np.int32)), LARGEST)
            place = (self._index.astype(np.int32) + 1) * (LARGEST + 1) + size
            self._spread(self._surprise[place])
        self._number += 1

    def _spread(self, own: NDArray[np.int8]) -> None:
        """Store the surprise of a pass, and add it to the sums of the neighbours that are still to come."""
        for group in range(FOUR):
            mine = own[group::FOUR].astype(np.int16)
            place = (self._number - group) % FOUR
            row, column = PLACES[place]
            self._seen[group::FOUR, place] = mine
            beside = _pairs(mine, 2, ahead=not column)
            sums = {
                (row, 1 - column): beside,
                (1 - row, column): _pairs(mine, 1, ahead=not row),
                (1 - row, 1 - column): _pairs(beside, 1, ahead=not row),
            }
            for other, added in sums.items():
                self._around[group::FOUR, PLACES.index(other)] += added

    def _look_around(self, number: int) -> None:
        """Fill `seen` from the neighbours where the pass is not over."""
        for group in range(FOUR):
            for place in range(FOUR):
                if (place + group) % FOUR >= number:
                    mean = self._around[group::FOUR, place] >> 2
                    self._seen[group::FOUR, place] = np.clip(mean, -SURPRISE_LIMIT, SURPRISE_LIMIT)


def _pairs(values: NDArray[np.int16], axis: int, *, ahead: bool) -> NDArray[np.int16]:
    """Sum of every element and the next one along `axis`, or the one before it. Zeros surround the values."""
    out, one, other = values.copy(), [slice(None)] * 3, [slice(None)] * 3
    one[axis], other[axis] = slice(None, -1), slice(1, None)
    if not ahead:
        one, other = other, one
    out[tuple(one)] += values[tuple(other)]
    return out


def _closed(rows: int, columns: int, keep: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """bool (4, h, w): positions of every place that are outside of y or not kept. None where there are none."""
    if keep is None and not rows % 2 and not columns % 2:
        return None
    closed = np.ones((2 * halved(rows), 2 * halved(columns)), np.bool_)
    closed[:rows, :columns] = False if keep is None else ~keep
    places: NDArray[np.bool_] = np.stack([closed[row::2, column::2] for row, column in PLACES])
    return places


def surprise_lines(table: NDArray[Any]) -> NDArray[np.int8]:
    """The surprise table of a release, int8 (64, 1024), after a line of zeros: flat, (65 * 1024,)."""
    lines = np.asarray(table, np.int8).reshape(SCALES, LARGEST + 1)
    return np.concatenate([np.zeros((1, LARGEST + 1), np.int8), lines]).ravel()
