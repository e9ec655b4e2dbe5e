"""A segmenter's scores at a quarter of a picture's resolution -> what every pixel shows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FINE = 4
"""Pixels of the picture a position of a segmenter's logits."""
CELLS = 1 << 14
"""Cells of FINE x FINE pixels that are interpolated at once."""

_ONE = (np.arange(FINE, dtype=np.float32) + 0.5) / FINE
_WAYS = np.stack([1 - _ONE, _ONE])
_CORNERS = np.einsum("ai,bj->ijab", _WAYS, _WAYS).reshape(FINE * FINE, 4)
"""Weight of each corner of a cell for each of its pixels."""


def full_resolution(logits: NDArray[Any], *, height: int, width: int) -> NDArray[Any]:
    """Class numbers, uint8 (height, width), of logits float32 (1, K, h, w) that are brought to pixels bilinearly.

    The 4x4 pixels between four positions of one class are of that class; only the others are interpolated.
    """
    scores = logits[0].transpose(1, 2, 0)
    best = np.pad(scores.argmax(2).astype(np.uint8), 1, mode="edge")
    first = best[:-1, :-1]
    same = (first == best[:-1, 1:]) & (first == best[1:, :-1]) & (first == best[1:, 1:])
    rows, columns = np.nonzero(~same)
    pixels = first.repeat(FINE, 1).repeat(FINE, 0)
    cells = pixels.reshape(first.shape[0], FINE, first.shape[1], FINE)
    for begin in range(0, len(rows), CELLS):
        r, c = rows[begin : begin + CELLS], columns[begin : begin + CELLS]
        above, below = np.maximum(r - 1, 0), np.minimum(r, len(scores) - 1)
        left, right = np.maximum(c - 1, 0), np.minimum(c, scores.shape[1] - 1)
        corners = np.stack([scores[above, left], scores[above, right], scores[below, left], scores[below, right]])
        between = np.tensordot(_CORNERS, corners, 1)  # pixel of the cell, cell, class
        cells[r, :, c, :] = between.argmax(2).T.reshape(-1, FINE, FINE)
    half = FINE // 2
    return np.ascontiguousarray(pixels[half : half + height, half : half + width])
