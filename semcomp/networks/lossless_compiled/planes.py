"""What is known of a level, entered into arrays that the other compiled functions read: known.py, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int16

from semcomp.networks.lossless_compiled.jit import compiled


@compiled
def enter(lattice: Any, padded: Any) -> None:
    """Copy (h, w) to (h + 4, w + 4), with edges repeated; int16."""
    rows, columns = lattice.shape
    for row in range(rows + 4):
        source, target = lattice[min(max(row - 2, 0), rows - 1)], padded[row]
        middle = target[2 : 2 + columns]
        for c in range(columns):
            middle[c] = source[c]
        target[0] = target[1] = source[0]
        target[columns + 2] = target[columns + 3] = source[columns - 1]


@compiled
def enter_boxes(padded: Any, boxes: Any) -> None:
    """Magnitudes of padded errors (h + 4, w + 4), summed over 5x5 cells and shifted by BOX_SHIFT: int16 (h, w)."""
    rows, columns = boxes.shape
    sums = np.empty(columns + 4, int16)
    for row in range(rows):
        sums[:] = 0
        for down in range(5):
            line = padded[row + down]
            for c in range(columns + 4):
                sums[c] += abs(line[c])
        target = boxes[row]
        for c in range(columns):
            target[c] = (sums[c] + sums[c + 1] + sums[c + 2] + sums[c + 3] + sums[c + 4]) >> 3


@compiled
def enter_edges(luma: Any, diagonal: bool, curves: Any, steps: Any) -> None:
    """Curves and steps of `LumaFit` on a padded plane of luma, (h + 4, w + 4) int16."""
    rows, columns = luma.shape[0] - 2, luma.shape[1] - 2
    for row in range(rows + 2):
        at = min(max(row, 1), rows)
        above, here, below = luma[at - 1], luma[at], luma[at + 1]
        curve, step = curves[row], steps[row]
        inner_curve, inner_step = curve[1 : 1 + columns], step[1 : 1 + columns]
        for c in range(columns):
            if diagonal:
                across, along = above[c] + below[c + 2], above[c + 2] + below[c]
            else:
                across, along = here[c] + here[c + 2], above[c + 1] + below[c + 1]
            inner_curve[c] = 4 * here[c + 1] - across - along
            inner_step[c] = across - along
        curve[0], step[0] = inner_curve[0], inner_step[0]
        curve[columns + 1], step[columns + 1] = inner_curve[columns - 1], inner_step[columns - 1]
