"""Pixels of the 32x32 canvas <-> weighted integer coefficients.

The colour transform is the 3-point DCT over R, G, B; the spatial transform is the 32-point DCT in both directions.
Chroma and the lowest frequencies have smaller weights: structural similarity depends less on them.
"""

import numpy as np

SIDE = 32
"""Side of the canvas in pixels."""
COLOUR = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]], dtype=np.float64
)
"""Rows are luma and two chroma directions, orthonormal."""


def dct_matrix(size: int = SIDE) -> np.ndarray:
    """Orthonormal DCT-II, shape (size, size): row = frequency."""
    k, n = np.arange(size)[:, None], np.arange(size)[None]
    matrix: np.ndarray = np.cos(np.pi * k * (2 * n + 1) / (2 * size)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix


DCT = dct_matrix()


def forward(pixels: np.ndarray, alpha: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Integer coefficients int64 (C, 32, 32) of one canvas.

    Args:
        pixels: RGB in [0, 255], shape (32, 32, 3).
        alpha: Opacity in [0, 255], shape (32, 32), or None.
        weights: Weight of each coefficient, shape (4, 32, 32).
    """
    planes = np.moveaxis((pixels.astype(np.float64) - 128) @ COLOUR.T, -1, 0)
    if alpha is not None:
        planes = np.concatenate([planes, alpha[None].astype(np.float64) - 128])
    limit = 2**13 - 1
    return np.clip(np.rint(DCT @ planes @ DCT.T * weights[: len(planes)]), -limit, limit).astype(np.int64)


def inverse(coefficients: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pixels float64 (32, 32, 3), or (32, 32, 4) with alpha, centred on 0, of coefficients (C, 32, 32)."""
    planes = DCT.T @ (coefficients / weights[: len(coefficients)]) @ DCT
    colour = np.moveaxis(planes[:3], 0, -1) @ COLOUR
    return np.concatenate([colour, np.moveaxis(planes[3:], 0, -1)], -1)
