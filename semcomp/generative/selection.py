"""From what a caller wants to keep, in pixels, to positions of y."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semcomp.bitstream.regions import grid_of
from semcomp.errors import ImageError
from semcomp.types import STRIDE_Y


def box_mask(boxes: Sequence[tuple[int, int, int, int]], *, width: int, height: int) -> np.ndarray:
    """bool (height, width): inside any of the boxes x, y, w, h in pixels. ImageError for one outside the picture."""
    mask = np.zeros((height, width), bool)
    for x, y, w, h in boxes:
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ImageError(f"the box {x},{y},{w},{h} lies outside the picture of {width}x{height}")
        mask[max(0, y) : y + h, max(0, x) : x + w] = True
    return mask


def positions(mask: np.ndarray, *, dilate: int) -> np.ndarray:
    """bool (rows, columns): positions that hold a pixel of `mask` (H, W), or one at most `dilate` pixels from it.

    ImageError where that is none, or all of them.
    """
    if not mask.any():
        raise ImageError("nothing is to be kept: the mask is empty; keep something else, or choose --mode generative")
    grown = _grow(_grow(mask, dilate).T, dilate).T
    rows, columns = grid_of(mask.shape[1], mask.shape[0])
    padded = np.zeros((STRIDE_Y * rows, STRIDE_Y * columns), bool)
    padded[: mask.shape[0], : mask.shape[1]] = grown
    keep = padded.reshape(rows, STRIDE_Y, columns, STRIDE_Y).any(axis=(1, 3))
    if keep.all():
        raise ImageError("everything is to be kept: the mask is full; encode the picture without --keep")
    return keep


def _grow(mask: np.ndarray, by: int) -> np.ndarray:
    """Along the rows: true where a pixel at most `by` columns away is."""
    if not by:
        return mask
    total = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=1, out=total[:, 1:])
    column = np.arange(mask.shape[1])
    last, first = np.minimum(column + by + 1, mask.shape[1]), np.maximum(column - by, 0)
    grown: np.ndarray = total[:, last] > total[:, first]
    return grown
