"""The search for the quality that meets a target of bytes or PSNR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semcomp.types import QUALITIES


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A file, and how it met its target."""

    data: bytes
    quality: int
    bpp: float
    psnr_db: float | None
    """against the input, where it was computed"""


def _bisect(attempt: Callable[[int], Encoded], good: Callable[[Encoded], bool]) -> Encoded | None:
    """The attempt of the largest number 1..100 that is good, if they are good up to some number."""
    low, high, best = 1, QUALITIES, None
    while low <= high:
        middle = (low + high) // 2
        result = attempt(middle)
        if good(result):
            best, low = result, middle + 1
        else:
            high = middle - 1
    return best
