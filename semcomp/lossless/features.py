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
    limited,
    line,
    misses,
    offset,
    plane,
    slope,
    window_sum,
)
from semcomp.lossless.geometry import PASSES, Neighbour, known_before, window
from semcomp.lossless.known import CHANNELS, Known, Place

FEATURE_LIMIT = 127
FLAG = 64
"""What a flag that is set has as its value."""
ACTIVITIES = 9
"""Flags of k, which is 0..8 for 8-bit images. 16-bit images have k up to 16, and the last flag for all above 8."""
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
    return xp.stack([size >= 8 << step for step in range(bits)]).sum(0, dtype=size.dtype)


def scaled(xp: Any, values: Any, k: Any) -> Any:
    """Differences as features: times 16, shifted by the activity, limited."""
    return xp.clip((values << 4) >> k, -FEATURE_LIMIT, FEATURE_LIMIT)


def flags(xp: Any, place: Place, k: Any) -> Any:
    """(FLAGS, N): which class of levels, which activity, and which colour transform."""
    like = xp.zeros_like(k)
    level = min(place.level, LEVEL_CLASSES - 1)
    rows = [like + FLAG * (number == level) for number in range(LEVEL_CLASSES)]
    known = xp.clip(k, 0, ACTIVITIES - 1)
    rows += [(known == number) * FLAG + like for number in range(ACTIVITIES)]
    return xp.stack([*rows, like + FLAG * place.differences])


def rooms(xp: Any, place: Place, luma: Any, first: Any, second: Any) -> Any:
    """(6, N): how far red, green and blue are from the least and from the largest value, by what is expected of them.

    Many photos have channels that are cut off at 0 or at 255, which differences do not show.
    """
    if place.differences:
        red, green, blue = first + luma, luma, second + luma
    else:
        middle = luma - (second >> 1)
        blue = middle - (first >> 1)
        red, green = blue + first, second + middle
    colours = xp.stack([red, green, blue])
    return xp.concatenate([colours, place.value_limit - colours])


def luma_step(known: Known, windows: Windows, fit: LumaFit, *, place: Place, rows: slice) -> Step:
    """What the luma network sees for the cells of ``rows``."""
    xp = known.xp
    values = known.gather(0, windows.luma, rows)
    mean = mean_of_four(values)
    k = activity(xp, total(xp.abs(values[:8] - mean)), place.bits)
    moved, lines = fit.run(windows.fit, values[:4], k, rows)
    others = [known.gather(channel, windows.others, rows) for channel in (1, 2)]
    means = [mean_of_four(part) for part in others]
    parts = [values - mean, *(part - middle for part, middle in zip(others, means, strict=True))]
    parts += [_errors(known, windows, 0, rows), known.surroundings(rows), rooms(xp, place, mean, *means)]
    return Step(features=_features(xp, parts, lines, place, k), initial=mean + moved, k=k)


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
    own = known.gather(channel, windows.chroma, rows)
    mean = mean_of_four(own)
    own = own - mean
    around = [
        known.gather(before, windows.chroma + windows.own_lattice, rows) - value for before, value in enumerate(values)
    ]
    k = activity(xp, total(xp.abs(own[:8])) + (total(xp.abs(around[0][:8])) >> 3), place.bits)
    parts, colours = [own, *around], [*values, mean]
    if channel == 1:
        others = known.gather(2, windows.others, rows)
        colours.append(mean_of_four(others))
        parts.append(others - colours[-1])
    parts += [xp.stack([error, xp.abs(error)]) for error in errors]
    parts += [_errors(known, windows, channel, rows), known.surroundings(rows), rooms(xp, place, *colours)]
    moved, lines = _colour_fit(xp, own, around, k)
    for before, error in enumerate(errors):
        between = _error_slope(known, windows, before, channel, rows)
        lines += ((between * error >> 2) >> k, between)
    return Step(features=_features(xp, parts, limited(xp, lines), place, k), initial=mean + ((moved + 128) >> 8), k=k)


def _colour_fit(xp: Any, own: Any, around: list[Any], k: Any) -> tuple[Any, tuple[Any, ...]]:
    """The prediction's distance from the mean of four, times 256 (N,), and rows of features."""
    values, luma = (scaled(xp, part[:PIXELS], k) for part in (own, around[0]))
    straight: tuple[Any, ...] = (line(xp, values, luma, BOLD),)
    slopes: list[tuple[Any, ...]] = [straight, (line(xp, values, luma, HELD),)]
    over: list[tuple[Any, ...]] = [(around[0],)] * 2
    seen: tuple[Any, ...] = (luma,)
    if len(around) == 2:
        seen = (luma, scaled(xp, around[1][:PIXELS], k))
        slopes = [plane(xp, values, *seen, held) for held in (BOLD, HELD)] + [straight]
        over = [(around[0], around[1])] * 2 + [(around[0],)]
    offsets = [offset(xp, one, differences) for one, differences in zip(slopes, over, strict=True)]
    lines = tuple((one >> 4) >> k for one in offsets)
    return offsets[0], (*lines, misses(xp, values, slopes[0], seen), *slopes[0])


def _error_slope(known: Known, windows: Windows, before: int, channel: int, rows: slice) -> Any:
    """64 times the error that an error of 1 in an earlier plane lets expect, by the errors around, (N,)."""
    shared = window_sum(known.products[before, channel], windows.chroma, rows)
    spread = window_sum(known.products[before, before], windows.chroma, rows)
    quiet = len(windows.chroma) << 2 * (known.bits - 8)
    return slope(known.xp, shared, spread + quiet)


def _errors(known: Known, windows: Windows, channel: int, rows: slice) -> Any:
    """Magnitudes of the errors around in all planes, and the mean error of this plane."""
    xp = known.xp
    errors = [known.gather_errors(number, windows.errors, rows) for number in range(CHANNELS)]
    bias = total(errors[channel][:4]) >> 2
    return xp.concatenate([*(xp.abs(part) for part in errors), bias[None]])


def _features(xp: Any, parts: list[Any], lines: tuple[Any, ...], place: Place, k: Any) -> Any:
    """Scaled differences, fits, and flags in one array (F, N)."""
    values = scaled(xp, xp.concatenate(parts), k)
    fitted = xp.zeros_like(values[: len(lines)])
    for number, row in enumerate(lines):
        fitted[number] = row
    return xp.concatenate([values, fitted, flags(xp, place, k)])
