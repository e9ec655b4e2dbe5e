"""Pixels of the 32x32 canvas <-> weighted integer coefficients.

The colour transform is the 3-point DCT over R, G, B; the spatial transform is the 32-point DCT in both directions.
Chroma and luma's lowest frequencies have smaller weights: structural similarity depends less on them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.imaging.transforms import dct_matrix

SIDE = 32
"""Side of the canvas in pixels."""
COLOUR = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]], dtype=np.float64
)
"""Rows are luma and two chroma directions, orthonormal."""
DCT = dct_matrix(SIDE)
_LIFTED = np.add.outer(np.arange(SIDE) ** 2, np.arange(SIDE) ** 2) > 2


def forward(pixels: NDArray[Any], alpha: NDArray[Any] | None, weights: NDArray[Any]) -> NDArray[Any]:
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
    values = np.rint(DCT @ planes @ DCT.T * weights[: len(planes)])
    whole: NDArray[np.int64] = np.clip(values, -limit, limit).astype(np.int64)
    return whole


def inverse(coefficients: NDArray[Any], weights: NDArray[Any], lift: float = 1.0) -> NDArray[Any]:
    """Pixels of coefficients, centred on 0: float64 (32, 32, 3), or (32, 32, 4) with alpha.

    Args:
        coefficients: Values (C, 32, 32).
        weights: Weight of each coefficient, shape (4, 32, 32).
        lift: Gain of all but the four lowest frequencies of a colour. A code that ends early leaves contrast out, and
            a little more of what it tells gives a picture that is more similar to the original.
    """
    values = coefficients / weights[: len(coefficients)]
    values[:3, _LIFTED] *= lift
    planes: NDArray[Any] = DCT.T @ values @ DCT
    colour = np.moveaxis(planes[:3], 0, -1) @ COLOUR
    return np.concatenate([colour, np.moveaxis(planes[3:], 0, -1)], -1)
