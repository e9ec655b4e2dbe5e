"""The rows of features that come from fits: `semcomp.lossless.fits` for 8-bit images, compiled.

small           (F, N)                uint8: features plus 128, see features.py
lines           (L, N)                uint8: the rows of ``small`` that are filled here
shared          (2, N)                int16: what `features` leaves for fits
means           (2, N)                int16: the mean of the four nearest pixels, and k
curves, steps   (4, h + 4, w + 4)     int16: by lattice
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float64, int16, int32, uint8

from semcomp.networks.lossless_compiled.jit import compiled, part, sra

COLUMNS = 256


@part
def _limit(values: Any, n: int, line: Any) -> None:
    for c in range(n):
        line[c] = uint8(min(max(values[c], int32(-127)), int32(127)) + 128)


@part
def _limit_shifted(values: Any, shift: int, k: Any, n: int, line: Any) -> None:
    """Values to features: shifted by a number and by the activity, limited."""
    for c in range(n):
        value = sra(values[c], int32(k[c] + shift))
        line[c] = uint8(min(max(value, int32(-127)), int32(127)) + 128)


@part
def _slope(shared: Any, spread: Any, quiet: int, limit: float, n: int, target: Any) -> None:
    """64 shared / spread, rounded down. float64 has enough bits for the quotients of these integers."""
    for c in range(n):
        ratio = np.floor(64.0 * float64(shared[c]) / float64(spread[c] + quiet))
        target[c] = int32(min(max(ratio, -limit), limit))


@part
def _products(one: Any, other: Any, pixel: Any, at: Any, shared: Any, spread: Any) -> None:
    """Add products and squares of the first of two planes (4, h + 4, w + 4) at a neighbour."""
    row, left, n = at
    first = left + 2 + pixel[2]
    x = one[pixel[0], row + 2 + pixel[1], first : first + n]
    y = other[pixel[0], row + 2 + pixel[1], first : first + n]
    for c in range(n):
        shared[c] += int32(x[c]) * int32(y[c])
        spread[c] += int32(x[c]) * int32(x[c])


@compiled
def luma_fits(curves: Any, steps: Any, window: Any, rows: Any, shared: Any, means: Any, lines: Any) -> None:
    """The fit of luma to its edges, `LumaFit`. The mean becomes the traditional prediction.

    ``rows`` are the first row of cells and the row behind the last, ``window`` (P, 3) the pixels that are learned from.
    """
    columns, sums = curves.shape[2] - 4, np.empty((5, COLUMNS), int32)
    product, spread, near, missed, size = sums[0], sums[1], sums[2], sums[3], sums[4]
    for row in range(rows[0], rows[1]):
        for left in range(0, columns, COLUMNS):
            n, first = min(COLUMNS, columns - left), (row - rows[0]) * columns + left
            at, end, k, difference = (row, left, n), first + n, means[1, first:], shared[0, first:]
            sums[:] = 0
            for p in range(len(window)):
                _products(steps, curves, window[p], at, product, spread)
                if p == 3:
                    _slope(product, spread, 4 * 256, 128.0, n, near)
            _slope(product, spread, len(window) * 256, 128.0, n, product)
            for p in range(4):
                corner = left + 2 + window[p, 2]
                curve = curves[window[p, 0], row + 2 + window[p, 1], corner : corner + n]
                step = steps[window[p, 0], row + 2 + window[p, 1], corner : corner + n]
                for c in range(n):
                    miss = int32(curve[c]) - int32(int32(near[c] * step[c]) >> 6)
                    missed[c] += miss
                    size[c] += abs(miss)
            _limit(product, n, lines[4, first:end])
            _limit(near, n, lines[5, first:end])
            for c in range(n):
                product[c] *= difference[c]
                near[c] *= difference[c]
                means[0, first + c] += (product[c] + 128) >> 8
            _limit_shifted(product, 4, k, n, lines[0, first:end])
            _limit_shifted(near, 4, k, n, lines[1, first:end])
            _limit_shifted(missed, 0, k, n, lines[2, first:end])
            _limit_shifted(size, 0, k, n, lines[3, first:end])


@part
def _covariance(one: Any, other: Any, at: Any, target: Any) -> None:
    """64 times the covariance of eight rows of features and eight others, in columns ``at``."""
    first, n = at
    for c in range(n):
        shared, x_sum, y_sum = int32(0), int32(0), int32(0)
        for p in range(8):
            x, y = int32(one[p, first + c]) - int32(128), int32(other[p, first + c]) - int32(128)
            shared, x_sum, y_sum = int32(shared + x * y), int32(x_sum + x), int32(y_sum + y)
        target[c] = 8 * shared - x_sum * y_sum


@part
def _plane(moments: Any, held: int, n: int, slopes: Any) -> None:
    """Slopes over two planes at once, `fits.plane`, of the covariances 01, 11, 02, 22 and 12."""
    for c in range(n):
        one, two, both = float64(moments[1, c] + held), float64(moments[3, c] + held), float64(moments[4, c])
        x, y, determinant = float64(moments[0, c]), float64(moments[2, c]), one * two - both * both
        first, second = 64.0 * (x * two - y * both), 64.0 * (y * one - x * both)
        slopes[0, c] = int32(min(max(np.floor(first / determinant), -256.0), 256.0))
        slopes[1, c] = int32(min(max(np.floor(second / determinant), -256.0), 256.0))


@part
def _misses(small: Any, starts: Any, at: Any, slopes: Any, rest: Any, line: Any) -> None:
    """How far a plane's features are off a fit over two others, `fits.misses`."""
    first, n = at
    level, size = rest[8], rest[9]
    level[:], size[:] = 0, 0
    for p in range(8):
        x, y, z = small[p, first:], small[starts[0] + p, first:], small[starts[1] + p, first:]
        row, counts = rest[p], int16(p < 4)
        for c in range(n):
            one = int32(slopes[0, c] * (int32(y[c]) - int32(128))) >> 6
            two = int32(slopes[1, c] * (int32(z[c]) - int32(128))) >> 6
            row[c] = int32(x[c]) - int32(128) - one - two
            level[c] += counts * row[c]
    for c in range(n):
        level[c] >>= 2
    for p in range(8):
        row = rest[p]
        for c in range(n):
            size[c] += abs(int16(row[c] - level[c]))
    for c in range(n):
        line[c] = uint8(min(int16(size[c] >> 3), int16(127)) + 128)


@compiled
def colour_fits(channel: int, small: Any, starts: Any, shared: Any, means: Any, lines: Any) -> None:
    """The fit of a colour difference over the planes before it. The mean becomes the traditional prediction.

    ``starts`` are the rows of ``small`` where the two planes begin that it is fitted over. Both are the same for the
    first difference, whose slope over the second of them is 0.
    """
    sums, rest, cells = np.zeros((12, COLUMNS), int32), np.empty((10, COLUMNS), int16), means.shape[1]
    offset, slopes, moments = sums[0], sums[1:7], sums[7:12]
    own, one, two = small[:8], small[starts[0] : starts[0] + 8], small[starts[1] : starts[1] + 8]
    for first in range(0, cells, COLUMNS):
        n = min(COLUMNS, cells - first)
        at, end, k = (first, n), first + n, means[1, first:]
        _covariance(own, one, at, moments[0])
        _covariance(one, one, at, moments[1])
        if channel == 1:
            _slope(moments[0], moments[1], 64 * 16, 256.0, n, slopes[0])
            _slope(moments[0], moments[1], 64 * 256, 256.0, n, slopes[2])
        else:
            _covariance(own, two, at, moments[2])
            _covariance(two, two, at, moments[3])
            _covariance(one, two, at, moments[4])
            _plane(moments, 64 * 16, n, slopes[:2])
            _plane(moments, 64 * 256, n, slopes[2:4])
            _slope(moments[0], moments[1], 64 * 16, 256.0, n, slopes[4])
        for fit in range(channel, -1, -1):
            for c in range(n):
                offset[c] = -slopes[2 * fit, c] * shared[0, first + c] - slopes[2 * fit + 1, c] * shared[1, first + c]
            _limit_shifted(offset, 4, k, n, lines[fit, first:end])
        for c in range(n):
            means[0, first + c] += (offset[c] + 128) >> 8
        _misses(small, starts, at, slopes, rest, lines[channel + 1, first:end])
        for number in range(channel):
            _limit(slopes[number], n, lines[channel + 2 + number, first:end])


@compiled
def error_fits(channel: int, errors: Any, window: Any, rows: Any, before: Any, means: Any, lines: Any) -> None:
    """What the errors ``before`` (channel, N) of the predicted pixels let expect: two rows for each plane before.

    ``errors`` are of all planes and lattices, ``window`` (P, 3) has the pixels around.
    """
    columns, sums = errors.shape[3] - 4, np.empty((2, COLUMNS), int32)
    product, spread = sums[0], sums[1]
    for row in range(rows[0], rows[1]):
        for left in range(0, columns, COLUMNS):
            n, first = min(COLUMNS, columns - left), (row - rows[0]) * columns + left
            at, end, k = (row, left, n), first + n, means[1, first:]
            for other in range(channel):
                sums[:] = 0
                for p in range(len(window)):
                    _products(errors[other], errors[channel], window[p], at, product, spread)
                _slope(product, spread, len(window), 256.0, n, product)
                _limit(product, n, lines[2 * other + 1, first:end])
                for c in range(n):
                    product[c] *= before[other, first + c]
                _limit_shifted(product, 2, k, n, lines[2 * other, first:end])
