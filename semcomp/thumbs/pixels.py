"""The networks around a short code: integers in, integers out, so that every machine shows the same pixels.

One shapes the canvas before it is coded, so that a short code keeps what makes pictures alike; the other repairs what
the code shows. A canvas (32, 32, 3) becomes 16x16 positions with 12 channels (row, column, colour of a 2x2 block).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 26
"""How far a code was read: two passes on each of 13 planes."""
UNIT = 4.0
"""Steps of a pixel's level in the network's integers."""
SCALE = 1024.0
"""Scale of the network's weights: 1024 means 1."""


@dataclass(frozen=True, kw_only=True)
class PixelTables:
    """Weights (9 * in, out) in the order (row, column, channel), and biases (levels, out); float64 integers."""

    layers: tuple[tuple[NDArray[Any], NDArray[Any]], ...]
    """No layers leave a canvas as it is."""


def to_depth(pixels: NDArray[Any]) -> NDArray[Any]:
    """(32, 32, 3) -> (16, 16, 12)."""
    return pixels.reshape(16, 2, 16, 2, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 12)


def from_depth(blocks: NDArray[Any]) -> NDArray[Any]:
    """(16, 16, 12) -> (32, 32, 3)."""
    return blocks.reshape(16, 16, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(32, 32, 3)


def _convolve(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """3x3 convolution with zeros around, exact in float64."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    taps = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    result: NDArray[Any] = np.floor((np.concatenate(taps, -1).reshape(height * width, -1) @ weight + bias) / SCALE)
    return result


def _refined(tables: PixelTables, pixels: NDArray[Any], level: int) -> NDArray[Any]:
    """Pixels around 0 as integers in quarters of a level, with what the network adds to them."""
    whole: NDArray[Any] = np.clip(np.rint(pixels * UNIT), -4096, 4095)
    if not tables.layers:
        return whole
    x = to_depth(whole)
    for number, (weight, bias) in enumerate(tables.layers):
        x = _convolve(x, weight, bias[level]).reshape(16, 16, -1)
        if number + 1 < len(tables.layers):
            x = np.maximum(x, 0)
    return np.asarray(whole + from_depth(x))


def shape(tables: PixelTables, pixels: NDArray[Any], level: int) -> NDArray[Any]:
    """Pixels (32, 32, 3) in [0, 255], of any type, as a code that ends at `level` describes them; they may leave it."""
    if not tables.layers:
        return pixels
    return np.asarray(_refined(tables, pixels.astype(np.float64) - 128, level) / UNIT + 128)


def repair(tables: PixelTables, pixels: NDArray[Any], level: int) -> NDArray[Any]:
    """Repaired uint8 pixels (32, 32, 3) of a decoded canvas that is centred on 0.

    Args:
        tables: Weights of the network.
        pixels: Float pixels (32, 32, 3) around 0, as the inverse transform gives them.
        level: How far the code was read, 0 to 25.
    """
    whole = _refined(tables, pixels, level) + 128 * UNIT + UNIT / 2
    return np.asarray(np.clip(np.floor(whole / UNIT), 0, 255), dtype=np.uint8)
