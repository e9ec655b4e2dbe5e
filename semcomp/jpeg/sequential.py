"""Scans that code all coefficients of a block at once: baseline and extended files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semcomp.jpeg.huffman import END, STEP_BITS, Bits, ac_steps, dc_steps, lookup
from semcomp.jpeg.segments import HuffmanCode
from semcomp.jpeg.standard import ZIGZAG

_BITS = (1 << STEP_BITS) - 1


def walk(bits: Bits, codes: Sequence[tuple[list[int], list[int]]], units: int) -> tuple[list[int], list[int]]:
    """Walk through the symbols of an interval.

    Args:
        bits: The interval.
        codes: Steps of the DC and the AC code of each block of a unit.
        units: Minimum coded units of the interval.

    Returns:
        Where each symbol begins, and the number of symbols before each block that was read.
    """
    view, end = bits.view, bits.length
    positions: list[int] = []
    starts: list[int] = []
    note, at = positions.append, 0
    for _ in range(units):
        for dc, ac in codes:
            starts.append(len(positions))
            note(at)
            at += dc[view[at >> 3] >> (16 - (at & 7)) & 65535]
            k = 0
            while k < 63 and at < end:
                note(at)
                step = ac[view[at >> 3] >> (16 - (at & 7)) & 65535]
                at += step & _BITS
                k += step >> STEP_BITS
            if at > end or k < 63 or 63 < k < END or k > 2 * END:
                del positions[starts.pop() :]
                return positions, starts
    return positions, starts


def decode_interval(
    bits: Bits, codes: Sequence[tuple[HuffmanCode, HuffmanCode]], components: Sequence[int], units: int
) -> NDArray[np.int16]:
    """Decode an interval.

    Args:
        bits: The interval.
        codes: The DC and the AC code of each block of a unit.
        components: The component of each block of a unit.
        units: Minimum coded units of the interval.

    Returns:
        Coefficients in rows, (blocks read, 64), in the order of the file.
    """
    steps = [(dc_steps(dc), ac_steps(ac)) for dc, ac in codes]
    positions, starts = walk(bits, steps, units)
    blocks = np.zeros((len(starts), 64), np.int16)
    if not starts:
        return blocks
    at, first = np.array(positions, np.int64), np.array(starts, np.int64)
    counts = np.diff(first, append=len(at))
    kinds = np.resize(np.arange(len(codes)), len(first))
    tables = np.stack([lookup(code) for pair in codes for code in pair])
    rows = np.repeat(2 * kinds + 1, counts)
    rows[first] -= 1
    entries = tables[rows, bits.windows(at)]
    lengths, symbols = entries >> 8, entries & 255
    is_dc = np.zeros(len(at), bool)
    is_dc[first] = True
    sizes = np.where(is_dc, symbols, symbols & 15).astype(np.int64)
    values = bits.signed(at + lengths, sizes)
    _place(blocks, values, np.where(is_dc, 0, (symbols >> 4) + 1), sizes, first, counts)
    for component in set(components):
        own = np.flatnonzero(np.array(components)[kinds] == component)
        blocks[own, 0] = np.cumsum(values[first[own]])
    return blocks


def _place(
    blocks: NDArray[np.int16],
    values: NDArray[np.int64],
    moves: NDArray[np.int64],
    sizes: NDArray[np.int64],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Write AC values to their places: each symbol moves on by some coefficients within its block."""
    reached = np.cumsum(moves)
    reached -= np.repeat(reached[first], counts)
    coded = (sizes > 0) & (reached > 0) & (reached < 64)
    numbers = np.repeat(np.arange(len(first)), counts)
    blocks[numbers[coded], ZIGZAG[reached[coded]]] = values[coded]
