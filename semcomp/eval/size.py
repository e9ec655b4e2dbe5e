"""Finds the file of a codec whose size is nearest to a number of bytes."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from numpy.typing import NDArray


class Sized(Protocol):
    """A codec with whole settings from lowest to highest. Files grow with the setting."""

    @property
    def lowest(self) -> int: ...
    @property
    def highest(self) -> int: ...
    def encode(self, pixels: NDArray[Any], setting: int) -> bytes: ...


def file_of_size(codec: Sized, pixels: NDArray[Any], *, target_bytes: int) -> tuple[int, bytes]:
    """Find a file by binary search over the settings.

    Args:
        codec: The codec.
        pixels: uint8 (H, W, 3).
        target_bytes: Wanted size of the file.

    Returns:
        The setting and the file whose size is nearest to the target.
    """

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
