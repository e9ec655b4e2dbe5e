"""Lines that are fitted to the surroundings of a pixel, in integers: the adaptive part of the traditional prediction.

Luma: a pixel is between two pairs of known neighbours, across and along, or on the two diagonals. How much each pair
counts is fitted where everything is known: at known pixels and their neighbours twice as far away, because edges look
alike at both scales (Li and Orchard 2001, "New edge-directed interpolation").

Colour: a difference is a linear function of the planes before it, fitted to the window. Its value at the pixel's own
luma, and first difference, is the prediction, as in the cross-component linear models of video coding.

Errors: how the errors of two planes go together is fitted to the errors around; the error that a pixel has in one plane
then predicts the error in the next.

Slopes are in units of 1/64. Sums are int32 or int64, wide enough to be exact.
"""

from __future__ import annotations

from typing import Any

from semcomp.lossless.geometry import REACH, Neighbour

FITS = (6, 6, 10)
"""Features that come from fits, of luma and of the two colour differences."""
NEAR, WIDE = 4, 12
"""Pixels that the two fits of luma learn from; whole rings for the wide one."""
PIXELS = 8
"""Pixels that a fit of colour learns from."""
BOLD, HELD = 16, 256
"""Variances that are added to the variances of a fit, so that it says nothing about flat surroundings."""
_DIAGONAL = ((-1, -1), (1, 1), (-1, 1), (1, -1))
_STRAIGHT = ((0, -1), (0, 1), (-1, 0), (1, 0))
ORDER = {"11": (0, 3, 1, 2), "01": (0, 1, 2, 3), "10": (2, 3, 0, 1)}
"""Where the pixels of the pairs are among the first four of a window."""


def wide_kind(xp: Any, bits: int) -> Any:
    """The type that sums of products of pixels need."""
    return xp.int32 if bits == 8 else xp.int64


def slope(xp: Any, shared: Any, spread: Any, limit: int = 256) -> Any:
    """64 shared / spread, at most ``limit`` in magnitude."""
    return xp.clip((64 * shared) // spread, -limit, limit)


def window_sum(planes: dict[str, Any], pixels: tuple[Neighbour, ...], rows: slice) -> Any:
    """Sums of padded planes (P, B, h + 4, w + 4) over two or more neighbours: (P, N) for the cells of ``rows``."""
    first, second, *others = (view(planes[pixel.lattice], pixel, rows) for pixel in pixels)
    sums = first + second
    for values in others:
        sums += values
    return sums.reshape(len(sums), -1)


def view(plane: Any, pixel: Neighbour, rows: slice) -> Any:
    """(..., rows, w): a neighbour's values in a padded plane for the cells of ``rows``."""
    columns = plane.shape[-1] - 2 * REACH
    top, left = rows.start + REACH + pixel.row, REACH + pixel.column
    return plane[..., top : top + rows.stop - rows.start, left : left + columns]


class LumaFit:
    """The two slopes of one pass of a level, for every cell."""

    def __init__(self, xp: Any, planes: dict[str, Any], target: str, *, bits: int) -> None:
        """``planes`` are padded, (C, B, h + 4, w + 4), by lattice; luma is channel 0."""
        self._xp, self._bits, self._order = xp, bits, ORDER[target]
        self._curve: dict[str, Any] = {}
        self._step: dict[str, Any] = {}
        for lattice, plane in planes.items():
            luma = plane[0]  # of 8 bits: curves and steps fit into its 16
            offsets = _DIAGONAL if target == "11" else _STRAIGHT
            first, second, third, fourth = (_moved(luma, *offset) for offset in offsets)
            across, along = first + second, third + fourth
            self._curve[lattice] = _padded_by_one(xp, 4 * _moved(luma, 0, 0) - across - along)
            self._step[lattice] = _padded_by_one(xp, across - along)

    def run(self, pixels: tuple[Neighbour, ...], around: Any, k: Any, rows: slice) -> tuple[Any, tuple[Any, ...]]:
        """The prediction's distance from the mean of four, in pixels (N,), and rows of features.

        Args:
            pixels: The window that the wide fit learns from; its first NEAR pixels are the near fit's.
            around: The four nearest pixels (4, N), in the order of a window; what they have in common does not matter.
            k: Activity (N,).
            rows: Which rows of cells.
        """
        xp, slopes = self._xp, []
        first, second, third, fourth = (around[number] for number in self._order)
        difference = first + second - third - fourth
        products, band = self._products(rows), slice(0, rows.stop - rows.start)
        near_sums, other_sums = (window_sum(products, part, band) for part in (pixels[:NEAR], pixels[NEAR:]))
        for (shared, spread), count in ((near_sums + other_sums, len(pixels)), (near_sums, NEAR)):
            quiet = (256 << 2 * (self._bits - 8)) * count
            slopes.append(slope(xp, shared, spread + quiet, 128))
        wide, near = (one * difference for one in slopes)
        missed: Any = 0
        missed_size: Any = 0
        for pixel in pixels[:NEAR]:
            curve, step = (view(planes[pixel.lattice], pixel, rows) for planes in (self._curve, self._step))
            miss = (curve - ((slopes[1].reshape(step.shape) * step) >> 6)).reshape(-1)
            missed, missed_size = missed + miss, missed_size + xp.abs(miss)
        return (wide + 128) >> 8, ((wide >> 4) >> k, (near >> 4) >> k, missed >> k, missed_size >> k, *slopes)

    def _products(self, rows: slice) -> dict[str, Any]:
        """Curve times step, and step squared, by lattice: (2, B, rows + 4, w + 4) for the cells of ``rows`` alone."""
        xp, span, products = self._xp, slice(rows.start, rows.stop + 2 * REACH), {}
        for lattice, step in self._step.items():
            wide = xp.asarray(step[:, span], dtype=wide_kind(xp, self._bits))
            products[lattice] = xp.empty((2, *wide.shape), dtype=wide.dtype)
            xp.multiply(wide, self._curve[lattice][:, span], out=products[lattice][0])
            xp.multiply(wide, wide, out=products[lattice][1])
        return products


class Moments:
    """Covariances of scaled features, times the square of PIXELS: int32 (N,), each computed once."""

    def __init__(self, xp: Any, planes: list[Any]) -> None:
        """``planes`` are (PIXELS, N) each: first the one that is predicted, then those that it is fitted over."""
        self.xp, self._planes = xp, planes
        self._sums = [xp.asarray(plane.sum(0, dtype=plane.dtype), dtype=xp.int32) for plane in planes]
        self._found: dict[tuple[int, int], Any] = {}

    def __call__(self, first: int, second: int) -> Any:
        found = self._found.get((first, second))
        if found is None:
            products = self._planes[first] * self._planes[second]
            products = products[:4] + products[4:]  # at most 2 * 127^2, which 16 bits hold
            pairs = self.xp.asarray(products[:2], dtype=self.xp.int32) + products[2:]
            found = PIXELS * (pairs[0] + pairs[1]) - self._sums[first] * self._sums[second]
            self._found[first, second] = found
        return found


def line(moments: Moments, held: int) -> Any:
    """Slope (N,) of the predicted plane over the first other one."""
    return slope(moments.xp, moments(0, 1), moments(1, 1) + held * PIXELS**2)


def plane(moments: Moments, held: int) -> tuple[Any, Any]:
    """Slopes (N,) of the predicted plane over two others at once, by least squares."""
    xp, quiet = moments.xp, held * PIXELS**2

    def real(first: int, second: int) -> Any:
        return xp.asarray(moments(first, second), dtype=xp.float64)  # all numbers stay integers below 2^53

    one, two, both = real(1, 1) + quiet, real(2, 2) + quiet, real(1, 2)
    first, second = real(0, 1), real(0, 2)
    determinant = one * two - both * both

    def part(shared: Any) -> Any:
        return xp.asarray(xp.clip(xp.floor(64 * shared / determinant), -256, 256), dtype=xp.int32)

    return part(first * two - second * both), part(second * one - first * both)


def offset(slopes: tuple[Any, ...], nearest: list[Any]) -> Any:
    """What a fit adds to the mean of the four nearest pixels, times 256.

    ``nearest`` has, for each plane that the fit is over, the sum of the four nearest differences to the pixel's own
    value, (N,).
    """
    total: Any = 0
    for one, differences in zip(slopes, nearest, strict=False):
        total = total - one * differences
    return total


def misses(xp: Any, values: Any, slopes: tuple[Any, ...], over: tuple[Any, ...]) -> Any:
    """How far scaled features (PIXELS, N) are off a fit that goes through the mean of the four nearest: sum / 8."""
    rest = values
    for one, features in zip(slopes, over, strict=True):
        rest = rest - ((xp.asarray(one, dtype=features.dtype) * features) >> 6)
    level = rest[:4].sum(0, dtype=rest.dtype) >> 2
    return xp.abs(rest - level).sum(0, dtype=rest.dtype) >> 3


def _moved(plane: Any, row: int, column: int) -> Any:
    """A padded plane (B, h, w) moved by cells, without its outermost cells."""
    rows, columns = plane.shape[1] - 2, plane.shape[2] - 2
    return plane[:, 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]


def _padded_by_one(xp: Any, plane: Any) -> Any:
    plane = xp.concatenate([plane[:, :1], plane, plane[:, -1:]], 1)
    return xp.concatenate([plane[..., :1], plane, plane[..., -1:]], 2)
