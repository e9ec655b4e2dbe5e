"""What a network sees before it predicts a pixel: integers, the same on every machine.

    features  (F, N)   integers in -127..127, N = B h w cells in order image, row, column

Every prediction is scaled by the activity of its surroundings: k grows by one when differences double. Differences are
multiplied by 16 and shifted right by k, so that the networks see the same numbers at every contrast, and their output
is shifted back. Nothing that is computed from 8-bit images here leaves 16 bits, but for the sums of fits.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semcomp.lossless.fits import (
    BOLD,
    FITS,
    HELD,
    PIXELS,
    WIDE,
    LumaFit,
    Moments,
    line,
    misses,
    offset,
    plane,
    slope,
    window_sum,
)
from semcomp.lossless.geometry import PASSES, Neighbour, known_before, window
from semcomp.lossless.known import CHANNELS, Known, Place
from semcomp.lossless.rows import Rows

FEATURE_LIMIT = 127
FLAG = 64
"""What a flag that is set has as its value."""
ACTIVITIES = 9
"""Flags of k, which is 0..8 for 8-bit images. 16-bit images have k up to 16, and flags of k - 8."""
LEVEL_CLASSES = 3
"""Levels 0 (full size), 1, and all coarser ones."""
FLAGS = LEVEL_CLASSES + ACTIVITIES + 1
"""Features that are flags, the colour transform's among them."""
ROOMS = 6
"""Features that say how far red, green and blue are from their limits."""


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How many pixels the networks look at; windows are filled up to whole rings of equal distance."""

    luma: int = 24
    """Luma around a luma pixel."""
    chroma: int = 12
    """A colour difference around one of its pixels, and the planes before it on the same pixels."""
    own_lattice: int = 8
    """Planes that are known on the lattice of the predicted pixel."""
    others: int = 4
    """Planes that come later in the order."""
    errors: int = 8
    """Pixels whose prediction errors are seen, in all planes."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of one pass."""

    luma: tuple[Neighbour, ...]
    chroma: tuple[Neighbour, ...]
    own_lattice: tuple[Neighbour, ...]
    others: tuple[Neighbour, ...]
    errors: tuple[Neighbour, ...]
    fit: tuple[Neighbour, ...]
    """Luma that the direction of edges is learned from."""
    lattices: int

    def features(self, channel: int) -> int:
        """Number of features of a channel's network."""
        common = CHANNELS * (len(self.errors) + self.lattices) + 1 + ROOMS + FITS[channel] + FLAGS
        if channel == 0:
            return len(self.luma) + 2 * len(self.others) + common
        before = channel * (len(self.chroma) + len(self.own_lattice) + 2)
        return len(self.chroma) + (2 - channel) * len(self.others) + before + common


def windows_of(config: WindowConfig) -> dict[str, Windows]:
    """The windows of every pass."""
    windows = {}
    for target in PASSES:
        known = known_before(target)
        windows[target] = Windows(
            luma=window(target, config.luma, known),
            chroma=window(target, config.chroma, known),
            own_lattice=window(target, config.own_lattice, (target,)),
            others=window(target, config.others, known),
            errors=window(target, config.errors, known),
            fit=window(target, WIDE, known),
            lattices=len(known),
        )
    return windows


@dataclass(frozen=True, kw_only=True)
class Step:
    """The features of some cells, and what their outputs refer to."""

    features: Any
    """(F, N)"""
    initial: Any
    """The traditional prediction (N,)."""
    k: Any
    """Activity (N,)."""


def total(values: Any) -> Any:
    """Sum over the first axis."""
    return values.sum(0, dtype=values.dtype)


def mean_of_four(values: Any) -> Any:
    """The rounded mean of the four nearest pixels."""
    return (total(values[:4]) + 2) >> 2


def activity(xp: Any, size: Any, bits: int) -> Any:
    """k = 0..bits for sums of eight magnitudes: 0 below 8, then one more at every doubling."""
    exponent = xp.asarray(size, dtype=xp.float32).view(xp.int32) >> 23  # of a float32: 130 where size is 8..15
    return xp.asarray(xp.clip(exponent - 129, 0, bits), dtype=size.dtype)


def scale(xp: Any, rows: Any, k: Any) -> None:
    """Turn differences into features, in place: times 16, shifted by the activity, limited."""
    rows <<= 4
    rows >>= k
    limit(xp, rows)


def limit(xp: Any, rows: Any) -> None:
    """Limit features in place."""
    xp.clip(rows, -FEATURE_LIMIT, FEATURE_LIMIT, out=rows)


def add_flags(xp: Any, rows: Rows, place: Place, k: Any) -> None:
    """Add FLAGS rows: which class of levels, which activity, and which colour transform."""
    level = min(place.level, LEVEL_CLASSES - 1)
    for number in range(LEVEL_CLASSES):
        rows.take(1)[:] = FLAG * (number == level)
    numbers = xp.arange(ACTIVITIES, dtype=k.dtype)[:, None]
    one_of = rows.take(ACTIVITIES)
    one_of[:] = xp.clip(k - (place.bits - 8), 0, ACTIVITIES - 1) == numbers
    one_of *= FLAG
    rows.take(1)[:] = FLAG * place.differences


def add_rooms(rows: Rows, place: Place, luma: Any, first: Any, second: Any) -> None:
    """Add ROOMS rows: how far red, green and blue are from the least and from the largest value, as it is expected.

    Many photos have channels that are cut off at 0 or at 255, which differences do not show.
    """
    part = rows.take(ROOMS)
    if place.differences:
        part[0], part[1], part[2] = first + luma, luma, second + luma
    else:
        middle = luma - (second >> 1)
        blue = middle - (first >> 1)
        part[0], part[1], part[2] = blue + first, second + middle, blue
    part[3:] = place.value_limit - part[:3]


def luma_step(known: Known, windows: Windows, fit: LumaFit, *, place: Place, rows: slice) -> Step:
    """What the luma network sees for the cells of ``rows``."""
    xp = known.xp
    table = Rows(xp, windows.features(0), known.cells(rows), known.kind)
    (values,) = table.gather(known.planes, slice(1), windows.luma, rows)
    mean = mean_of_four(values)
    values -= mean
    k = activity(xp, total(xp.abs(values[:8])), place.bits)
    means = []
    for others in table.gather(known.planes, slice(1, 3), windows.others, rows):
        means.append(mean_of_four(others))
        others -= means[-1]
    moved, lines = fit.run(windows.fit, values[:4], k, rows)
    _add_errors(known, table, windows, 0, rows)
    add_rooms(table, place, mean, *means)
    scale(xp, table.filled(), k)
    _add_lines(xp, table, lines, place, k)
    return Step(features=table.values, initial=mean + moved, k=k)


def chroma_step(
    known: Known, windows: Windows, values: tuple[Any, ...], errors: tuple[Any, ...], *, place: Place, rows: slice
) -> Step:
    """What the network of a colour difference sees for the cells of ``rows``.

    Args:
        known: The level; the predicted lattice has the planes before this one.
        windows: The windows of the pass.
        values: The predicted pixels' values in the planes before, (N,) each: luma, or luma and the first difference.
        errors: Their errors, (N,) each.
        place: Where the step is.
        rows: Rows of cells.
    """
    xp, channel = known.xp, len(values)
    table = Rows(xp, windows.features(channel), known.cells(rows), known.kind)
    (own,) = table.gather(known.planes, slice(channel, channel + 1), windows.chroma, rows)
    mean = mean_of_four(own)
    own -= mean
    around = table.gather(known.planes, slice(channel), windows.chroma + windows.own_lattice, rows)
    for part, value in zip(around, values, strict=True):
        part -= value
    k = activity(xp, total(xp.abs(own[:8])) + (total(xp.abs(around[0][:8])) >> 3), place.bits)
    colours = [*values, mean]
    if channel == 1:
        (others,) = table.gather(known.planes, slice(2, 3), windows.others, rows)
        colours.append(mean_of_four(others))
        others -= colours[-1]
    for error in errors:
        part = table.take(2)
        part[0], part[1] = error, xp.abs(error)
    _add_errors(known, table, windows, channel, rows)
    add_rooms(table, place, *colours)
    nearest = [xp.asarray(total(part[:4]), dtype=xp.int32) for part in around]
    scale(xp, table.filled(), k)
    moved, lines = _colour_fit(xp, own[:PIXELS], [part[:PIXELS] for part in around], nearest, k)
    for error, between in zip(errors, _error_slopes(known, windows, channel, rows), strict=True):
        lines += ((between * error >> 2) >> k, between)
    _add_lines(xp, table, lines, place, k)
    return Step(features=table.values, initial=mean + ((moved + 128) >> 8), k=k)


def _colour_fit(xp: Any, values: Any, around: list[Any], nearest: list[Any], k: Any) -> tuple[Any, tuple[Any, ...]]:
    """The prediction's distance from the mean of four, times 256 (N,), and rows of features.

    Args:
        xp: numpy or torch.
        values: The plane on the nearest pixels, scaled (PIXELS, N).
        around: The planes before it on these pixels, scaled.
        nearest: Their sums over the four nearest pixels, not scaled, (N,) int32.
        k: Activity (N,).
    """
    moments = Moments(xp, [values, *around])
    straight: tuple[Any, ...] = (line(moments, BOLD),)
    slopes: list[tuple[Any, ...]] = [straight, (line(moments, HELD),)]
    if len(around) == 2:
        slopes = [plane(moments, held) for held in (BOLD, HELD)] + [straight]
    offsets = [offset(one, nearest) for one in slopes]
    lines = tuple((one >> 4) >> k for one in offsets)
    return offsets[0], (*lines, misses(xp, values, slopes[0], tuple(around)), *slopes[0])


def _error_slopes(known: Known, windows: Windows, channel: int, rows: slice) -> list[Any]:
    """64 times the error that an error of 1 in each earlier plane lets expect, by the errors around, (N,) each."""
    band = slice(0, rows.stop - rows.start)
    pairs = [(before, other) for before in range(channel) for other in (channel, before)]
    sums = window_sum(known.error_products(pairs, rows), windows.chroma, band)
    quiet = len(windows.chroma) << 2 * (known.bits - 8)
    return [slope(known.xp, sums[2 * before], sums[2 * before + 1] + quiet) for before in range(channel)]


def _add_errors(known: Known, table: Rows, windows: Windows, channel: int, rows: slice) -> None:
    """Add magnitudes of the errors around in all planes, the mean error of this plane, and sums over 5x5 cells."""
    errors = table.gather(known.errors, slice(CHANNELS), windows.errors, rows)
    table.append((total(errors[channel, :4]) >> 2)[None])
    known.xp.abs(errors, out=errors)
    for boxes in known.boxes.values():
        table.append(boxes[:, :, rows])


def _add_lines(xp: Any, table: Rows, lines: tuple[Any, ...], place: Place, k: Any) -> None:
    """Add fits and flags."""
    fitted = table.take(len(lines))
    for number, row in enumerate(lines):
        fitted[number] = xp.clip(row, -FEATURE_LIMIT, FEATURE_LIMIT)
    add_flags(xp, table, place, k)
