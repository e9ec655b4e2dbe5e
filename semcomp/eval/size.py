"""The file of a codec that comes nearest to a number of bytes."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np


class Sized(Protocol):
    """What is asked of a codec here: whole settings from lowest to highest, files growing with them."""

    @property
    def lowest(self) -> int: ...
    @property
    def highest(self) -> int: ...
    def encode(self, pixels: np.ndarray, setting: int) -> bytes: ...


def file_of_size(codec: Sized, pixels: np.ndarray, *, target_bytes: int) -> tuple[int, bytes]:
    """(setting, file), found by binary search over the settings. pixels uint8 (H, W, 3)."""

    @cache
    def encode(setting: int) -> bytes:
        return codec.encode(pixels, setting)

    low, high = codec.lowest, codec.highest
    while low < high:  # the first setting whose file is larger than the target
        middle = (low + high) // 2
        if len(encode(middle)) > target_bytes:
            high = middle
        else:
            low = middle + 1
    candidates = (max(low - 1, codec.lowest), low)
    setting = min(candidates, key=lambda setting: abs(len(encode(setting)) - target_bytes))
    return setting, encode(setting)
