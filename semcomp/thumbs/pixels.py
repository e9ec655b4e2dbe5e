"""The network that repairs a decoded canvas: integers in, integers out, so that every machine shows the same pixels.

Shapes: the canvas (32, 32, 3) becomes 16x16 positions with 12 channels (row, column, colour of a 2x2 block).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 26
"""How far a code was read: two passes on each of 13 planes."""
LAST_LEVEL = 19
"""Beyond this level the canvas is nearly exact and stays as it is."""
UNIT = 4.0
"""Steps of a pixel's level in the network's integers."""
SCALE = 1024.0
"""Scale of the network's weights: 1024 means 1."""


@dataclass(frozen=True, kw_only=True)
class PixelTables:
    """Weights (9 * in, out) in the order (row, column, channel), and biases (LEVELS, out); float64 integers."""

    layers: tuple[tuple[NDArray[Any], NDArray[Any]], ...]


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


def repair(tables: PixelTables, pixels: NDArray[Any], level: int) -> NDArray[Any]:
    """Repaired uint8 pixels (32, 32, 3) of a decoded canvas that is centred on 0.

    Args:
        tables: Weights of the network.
        pixels: Float pixels (32, 32, 3) around 0, as the inverse transform gives them.
        level: How far the code was read, 0 to 25.
    """
    whole = np.clip(np.rint(pixels * UNIT), -4096, 4095)
    if level <= LAST_LEVEL and tables.layers:
        x = to_depth(whole)
        for number, (weight, bias) in enumerate(tables.layers):
            x = _convolve(x, weight, bias[level]).reshape(16, 16, -1)
            if number + 1 < len(tables.layers):
                x = np.maximum(x, 0)
        whole = whole + from_depth(x)
    shown: NDArray[np.uint8] = np.clip(np.floor((whole + 128 * UNIT + UNIT / 2) / UNIT), 0, 255).astype(np.uint8)
    return shown
