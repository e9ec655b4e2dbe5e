"""Reversible colour transforms: integers to integers, every 8-bit RGB image comes back exactly.

The first channel keeps the range of the pixels, the other two have one bit more and a sign.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.signedinteger[Any]]
"""(3, H, W): luma and two colour differences, int16 for 8-bit images and int32 for others."""


class ColourTransform(IntEnum):
    """How RGB becomes luma and two differences; the number is what a file stores."""

    NONE = 0
    """G, R, B as they are: for images whose channels have nothing in common."""
    GREEN = 1
    """G, R - G, B - G."""
    YCOCG = 2
    """YCoCg-R (Malvar and Sullivan 2003), the transform that the networks are trained with."""


def forward(rgb: NDArray[np.integer[Any]], transform: ColourTransform) -> Planes:
    """(H, W, 3) pixels to (3, H, W) planes.

    >>> forward(np.array([[[10, 20, 31]]], np.uint8), ColourTransform.YCOCG)[:, 0, 0].tolist()
    [20, -21, 0]
    """
    samples: NDArray[Any] = rgb.astype(np.int16 if rgb.dtype == np.uint8 else np.int32)
    red, green, blue = (samples[..., channel] for channel in range(3))
    if transform is ColourTransform.NONE:
        return np.stack([green, red, blue])
    if transform is ColourTransform.GREEN:
        return np.stack([green, red - green, blue - green])
    orange = red - blue
    middle = blue + (orange >> 1)
    greenness = green - middle
    return np.stack([middle + (greenness >> 1), orange, greenness])


def inverse(planes: Planes, transform: ColourTransform) -> Planes:
    """(3, H, W) planes to (H, W, 3) pixels of the same type: :func:`forward` undone."""
    luma, first, second = planes
    if transform is ColourTransform.NONE:
        return np.stack([first, luma, second], -1)
    if transform is ColourTransform.GREEN:
        return np.stack([first + luma, luma, second + luma], -1)
    middle = luma - (second >> 1)
    blue = middle - (first >> 1)
    return np.stack([blue + first, second + middle, blue], -1)
