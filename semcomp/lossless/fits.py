"""Lines that are fitted to the surroundings of a pixel, in integers: the adaptive part of the traditional prediction.

Luma: a pixel lies between two pairs of known neighbours, across and along, or on the two diagonals. How much each pair
counts is fitted where everything is known: at known pixels and their neighbours twice as far away, because edges look
alike at both scales (Li and Orchard 2001, "New edge-directed interpolation").

Colour: a colour difference is a line through luma, fitted to the chroma window. Its value at the pixel's own luma is
the prediction, as in the cross-component linear models of video coding.

Slopes are in units of 1/64. Sums are int32 for 8-bit images and int64 for 16-bit ones.
"""

from __future__ import annotations

from typing import Any

from semcomp.lossless.geometry import REACH, Neighbour

LUMA_FITS = 3
CHROMA_FITS = 5
"""Features that come from fits."""
NEAR, WIDE = 4, 12
"""Pixels that the two fits of luma learn from; whole rings for the wide one."""
CHROMA_PIXELS = 8
"""Pixels of the chroma window that lines are fitted to."""
_FEATURE_LIMIT = 127
_DIAGONAL = ((-1, -1), (1, 1), (-1, 1), (1, -1))
_STRAIGHT = ((0, -1), (0, 1), (-1, 0), (1, 0))
_ORDER = {"11": (0, 3, 1, 2), "01": (0, 1, 2, 3), "10": (2, 3, 0, 1)}
"""Where the pixels of the pairs are among the first four of a window."""


def pairs(target: str) -> tuple[tuple[int, int], ...]:
    """Offsets in pixels of the two pairs around a pixel of lattice ``target``, the first pair first."""
    return _DIAGONAL if target == "11" else _STRAIGHT


def slope(shared: Any, spread: Any, limit: int, xp: Any) -> Any:
    """64 shared / spread, at most ``limit`` in magnitude."""
    return xp.clip((64 * shared) // spread, -limit, limit)


class LumaFit:
    """The two slopes of one pass of a level, for every cell."""

    def __init__(self, xp: Any, planes: dict[str, Any], target: str, *, bits: int) -> None:
        """``planes`` are padded, (C, B, h + 4, w + 4), by lattice; luma is channel 0."""
        self._xp, self._bits, self._order = xp, bits, _ORDER[target]
        kind = xp.int32 if bits == 8 else xp.int64
        self._curve: dict[str, Any] = {}
        self._step: dict[str, Any] = {}
        self._shared: dict[str, Any] = {}
        self._spread: dict[str, Any] = {}
        for lattice, plane in planes.items():
            luma = plane[:1]
            values = xp.zeros(luma.shape, dtype=kind)
            values[:] = luma
            first, second, third, fourth = (_moved(values, *offset) for offset in pairs(target))
            across, along = first + second, third + fourth
            curve, step = 4 * _moved(values, 0, 0) - across - along, across - along
            self._curve[lattice], self._step[lattice] = _padded_by_one(xp, curve), _padded_by_one(xp, step)
            self._shared[lattice] = _padded_by_one(xp, curve * step)
            self._spread[lattice] = _padded_by_one(xp, step * step)

    def _sum(self, planes: dict[str, Any], pixels: tuple[Neighbour, ...], rows: slice) -> Any:
        return sum(_view(planes[pixel.lattice][0], pixel, rows) for pixel in pixels)

    def run(self, pixels: tuple[Neighbour, ...], around: Any, k: Any, rows: slice) -> tuple[Any, tuple[Any, ...]]:
        """The prediction's distance from the mean of four, in pixels (N,), and LUMA_FITS rows of features.

        Args:
            pixels: The window that the wide fit learns from; its first NEAR pixels are the near fit's.
            around: The four nearest pixels (4, N), in the order of a window.
            k: Activity (N,).
            rows: Which rows of cells.
        """
        xp, slopes = self._xp, []
        first, second, third, fourth = (around[number] for number in self._order)
        difference = first + second - third - fourth
        for window in (pixels, pixels[:NEAR]):
            quiet = (256 << 2 * (self._bits - 8)) * len(window)
            shared, spread = self._sum(self._shared, window, rows), self._sum(self._spread, window, rows)
            slopes.append(slope(shared, spread + quiet, 128, xp).reshape(-1))
        wide, near = (one * difference for one in slopes)
        missed = 0
        for pixel in pixels[:NEAR]:
            curve, step = (_view(planes[pixel.lattice][0], pixel, rows) for planes in (self._curve, self._step))
            missed = missed + xp.abs(curve - ((slopes[1].reshape(step.shape) * step) >> 6))
        found = ((wide >> 4) >> k, (near >> 4) >> k, missed.reshape(-1) >> k)
        return (wide + 128) >> 8, tuple(xp.clip(one, -_FEATURE_LIMIT, _FEATURE_LIMIT) for one in found)


def chroma_fit(xp: Any, first: Any, second: Any, luma: Any) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
    """Slopes of both colour differences over luma, and CHROMA_FITS rows of features.

    Args:
        xp: numpy or torch.
        first: Scaled features of the first difference (pixels, N), relative to its mean of four.
        second: Scaled features of the second one.
        luma: Scaled features of luma on the same pixels, relative to the pixel's own luma.

    Returns:
        The two slopes (N,) each, and five rows of features: what each line predicts relative to the mean of four,
        what a line that is held back more predicts, and the slope of the second's residuals over the first's.
    """
    kind = xp.int32
    near = luma[:4].sum(0, dtype=kind)
    slopes, bold, held, residuals = [], [], [], []
    for values in (first, second):
        shared, spread = _moments(luma, values, kind)
        slopes.append(slope(shared, spread + 16 * CHROMA_PIXELS**2, 256, xp))
        bold.append((-slopes[-1] * near) >> 8)
        held.append((-slope(shared, spread + 256 * CHROMA_PIXELS**2, 256, xp) * near) >> 8)
        residual = values - ((luma * slopes[-1]) >> 6)
        residuals.append(xp.clip(residual, -_FEATURE_LIMIT, _FEATURE_LIMIT))
    shared, spread = _moments(*residuals, kind)
    between = slope(shared, spread + 16 * CHROMA_PIXELS**2, 256, xp)
    rows = tuple(xp.clip(row, -_FEATURE_LIMIT, _FEATURE_LIMIT) for row in (*bold, *held, between))
    return (slopes[0], slopes[1]), rows


def _moments(x: Any, y: Any, kind: Any) -> tuple[Any, Any]:
    """Covariance of x and y, and variance of x, times the square of their number."""
    count, sum_x = len(x), x.sum(0, dtype=kind)
    shared = count * (x * y).sum(0, dtype=kind) - sum_x * y.sum(0, dtype=kind)
    return shared, count * (x * x).sum(0, dtype=kind) - sum_x * sum_x


def _moved(plane: Any, row: int, column: int) -> Any:
    """A padded plane moved by cells, without its outermost cells."""
    rows, columns = plane.shape[2] - 2, plane.shape[3] - 2
    return plane[:, :, 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]


def _padded_by_one(xp: Any, plane: Any) -> Any:
    plane = xp.concatenate([plane[:, :, :1], plane, plane[:, :, -1:]], 2)
    return xp.concatenate([plane[..., :1], plane, plane[..., -1:]], 3)


def _view(plane: Any, pixel: Neighbour, rows: slice) -> Any:
    """(B, rows, w): a neighbour's values for the cells of ``rows``."""
    columns = plane.shape[2] - 2 * REACH
    top, left = rows.start + REACH + pixel.row, REACH + pixel.column
    return plane[:, top : top + rows.stop - rows.start, left : left + columns]
