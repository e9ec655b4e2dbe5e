"""A level of an 8-bit image whose predictions are compiled, on numpy arrays. `ArrayLevel` is its twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcomp.lossless.features import LEVEL_CLASSES, Windows
from semcomp.lossless.fits import FITS, ORDER
from semcomp.lossless.geometry import KINDS, OFFSETS, PASSES, REACH, Neighbour, known_before
from semcomp.lossless.known import CHANNELS, Place
from semcomp.lossless.step import Prediction
from semcomp.networks.lossless_compiled import Bytes, Int16, Int32
from semcomp.networks.lossless_compiled.features import FLAGS, features
from semcomp.networks.lossless_compiled.fits import colour_fits, error_fits, luma_fits
from semcomp.networks.lossless_compiled.planes import enter, enter_boxes, enter_edges

Predict = Callable[[str, Bytes, Int16, Int32, Int32], None]
LATTICES = tuple(OFFSETS)
_APART = 64
"""Columns behind the last cell: rows whose distance is a power of two would share few lines of the cache, and tiles
read the columns behind the last cell."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The windows of one pass as numbers: lattice, row and column of each pixel, (P, 3)."""

    target: str
    count: tuple[int, ...]
    """Features of each plane's network."""
    luma: NDArray[np.int64]
    chroma: NDArray[np.int64]
    own_lattice: NDArray[np.int64]
    others: NDArray[np.int64]
    errors: NDArray[np.int64]
    fit: NDArray[np.int64]


def pixels_of(target: str, windows: Windows) -> Pixels:
    """The windows of the pass ``target``."""

    def numbers(window: Sequence[Neighbour]) -> NDArray[np.int64]:
        return np.array([(LATTICES.index(pixel.lattice), pixel.row, pixel.column) for pixel in window], np.int64)

    names = ("luma", "chroma", "own_lattice", "others", "errors", "fit")
    count = tuple(windows.features(channel) for channel in range(CHANNELS))
    return Pixels(target=target, count=count, **{name: numbers(getattr(windows, name)) for name in names})


class CompiledLevel:
    """A level of an 8-bit image.

    Args:
        place: Where it is, and what its planes mean.
        rows: Rows of cells.
        columns: Columns of cells.
        passes: The windows of every pass.
        predict: Runs the network of a name on the features plus 128 of N cells, uint8 (F, N + 64), and on their
            traditional predictions and activities, int16 (2, N). It fills means and numbers of tables, int32 (N,).
    """

    def __init__(self, place: Place, rows: int, columns: int, passes: dict[str, Pixels], predict: Predict) -> None:
        padded = (CHANNELS, len(LATTICES), rows + 2 * REACH, columns + 2 * REACH)
        self._place, self._columns, self._passes, self._predict = place, columns, passes, predict
        self._planes, self._errors = np.empty(padded, np.int16), np.empty(padded, np.int16)
        self._boxes = np.empty((CHANNELS, len(LATTICES), rows, columns), np.int16)
        self._curves, self._steps = np.empty(padded[1:], np.int16), np.empty(padded[1:], np.int16)
        self._pass = passes[PASSES[0]]

    def add(self, lattice: str, planes: Int16, errors: Int16) -> None:
        """Enter a lattice whose planes and errors (3, h, w) are known."""
        number = LATTICES.index(lattice)
        for channel in range(CHANNELS):
            enter(np.ascontiguousarray(planes[channel]), self._planes[channel, number])
            enter(np.ascontiguousarray(errors[channel]), self._errors[channel, number])
            enter_boxes(self._errors[channel, number], self._boxes[channel, number])

    def begin(self, target: str) -> None:
        """The lattice ``target`` is predicted next."""
        self._pass = self._passes[target]
        for lattice in known_before(target):
            number = LATTICES.index(lattice)
            enter_edges(self._planes[0, number], target == "11", self._curves[number], self._steps[number])

    def add_values(self, planes: Int16) -> None:
        """Enter the last of the first planes (C, h, w) of the lattice that is being predicted."""
        channel = len(planes) - 1
        enter(planes[channel], self._planes[channel, LATTICES.index(self._pass.target)])

    def predict(self, channel: int, before: Sequence[tuple[Int16, Int16]], rows: slice) -> Prediction:
        """Predict a plane of the lattice in some rows of cells."""
        small, means = self.features(channel, before, rows)
        mean, table = np.empty((2, means.shape[1]), np.int32)
        self._predict(KINDS[channel] + self._pass.target, small, means, mean, table)
        return Prediction(mean, table)

    def features(self, channel: int, before: Sequence[tuple[Int16, Int16]], rows: slice) -> tuple[Bytes, Int16]:
        """Features plus 128, uint8 (F, N + _APART), and the traditional predictions and activities, int16 (2, N)."""
        now, cells, band = self._pass, (rows.stop - rows.start) * self._columns, (rows.start, rows.stop)
        span = slice(rows.start * self._columns, rows.stop * self._columns)
        done = np.zeros((2, max(1, channel), cells if channel else 1), np.int16)
        for number, (values, errors) in enumerate(before):
            done[0, number], done[1, number] = values[span], errors[span]
        small = np.empty((now.count[channel], cells + _APART), np.uint8)
        means, shared = np.empty((2, cells), np.int16), np.zeros((2, cells), np.int16)
        lattices, differences = len(known_before(now.target)), int(self._place.differences)
        place = (min(self._place.level, LEVEL_CLASSES - 1), differences, lattices, FITS[channel], *ORDER[now.target])
        window = now.chroma if channel else now.luma
        windows = (window, now.own_lattice, now.others, now.errors)
        features(channel, (self._planes, self._errors, self._boxes), windows, place, band, done, small, means, shared)
        lines = small[len(small) - FLAGS - FITS[channel] :]
        if channel:
            unit = len(window) + len(now.own_lattice)
            starts = (len(window), len(window) + unit * (channel - 1))
            colour_fits(channel, small, starts, shared, means, lines)
            error_fits(channel, self._errors, window, band, done[1], means, lines[2 + 2 * channel :])
        else:
            luma_fits(self._curves, self._steps, now.fit, band, shared, means, lines)
        return small, means
