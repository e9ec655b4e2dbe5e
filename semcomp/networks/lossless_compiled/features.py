"""The features of a band of cells but for fits: `semcomp.lossless.features` for 8-bit images, compiled.

Loops over columns are innermost, read one row each and are at most COLUMNS long, so that they vectorise and what they
need fits into a core's cache.

    planes, errors  (3, 4, h + 4, w + 4)  int16: by plane and lattice, with edges repeated
    window          (P, 3)                lattice, row and column of each pixel
    wide            (F, COLUMNS)          int16: differences
    small           (F, N)                uint8: features plus 128
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int16, uint8

from semcomp.networks.lossless_compiled.jit import compiled, part, sra

COLUMNS = 256
ACTIVITIES, FLAGS, ROOMS = 9, 13, 6


@part
def _gather(plane: Any, window: Any, at: Any, wide: Any) -> None:
    """Fill rows with a plane (4, h + 4, w + 4) on the pixels of a window."""
    row, left, n = at
    for p in range(len(window)):
        first = left + 2 + window[p, 2]
        source, target = plane[window[p, 0], row + 2 + window[p, 1], first : first + n], wide[p]
        for c in range(n):
            target[c] = source[c]


@part
def _subtract(wide: Any, values: Any, n: int) -> None:
    for p in range(len(wide)):
        row = wide[p]
        for c in range(n):
            row[c] -= values[c]


@part
def _total(wide: Any, n: int, sums: Any) -> None:
    """Sums over rows."""
    sums[:n] = 0
    for p in range(len(wide)):
        row = wide[p]
        for c in range(n):
            sums[c] += row[c]


@part
def _mean_of_four(wide: Any, n: int, mean: Any) -> None:
    _total(wide[:4], n, mean)
    for c in range(n):
        mean[c] = (mean[c] + 2) >> 2


@part
def _magnitude(wide: Any, n: int, size: Any) -> None:
    """Sums of magnitudes over eight rows."""
    size[:n] = 0
    for p in range(8):
        row = wide[p]
        for c in range(n):
            size[c] += abs(row[c])


@part
def _activity(size: Any, n: int, k: Any) -> None:
    for c in range(n):
        s = size[c]
        low = int16(s >= 8) + int16(s >= 16) + int16(s >= 32) + int16(s >= 64)
        k[c] = low + int16(s >= 128) + int16(s >= 256) + int16(s >= 512) + int16(s >= 1024)


@part
def _errors(errors: Any, boxes: Any, channel: int, window: Any, at: Any, wide: Any) -> None:
    """Magnitudes of the errors around, their mean, and their sums over 5x5 cells."""
    row, left, n = at
    count = len(window)
    for other in range(3):
        _gather(errors[other], window, at, wide[other * count :])
    mean = wide[3 * count]
    _total(wide[channel * count : channel * count + 4], n, mean)
    for c in range(n):
        mean[c] >>= 2
    for p in range(3 * count):
        line = wide[p]
        for c in range(n):
            line[c] = abs(line[c])
    for number in range(len(wide) - 3 * count - 1):
        source, target = boxes[number % 3, number // 3, row, left : left + n], wide[3 * count + 1 + number]
        for c in range(n):
            target[c] = source[c]


@part
def _rooms(differences: bool, colours: Any, n: int, wide: Any) -> None:
    """How far red, green and blue are from 0 and from 255."""
    luma, first, second, red, green, blue = colours[0], colours[1], colours[2], wide[0], wide[1], wide[2]
    for c in range(n):
        if differences:
            red[c], green[c], blue[c] = first[c] + luma[c], luma[c], second[c] + luma[c]
        else:
            middle = luma[c] - (second[c] >> 1)
            base = middle - (first[c] >> 1)
            red[c], green[c], blue[c] = base + first[c], second[c] + middle, base
    for p in range(3):
        source, target = wide[p], wide[3 + p]
        for c in range(n):
            target[c] = 255 - source[c]


@part
def _scale(wide: Any, k: Any, n: int, first: int, small: Any) -> None:
    """Differences to features: times 16, shifted by the activity, limited."""
    for f in range(len(wide)):
        source, target = wide[f], small[f, first : first + n]
        for c in range(n):
            value = sra(int16(source[c] << 4), k[c])
            target[c] = uint8(min(max(value, int16(-127)), int16(127)) + 128)


@part
def _differences(
    channel: int, planes: Any, windows: Any, at: Any, before: Any, first: int, wide: Any, colours: Any
) -> None:
    """Rows of planes on pixels around, less the mean of four or what is known of the predicted pixel (``colours``)."""
    window, own_lattice, behind, _ = windows
    n, length, unit = at[2], len(window), len(window) + len(own_lattice)
    _gather(planes[channel], window, at, wide)
    _mean_of_four(wide, n, colours[channel])
    _subtract(wide[:length], colours[channel], n)
    for other in range(channel):
        lines = wide[length + other * unit : length + (other + 1) * unit]
        for c in range(n):
            colours[other, c] = before[0, other, first + c]
        _gather(planes[other], window, at, lines)
        _gather(planes[other], own_lattice, at, lines[length:])
        _subtract(lines, colours[other], n)
    used = length + channel * unit
    for other in range(channel + 1, 3 if channel < 2 else 0):
        lines = wide[used : used + len(behind)]
        _gather(planes[other], behind, at, lines)
        _mean_of_four(lines, n, colours[other])
        _subtract(lines, colours[other], n)
        used += len(behind)
    for other in range(channel):
        signed, unsigned = wide[used + 2 * other], wide[used + 2 * other + 1]
        for c in range(n):
            signed[c] = before[1, other, first + c]
            unsigned[c] = abs(signed[c])


@compiled
def features(
    channel: int, level: Any, windows: Any, place: Any, rows: Any, before: Any, small: Any, means: Any, shared: Any
) -> None:
    """What the network of a plane sees of the cells of some rows, but for fits.

    Args:
        channel: The plane that is predicted, 0..2.
        level: Planes, errors, and boxes (3, 4, h, w).
        windows: Pixels of this plane, of the planes before it on their own lattice too, of those behind it, of errors.
        place: Class of the level, 1 where planes are differences to green, number of known lattices, rows of fits.
        rows: The first row, and the row behind the last.
        before: Values and errors of the predicted pixels in the planes before, (2, 2, N) int16.
        small: Gets the features. Rows of fits, in front of the flags, are left as they are.
        means: Gets the mean of the four nearest pixels and k, (2, N) int16.
        shared: Gets what fits need, (2, N) int16: the nearest four pixels of each plane before this one less its value
            here, summed. For luma: the difference of the nearest pixels' two pairs, (1, 1, -1, -1) times `place[4:]`.
    """
    planes, errors, boxes = level
    window, own_lattice, behind, around = windows
    columns, length, unit = boxes.shape[3], len(window), len(window) + len(own_lattice)
    start = length + channel * unit + (2 - channel) * len(behind) + 2 * channel
    scaled = start + 3 * len(around) + 1 + 3 * place[2] + ROOMS
    wide, colours, size = np.empty((scaled, COLUMNS), int16), np.empty((3, COLUMNS), int16), np.empty(COLUMNS, int16)
    flags = small[scaled + place[3] :]
    flags[:] = 128
    flags[place[0]], flags[FLAGS - 1] = 192, 128 + 64 * place[1]
    for row in range(rows[0], rows[1]):
        for left in range(0, columns, COLUMNS):
            n, first = min(COLUMNS, columns - left), (row - rows[0]) * columns + left
            at, k = (row, left, n), means[1, first : first + n]
            _differences(channel, planes, windows, at, before, first, wide, colours)
            for c in range(n):
                means[0, first + c] = colours[channel, c]
            for other in range(channel):
                _total(wide[length + other * unit :][:4], n, shared[other, first : first + n])
            _magnitude(wide, n, size)
            if channel:
                _magnitude(wide[length:], n, k)
                for c in range(n):
                    size[c] += k[c] >> 3
            else:
                one, two, three, four = wide[place[4]], wide[place[5]], wide[place[6]], wide[place[7]]
                for c in range(n):
                    shared[0, first + c] = one[c] + two[c] - three[c] - four[c]
            _activity(size, n, k)
            _errors(errors, boxes, channel, around, at, wide[start : scaled - ROOMS])
            _rooms(place[1] != 0, colours, n, wide[scaled - ROOMS :])
            _scale(wide, k, n, first, small)
            for number in range(ACTIVITIES):
                flag = flags[3 + number, first : first + n]
                for c in range(n):
                    flag[c] = 192 if k[c] == number else 128
