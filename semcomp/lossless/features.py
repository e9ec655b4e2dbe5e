"""What a network sees before it predicts a pixel: integers, the same on every machine.

The functions run on numpy arrays and on torch tensors alike: ``xp`` is the module, numpy or torch. Planes of 8-bit
images are int16, and nothing that is computed from them here leaves 16 bits. Planes of 16-bit images are int32.

    lattice   (C, B, h, w)   one value a cell, B images of equal size
    padded    (C, B, h + 4, w + 4)   the same with its edges repeated REACH times
    features  (F, N)   integers in -127..127, N = B h w cells in order image, row, column

Every prediction is scaled by the activity of its surroundings: k grows by one when differences double. Differences are
multiplied by 16 and shifted right by k, so that the networks see the same numbers at every contrast, and their output
is shifted back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from semcomp.lossless.fits import CHROMA_FITS, CHROMA_PIXELS, LUMA_FITS, WIDE, LumaFit, chroma_fit
from semcomp.lossless.geometry import PASSES, REACH, Neighbour, known_before, window

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
BOX_SHIFT = 3


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How many pixels the networks look at; windows are filled up to whole rings of equal distance."""

    luma: int = 24
    """Luma around a luma pixel."""
    chroma_of_luma: int = 4
    """Pixels whose two colour differences a luma network sees."""
    chroma: int = 12
    """Pixels whose two colour differences a chroma network sees."""
    luma_of_chroma: int = 8
    """Luma on a chroma pixel's own lattice. Luma of the chroma window is seen too."""
    errors: int = 4
    """Pixels whose prediction errors are seen."""


@dataclass(frozen=True)
class Windows:
    """The windows of one pass."""

    luma: tuple[Neighbour, ...]
    chroma_of_luma: tuple[Neighbour, ...]
    chroma: tuple[Neighbour, ...]
    luma_of_chroma: tuple[Neighbour, ...]
    errors: tuple[Neighbour, ...]
    fit: tuple[Neighbour, ...]
    """Luma that the edges' direction is learned from."""
    lattices: int

    @property
    def luma_features(self) -> int:
        """Number of features of the luma network."""
        common = 2 * self.lattices + FLAGS
        return len(self.luma) + 2 * len(self.chroma_of_luma) + 2 * len(self.errors) + ROOMS + LUMA_FITS + common

    @property
    def chroma_features(self) -> int:
        """Number of features of the chroma network."""
        common = 2 * self.lattices + FLAGS
        windows = 2 * len(self.chroma) + len(self.luma_of_chroma) + 2 * len(self.errors)
        return windows + 2 + ROOMS + CHROMA_FITS + common


def windows_of(config: WindowConfig) -> dict[str, Windows]:
    """The windows of every pass."""
    windows = {}
    for target in PASSES:
        known = known_before(target)
        windows[target] = Windows(
            luma=window(target, config.luma, known),
            chroma_of_luma=window(target, config.chroma_of_luma, known),
            chroma=window(target, config.chroma, known),
            luma_of_chroma=window(target, config.chroma, known) + window(target, config.luma_of_chroma, (target,)),
            errors=window(target, config.errors, known),
            fit=window(target, WIDE, known),
            lattices=len(known),
        )
    return windows


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a step is told besides pixels: where it is, and what the planes mean."""

    level: int
    """0 is the full size."""
    differences: bool
    """The planes are green and differences to green. Otherwise they are YCoCg-R, or grey."""
    bits: int = 8
    """Depth of the image's samples, 8 or 16."""

    @property
    def value_limit(self) -> int:
        """The largest magnitude of luma and colour differences."""
        return (1 << self.bits) - 1

    def limited(self, xp: Any, errors: Any) -> Any:
        """Magnitudes of errors, as later predictions see them."""
        return xp.clip(xp.abs(errors), 0, self.value_limit)


@dataclass
class Known:
    """What is known of a level: planes and prediction errors of each lattice, with their edges repeated."""

    planes: dict[str, Any] = field(default_factory=dict)
    """(3, B, h + 4, w + 4)"""
    errors: dict[str, Any] = field(default_factory=dict)
    """(2, B, h + 4, w + 4): |error| of luma, and of both colour differences together, at most `Place.value_limit`."""
    boxes: dict[str, Any] = field(default_factory=dict)
    """(2, B, h, w): errors summed over 5x5 cells, >> BOX_SHIFT."""

    def add(self, xp: Any, lattice: str, planes: Any, errors: Any) -> None:
        """Enter a lattice, planes (3, B, h, w) and errors (2, B, h, w)."""
        self.planes[lattice] = padded(xp, planes)
        self.errors[lattice] = padded(xp, errors)
        self.boxes[lattice] = box_sums(self.errors[lattice]) >> BOX_SHIFT

    def add_luma(self, xp: Any, lattice: str, luma: Any) -> None:
        """Enter the luma (1, B, h, w) of a lattice whose colour differences are about to be coded."""
        self.planes[lattice] = padded(xp, luma)


def padded(xp: Any, lattice: Any) -> Any:
    """Repeat the edges of (C, B, h, w) REACH times on each side."""
    top, bottom = lattice[:, :, :1], lattice[:, :, -1:]
    lattice = xp.concatenate([top] * REACH + [lattice] + [bottom] * REACH, 2)
    left, right = lattice[..., :1], lattice[..., -1:]
    return xp.concatenate([left] * REACH + [lattice] + [right] * REACH, 3)


def box_sums(lattice: Any) -> Any:
    """Sums over 5x5 cells of a padded lattice, of the size of the unpadded one."""
    rows = lattice.shape[2] - 2 * REACH
    columns = lattice.shape[3] - 2 * REACH
    sums = sum(lattice[:, :, row : row + rows] for row in range(2 * REACH + 1))
    return sum(sums[..., column : column + columns] for column in range(2 * REACH + 1))


def gather(xp: Any, lattices: dict[str, Any], channel: int, pixels: tuple[Neighbour, ...], rows: slice) -> Any:
    """The values of some neighbours, (pixels, N), for the cells of ``rows``."""
    views = []
    for lattice, row, column in pixels:
        plane = lattices[lattice][channel]
        columns = plane.shape[2] - 2 * REACH
        top, left = rows.start + REACH + row, REACH + column
        views.append(plane[:, top : top + rows.stop - rows.start, left : left + columns])
    return xp.stack(views).reshape(len(views), -1)


def total(values: Any) -> Any:
    """Sum over the first axis."""
    return values.sum(0, dtype=values.dtype)


def mean_of_four(values: Any) -> Any:
    """The traditional prediction: the rounded mean of the four nearest pixels."""
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


def _surroundings(xp: Any, known: Known, rows: slice) -> Any:
    """(2 lattices, N): how large errors are around, of luma and of the colour differences."""
    return xp.stack([boxes[channel][:, rows].reshape(-1) for boxes in known.boxes.values() for channel in (0, 1)])


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


def luma_step(
    xp: Any, known: Known, windows: Windows, fit: LumaFit, *, place: Place, rows: slice
) -> tuple[Any, Any, Any]:
    """Features of a luma network for the cells of ``rows``, its initial prediction (N,), and the activity k (N,)."""
    values = gather(xp, known.planes, 0, windows.luma, rows)
    mean = mean_of_four(values)
    offset, lines = fit.run(windows.fit, values[:4], k := _luma_activity(xp, values - mean, place), rows)
    chroma = [gather(xp, known.planes, channel, windows.chroma_of_luma, rows) for channel in (1, 2)]
    means = [mean_of_four(part) for part in chroma]
    parts = [values - mean, chroma[0] - means[0], chroma[1] - means[1]]
    parts += [gather(xp, known.errors, channel, windows.errors, rows) for channel in (0, 1)]
    parts += [_surroundings(xp, known, rows), rooms(xp, place, mean, *means)]
    return _features(xp, parts, lines, place, k), mean + offset, k


def chroma_step(
    xp: Any, known: Known, windows: Windows, luma: Any, error: Any, *, place: Place, rows: slice
) -> tuple[Any, Any, Any, Any]:
    """Features of a chroma network, the initial predictions of both colour differences, and the activity k.

    ``luma`` (N,) is the luma of the predicted pixels and ``error`` (N,) what it was off its prediction. The known
    planes must hold luma on the predicted lattice already.
    """
    first = gather(xp, known.planes, 1, windows.chroma, rows)
    second = gather(xp, known.planes, 2, windows.chroma, rows)
    around = gather(xp, known.planes, 0, windows.luma_of_chroma, rows) - luma
    means = mean_of_four(first), mean_of_four(second)
    first, second = first - means[0], second - means[1]
    size = total(xp.abs(first[:4])) + total(xp.abs(second[:4])) + (total(xp.abs(around[:8])) >> 2)
    k = activity(xp, size, place.bits)
    slopes, lines = chroma_fit(xp, *(scaled(xp, part[:CHROMA_PIXELS], k) for part in (first, second, around)))
    initial = [mean + ((128 - slope * total(around[:4])) >> 8) for mean, slope in zip(means, slopes, strict=True)]
    parts = [first, second, around, xp.stack([error, xp.abs(error)])]
    parts += [gather(xp, known.errors, channel, windows.errors, rows) for channel in (1, 0)]
    parts += [_surroundings(xp, known, rows), rooms(xp, place, luma, *means)]
    return _features(xp, parts, lines, place, k), initial[0], initial[1], k


def _luma_activity(xp: Any, values: Any, place: Place) -> Any:
    return activity(xp, total(xp.abs(values[:8])), place.bits)


def _features(xp: Any, parts: list[Any], lines: tuple[Any, ...], place: Place, k: Any) -> Any:
    """Scaled differences, fits, and flags in one array (F, N)."""
    values = scaled(xp, xp.concatenate(parts), k)
    fitted = xp.zeros_like(values[: len(lines)])
    for number, line in enumerate(lines):
        fitted[number] = line
    return xp.concatenate([values, fitted, flags(xp, place, k)])
