"""The tables of the JPEG standard (ITU-T T.81, Annex K), and the order of coefficients in files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ZIGZAG: NDArray[np.int64] = np.array(
    sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8)), np.int64
)
"""Place in rows of the n-th coefficient in a file."""

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int64,
).reshape(64)
"""Quantisation steps of luma at quality 50, in rows."""

CHROMA = np.full((8, 8), 99, np.int64)
"""Quantisation steps of chroma at quality 50, in rows."""
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
CHROMA = CHROMA.reshape(64)


def at_quality(base: NDArray[np.int64], quality: float) -> NDArray[np.int64]:
    """Scale the steps of quality 50 as libjpeg does.

    Args:
        base: Steps at quality 50.
        quality: 1 to 100.

    Example:
        >>> int(at_quality(LUMA, 25)[0]), int(at_quality(LUMA, 100)[0])
        (32, 1)
    """
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * percent + 50) // 100, 1, 255).astype(np.int64)
