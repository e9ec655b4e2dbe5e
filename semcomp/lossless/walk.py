"""The order of an image: from one pixel to all of them, one level of 2x after the other. Encoder and decoder run it.

Each level has three passes, each pass has three steps: luma, then the two colour differences. A step predicts all its
pixels at once, and then codes them at once. The code runs on numpy and on torch: see level.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import FormatError
from semcomp.lossless.geometry import OFFSETS, PASSES, level_sizes
from semcomp.lossless.known import Place
from semcomp.lossless.level import Level, Networks
from semcomp.lossless.step import Prediction, coarser_tables, without_low_bits

Int32 = NDArray[np.int32]

SHARED_CELLS = 1 << 12
"""Steps of at least this size are shared among threads."""


class SymbolCoder(Protocol):
    """Writes or reads the symbols of one step after the other."""

    def begin(self, level: int) -> None:
        """The steps of a level follow."""

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Code one step of ``channel`` (0 luma, 1 and 2 colour differences).

        ``tables`` (N,) has the number of every symbol's table. A writer gets ``symbols`` (N,) and returns them, a
        reader gets None and returns what it has read.
        """

    def code_bits(self, count: Int32, values: Int32 | None) -> Int32:
        """Code ``count`` (N,) bits of each value as they are."""


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The cells of a step: the rows that have pixels, all columns, and the columns that have pixels."""

    rows: int
    columns: int
    existing: int

    def grid(self, flat: Any) -> Any:
        """(N,) to (rows, columns)"""
        return flat.reshape(self.rows, self.columns)

    def pixels(self, flat: Any) -> Any:
        """(N,) to the values of existing pixels"""
        return self.grid(flat)[:, : self.existing].reshape(-1)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One image on its way: the networks that predict it, and the coder that writes or reads it."""

    networks: Networks
    on_numpy: Networks
    """What small levels run: these networks on numpy."""
    coder: SymbolCoder
    channels: int
    """1 for grey, 3 for colour"""
    differences: bool = False
    """The planes are green and differences to green."""
    bits: int = 8
    """Depth of the samples, 8 or 16."""
    near: int = 0
    """Pixels may be off by this much. Colour then needs ``differences``: red and blue are coded as differences to the
    green that a decoder has, so that their errors do not add up."""

    def run(
        self,
        height: int,
        width: int,
        first: Int32,
        truth: NDArray[Any] | None,
        *,
        until: int = 0,
        check: Callable[[int, NDArray[Any]], None] | None = None,
    ) -> NDArray[Any]:
        """Code an image whose top left pixel is ``first`` (C,).

        Args:
            height: Rows of the image.
            width: Columns of the image.
            first: Values of the top left pixel in every channel.
            truth: The planes (C, height, width) for a writer, None for a reader. With ``near`` they are green, red
                and blue themselves.
            until: The last level that is coded. Level l has every 2^l-th row and column.
            check: Is called with every level and its planes once they are known.

        Returns:
            The planes of the last level (C, rows, columns), int16 for 8-bit images and int32 for others.
        """
        with getattr(self.networks.xp, "inference_mode", nullcontext)():  # torch is faster where nothing has a gradient
            return self._levels(level_sizes(height, width), first, truth, until=until, check=check)

    def _levels(
        self,
        sizes: list[tuple[int, int]],
        first: Int32,
        truth: NDArray[Any] | None,
        *,
        until: int,
        check: Callable[[int, NDArray[Any]], None] | None,
    ) -> NDArray[Any]:
        """Code an image whose levels have some sizes, as `run` describes."""
        planes: Any = np.zeros((3, 1, 1), np.int16 if self.bits == 8 else np.int32)
        planes[: self.channels] = first.reshape(-1, 1, 1)  # a grey image has colour differences of 0
        errors: Any = np.zeros_like(planes)
        for level in range(len(sizes) - 2, until - 1, -1):
            self.coder.begin(level)
            shown = None if truth is None else truth[:, :: 1 << level, :: 1 << level]
            few = planes.shape[1] * planes.shape[2] <= self.networks.few_cells
            walk = replace(self, networks=self.on_numpy) if few else self
            xp = walk.networks.xp
            planes, errors = walk._level(level, sizes[level], xp.asarray(planes), xp.asarray(errors), shown)
            if check is not None:
                check(level, np.asarray(planes[: self.channels]))
        return np.asarray(planes[: self.channels])

    @property
    def _kind(self) -> Any:
        """Type of the planes."""
        return self.networks.xp.int16 if self.bits == 8 else self.networks.xp.int32

    def _level(
        self, level: int, size: tuple[int, int], coarse: Any, errors: Any, truth: NDArray[Any] | None
    ) -> tuple[Any, Any]:
        """Planes and errors (3, h, w) of a level, computed from the next coarser level's."""
        xp, (rows, columns) = self.networks.xp, coarse.shape[1:]
        place = Place(level=level, differences=self.differences, bits=self.bits)
        known = self.networks.level(place, rows, columns)
        known.add("00", coarse, errors)
        # Nothing is coded after level 0: no step needs its errors, and an exact writer has its planes.
        fine = None if not level and truth is not None and not self.near else self._spread(coarse)
        fine_errors = self._spread(errors) if level else None
        for target in PASSES:
            down, right = OFFSETS[target]
            cells = _Cells(rows=(size[0] + 1 - down) // 2, columns=columns, existing=(size[1] + 1 - right) // 2)
            values, off = coarse + 0, xp.zeros((3, rows, columns), dtype=self._kind)
            if cells.rows and cells.existing:
                shown = None if truth is None else truth[:, down::2, right::2]
                self._pass(known, target, place, cells, values, off, shown)
            for whole, part in ((fine, values), (fine_errors, off)):
                if whole is not None:
                    whole[:, down::2, right::2] = part
            if target != PASSES[-1]:
                known.add(target, values, off)
        planes = truth if fine is None else fine[:, : size[0], : size[1]]
        return planes, None if fine_errors is None else fine_errors[:, : size[0], : size[1]]

    def _spread(self, coarse: Any) -> Any:
        """(3, h, w) to (3, 2h, 2w): lattice 00 of a level, and zeros."""
        fine = self.networks.xp.zeros((3, 2 * coarse.shape[1], 2 * coarse.shape[2]), dtype=self._kind)
        fine[:, ::2, ::2] = coarse
        return fine

    def _pass(
        self, known: Level, target: str, place: Place, cells: _Cells, values: Any, off: Any, truth: NDArray[Any] | None
    ) -> None:
        """Code the pixels of one lattice, and enter them and their errors into ``values`` and ``off``."""
        known.begin(target)
        before: list[tuple[Any, Any]] = []
        for channel in range(self.channels):
            parts = list(self.networks.each(partial(known.predict, channel, before), _bands(cells, self.networks)))
            error = self._code(channel, _joined(self.networks.xp, parts), place, cells, values, truth)
            off[channel, : cells.rows] = cells.grid(place.limited(self.networks.xp, error))
            before.append((values[channel, : cells.rows].reshape(-1), error))
            known.add_values(values[: channel + 1])

    def _code(
        self, channel: int, prediction: Prediction, place: Place, cells: _Cells, values: Any, truth: NDArray[Any] | None
    ) -> Any:
        """Code one step, enter its pixels into ``values``, and return their errors (N,), 0 where no pixel exists."""
        xp, step = self.networks.xp, 2 * self.near + 1
        mean, tables = np.asarray(cells.pixels(prediction.mean)), np.asarray(cells.pixels(prediction.table))
        luma = np.asarray(cells.pixels(values[0, : cells.rows].reshape(-1)), np.int32)
        green = luma if self.near and channel else 0
        symbols = None if truth is None else truth[channel].reshape(-1) - green - mean
        if self.near and symbols is not None:
            symbols = (symbols + self.near) // step
        tables = coarser_tables(tables, self.near) if self.near else tables
        coded = mean + step * self._symbols(channel, tables, symbols)
        if self.near:
            coded = np.clip(coded, -green, place.value_limit - green)
        elif coded.max() > place.value_limit or coded.min() < -place.value_limit:
            raise FormatError(f"a decoded value is beyond what {self.bits}-bit pixels give; copy the file again")
        values[channel, : cells.rows, : cells.existing] = xp.asarray(coded).reshape(cells.rows, -1)
        error = xp.zeros((cells.rows, cells.columns), dtype=self._kind)
        error[:, : cells.existing] = xp.asarray(coded - mean).reshape(cells.rows, -1)
        return error.reshape(-1)

    def _symbols(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Write or read symbols; the low bits of widely spread ones are stored as they are."""
        if self.bits == 8:
            return self.coder.code(channel, tables, symbols)
        tables, low = without_low_bits(tables)
        high = self.coder.code(channel, tables, None if symbols is None else symbols >> low)
        rest = self.coder.code_bits(low, None if symbols is None else symbols & ((1 << low) - 1))
        joined: Int32 = (high << low) + rest
        return joined


def _bands(cells: _Cells, networks: Networks) -> list[slice]:
    """Rows of cells in bands of equal size: at most about ``band_cells``, and ``at_once`` bands or a multiple."""
    count = -(-cells.rows * cells.columns // networks.band_cells)
    if cells.rows * cells.columns >= SHARED_CELLS:
        count = -(-count // networks.at_once) * networks.at_once
    ends = [number * cells.rows // count for number in range(count + 1)]
    return [slice(top, end) for top, end in pairwise(ends) if top < end]


def _joined(xp: Any, parts: list[Prediction]) -> Prediction:
    return Prediction(xp.concatenate([part.mean for part in parts]), xp.concatenate([part.table for part in parts]))
