"""Huffman codes of JPEG as lookup tables, and bits by position.

Two kinds of code read the bits. A short loop in Python walks from symbol to symbol and notes where each one begins.
numpy then reads all symbols and all values at those places at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from semcomp.jpeg.segments import HuffmanCode

WINDOW = 1 << 16
"""Entries of a lookup table: one for each 16 bits."""
STEP_BITS = 5
"""Low bits of a step that hold how many bits of the file a symbol and its value take."""
END = 128
"""Added to a step over coefficients: the block ends here. For a run of blocks the number of its extra bits is added."""
INVALID = 1024
"""A step over coefficients that tells that no code begins here."""
_LARGEST_DC = 15
"""Bits of the largest difference of DC that a code may name, as in libjpeg."""
PADDING = 320
"""Zero bytes behind the data. A block of 64 symbols takes at most 31 bits for each."""


@lru_cache(maxsize=32)
def lookup(code: HuffmanCode) -> NDArray[np.int32]:
    """(65536,) of `length << 8 | symbol` by the next 16 bits; 0 where no code begins."""
    lengths = np.repeat(np.arange(1, 17), list(code.counts))
    entries = lengths << 8 | np.frombuffer(code.symbols, np.uint8)
    filled = np.repeat(entries, 1 << (16 - lengths)).astype(np.int32)
    return np.concatenate([filled, np.zeros(WINDOW - len(filled), np.int32)])


@lru_cache(maxsize=16)
def dc_steps(code: HuffmanCode) -> list[int]:
    """Bits of a DC symbol and its value, by the next 16 bits; a number beyond any file where no code begins."""
    table = lookup(code)
    size = table & 255
    steps = np.where((table > 0) & (size <= _LARGEST_DC), (table >> 8) + size, 1 << 40)
    return [int(step) for step in steps]


@lru_cache(maxsize=16)
def ac_steps(code: HuffmanCode, *, runs: bool = False) -> list[int]:
    """`coefficients << STEP_BITS | bits` of an AC symbol with its value, by the next 16 bits.

    Args:
        code: The code.
        runs: Symbols of size 0 end a run of blocks, as in progressive files.
    """
    table = lookup(code)
    size, run = table & 15, table >> 4 & 15
    coefficients, bits = run + 1, (table >> 8) + size
    ends = (size == 0) & (run < 15)
    coefficients = np.where(ends, END + run if runs else END, coefficients)
    bits = np.where(ends & runs, bits + run, bits)
    steps = np.where(table > 0, coefficients << STEP_BITS | bits, INVALID << STEP_BITS)
    return [int(step) for step in steps]


class Bits:
    """The bits of one restart interval, after the stuffing was taken out."""

    def __init__(self, data: bytes):
        plain = data.replace(b"\xff\x00", b"\xff")
        self.length = 8 * len(plain)
        padded = np.frombuffer(plain + bytes(PADDING), np.uint8).astype(np.uint64)
        self._forty = np.zeros(len(padded), np.uint64)
        for place in range(5):
            self._forty[: len(padded) - place] |= padded[place:] << np.uint64(32 - 8 * place)
        self._last = 8 * (len(plain) + PADDING - 8)
        self.view: memoryview[int] = (self._forty >> np.uint64(8)).astype(np.uint32).data
        """32 bits from each byte on."""

    def windows(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The 16 bits at each position."""
        return self.values(positions, np.full(len(positions), 16, np.int64))

    def values(self, positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Unsigned numbers of up to 16 bits that begin at each position."""
        positions = np.minimum(positions, self._last)
        words = self._forty[positions >> 3]
        shifts = (40 - (positions & 7) - sizes).astype(np.uint64)
        numbers: NDArray[np.int64] = (words >> shifts).astype(np.int64) & ((1 << sizes) - 1)
        return numbers

    def signed(self, positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers as JPEG codes them (T.81, F.1.2.1): a leading 0 bit makes them negative."""
        numbers = self.values(positions, sizes)
        signed: NDArray[np.int64] = np.where(
            numbers >> np.maximum(sizes - 1, 0) > 0, numbers, numbers - (1 << sizes) + 1
        )
        return signed * (sizes > 0)
