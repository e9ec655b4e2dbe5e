"""What a thumbnail's decoded coefficients say about those still to come: integers in, integers out.

Shapes: N thumbnails, C channels (luma, two chroma, and alpha where there is one), Z side of the coded zone.
State arrays are (N, C, Z, Z). Every step is exact in integers, or in float64 that holds integers below 2^53.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEATURES = 19
"""Inputs of the network for one coefficient."""
SHIFT = 64.0
"""Scale of the network's weights: 64 means 1."""
TOP = 13
"""Every coefficient's magnitude is below 2^TOP."""


@dataclass(frozen=True, kw_only=True)
class ContextTables:
    """Constants of the context model; all integers, read from the weights file."""

    prior: NDArray[Any]
    """Mean magnitude of each coefficient as 16 log2, shape (4, 32, 32)."""
    bound: NDArray[Any]
    """Expected normalised magnitude of a coefficient below 2^h: index 16 h - prior + 64, shape (512,)."""
    inverse: NDArray[Any]
    """2^19 / 2^(prior / 16): index prior + 64, shape (320,)."""
    compand: NDArray[Any]
    """Companded normalised magnitude, shape (256,)."""
    layers: tuple[tuple[NDArray[Any], NDArray[Any]], ...]
    """Weights (out, in) and biases (out,) of the network, scaled by 64; float64 that holds integers."""

    @property
    def neutral(self) -> int:
        """Activity of a coefficient that nothing is known about."""
        return int(self.compand[16])


def activity(tables: ContextTables, high: NDArray[Any], middle: NDArray[Any], zone: int) -> NDArray[Any]:
    """Companded magnitude of each coefficient relative to its prior, int64 (N, C, Z, Z).

    Args:
        tables: Constants of the model.
        high: The magnitude is below 2^high.
        middle: Twice the middle of the magnitude's interval, 0 while the coefficient is not significant.
        zone: Side of the coded zone; both arrays are cut to it.
    """
    prior = tables.prior[: high.shape[1], :zone, :zone].astype(np.int64)
    below = tables.bound[np.clip(16 * high - prior + 64, 0, 511)]
    known = np.minimum((middle * tables.inverse[prior + 64]) >> 16, 255)
    result: NDArray[np.int64] = tables.compand[np.where(middle > 0, known, below)]
    return result


def features(tables: ContextTables, high: NDArray[Any], middle: NDArray[Any], plane: int) -> NDArray[Any]:
    """The network's inputs: float64 (N, C, Z, Z, FEATURES) that holds integers, a view of one plane a feature."""
    count, channels, zone, _ = high.shape
    act = activity(tables, high, middle, zone)
    neutral = tables.neutral
    pad = np.full((count, channels, zone + 4, zone + 4), neutral, dtype=np.int64)
    pad[:, :, 2:-2, 2:-2] = act
    at = [[pad[:, :, 2 + i : 2 + i + zone, 2 + j : 2 + j + zone] for j in range(-2, 3)] for i in range(-2, 3)]
    rows = pad[:, :, :-4] + pad[:, :, 1:-3] + pad[:, :, 2:-2] + pad[:, :, 3:-1] + pad[:, :, 4:]
    box = rows[..., :-4] + rows[..., 1:-3] + rows[..., 2:-2] + rows[..., 3:-1] + rows[..., 4:]
    cross = at[1][2] + at[3][2] + at[2][1] + at[2][3]
    around = cross + at[1][1] + at[1][3] + at[3][1] + at[3][3] + act
    out = np.zeros((FEATURES, count, channels, zone, zone))
    out[0] = at[1][2] + at[2][1]
    out[1] = at[3][2] + at[2][3]
    out[2] = around - cross - act
    out[3] = at[0][2] + at[2][0] + at[4][2] + at[2][4]
    out[4] = box
    out[5:7], out[7] = neutral, 9 * neutral
    out[5, :, 0] = (act[:, 1] + act[:, 2]) >> 1
    out[7, :, 0] = around[:, 1]
    out[5, :, 1:3] = act[:, :1]
    out[6, :, 1:3] = act[:, 2:0:-1]
    out[7, :, 1:3] = around[:, :1]
    low = act[..., :8, :8]
    out[8] = act[..., :8].sum(-1)[..., None]
    out[9] = act[..., :8, :].sum(-2)[..., None, :]
    out[10] = (low.sum((-1, -2)) >> 4)[..., None, None]
    out[11] = (low[:, 0].sum((-1, -2)) >> 4)[:, None, None, None]
    out[12] = act
    out[13] = np.clip(16 * plane - tables.prior[:channels, :zone, :zone].astype(np.int64), -128, 128)
    out[14] = 4 * np.arange(zone)[:, None]
    out[15] = 4 * np.arange(zone)
    out[16, :, 0] = out[16, :, 3:] = 64
    out[17, :, 1] = 64
    out[18] = np.minimum(16 * (high - plane), 64)
    return np.moveaxis(out, 0, -1)


def scales(
    tables: ContextTables, high: NDArray[Any], middle: NDArray[Any], plane: int, wanted: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Estimated scale of every coefficient as 16 log2 of its expected magnitude, int64 (N, C, Z, Z).

    Where `wanted` (N, C, Z, Z) is given and False, the scale is 0 and costs no time.
    """
    shape = high.shape
    x = np.moveaxis(features(tables, high, middle, plane), -1, 0).reshape(FEATURES, -1)
    x = x if wanted is None else x[:, wanted.ravel()]
    for number, (weight, bias) in enumerate(tables.layers):
        x = weight @ x
        x += bias[:, None]
        x *= 1 / SHIFT  # exact: SHIFT is a power of two
        np.floor(x, out=x)
        if number + 1 < len(tables.layers):
            np.maximum(x, 0, out=x)
    prior = np.broadcast_to(tables.prior[: shape[1], : shape[2], : shape[3]], shape)
    if wanted is None:
        return np.asarray(x[0].astype(np.int64).reshape(shape) + prior)
    result = np.zeros(shape, dtype=np.int64)
    result[wanted] = x[0].astype(np.int64) + prior[wanted]
    return result
