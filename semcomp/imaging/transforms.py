"""The transforms of JPEG and of thumbnails, written once: the DCT, and YCbCr of JFIF."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""R, G, B -> Y, Cb, Cr of JFIF (ITU-T T.871), around 0 for chroma."""
TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
"""The inverse of TO_YCC, with the six digits of the standard."""


def dct_matrix(side: int) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II, (side, side): a row is a frequency.

    Thumbnails need this very formula: another order of its factors changes the last bits.

    Example:
        >>> matrix = dct_matrix(8)
        >>> bool(np.allclose(matrix @ matrix.T, np.eye(8)))
        True
    """
    k, n = np.arange(side)[:, None], np.arange(side)[None]
    matrix: NDArray[np.float64] = np.cos(np.pi * k * (2 * n + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    return matrix


def square_dct(side: int, kept: int) -> NDArray[np.float32]:
    """Return the DCT of a square as one matrix, (kept * kept, side * side pixels).

    Args:
        side: Pixels on the side of the square.
        kept: How many of the lowest frequencies are kept in each direction.
    """
    waves = dct_matrix(side)[:kept]
    matrix: NDArray[np.float32] = np.kron(waves, waves).astype(np.float32)
    return matrix
