"""One step of an image: what the networks' outputs say about a pixel, on numpy and on torch alike (features.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCALES = 64
"""Scales of a prediction, six to an octave of the standard deviation."""
PHASES = 8
"""Where between two integers the mean is, in eighths."""
STEPS_PER_OCTAVE = 6
FIRST_SCALE = 12
"""The scale of an output of 0 at activity 0."""
WIDEST = 48
"""Symbols of 16-bit images that are more widely spread have low bits that are stored as they are."""
COARSER = (0, 10, 14, 17, 19, 21, 22, 23, 25)
"""Scales to go down where symbols count steps of 1, 3, 5, ... 17: six times the binary logarithm, rounded."""
MAX_NEAR = len(COARSER) - 1
MEAN_LIMIT = 4096
"""Means of 8-bit images are at most this far from the initial prediction, in eighths."""
OUTPUT_LIMIT = 8191
"""Larger means of a network are taken for this one, so that their shift by k stays below 2^31."""


@dataclass(frozen=True)
class Prediction:
    """What is expected of pixels: the integers that symbols are counted from, and table numbers, (N,) int32 each."""

    mean: Any
    table: Any
    """scale * PHASES + phase. 8-bit images have scales 0..63, 16-bit images 0..111."""


def predicted(xp: Any, initial: Any, eighths: Any, scale: Any, k: Any, bits: int) -> Prediction:
    """The mean is ``eighths`` of a pixel from the initial prediction; the network's scale is in quarters."""
    limit = MEAN_LIMIT << (bits - 8)
    eighths = xp.clip(eighths, -limit, limit) + 4
    last = SCALES - 1 + STEPS_PER_OCTAVE * (bits - 8)
    scale = xp.clip((scale + 4 * (STEPS_PER_OCTAVE * k + FIRST_SCALE) + 2) >> 2, 0, last)
    return Prediction(initial + (eighths >> 3), scale * PHASES + (eighths & 7))


def without_low_bits(tables: Any) -> tuple[Any, Any]:
    """Tables of scales below WIDEST for the high bits of symbols, and how many low bits are stored as they are.

    A scale from WIDEST on means a distribution that is flat over some low bits. The high bits are rounded down, which
    moves their mean by half of their unit: phase 0 says so.
    """
    scale, phase = tables // PHASES, tables % PHASES
    low = ((scale - WIDEST) // STEPS_PER_OCTAVE + 1).clip(0)
    return (scale - STEPS_PER_OCTAVE * low) * PHASES + phase * (low == 0), low


def coarser_tables(tables: Any, near: int) -> Any:
    """Table numbers for symbols that count steps of 2 near + 1: a smaller scale, and a phase nearer to the middle."""
    step = 2 * near + 1
    scale, phase = tables // PHASES, tables % PHASES
    scale = (scale - COARSER[near]).clip(0, SCALES - 1)
    return scale * PHASES + (2 * (phase - PHASES // 2) + step) // (2 * step) + PHASES // 2


def in_eighths(xp: Any, output: Any, k: Any) -> Any:
    """A network's mean, which is in the unit of its features, in eighths of a pixel."""
    return ((xp.clip(output, -OUTPUT_LIMIT, OUTPUT_LIMIT) << k) + 4) >> 3
