"""Scans of progressive files (ITU-T T.81, Annex G): a band of coefficients, or one more bit of them.

All functions work on blocks in the order of the scan, (blocks, 64), with coefficients in the order of files (zigzag).
They return how many blocks were read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semcomp.jpeg.huffman import END, INVALID, STEP_BITS, Bits, ac_steps, dc_steps, lookup
from semcomp.jpeg.segments import HuffmanCode

_BITS = (1 << STEP_BITS) - 1
Blocks = NDArray[np.int16]


def first_dc(bits: Bits, blocks: Blocks, codes: Sequence[HuffmanCode], components: Sequence[int], low: int) -> int:
    """The first scan of DC coefficients. `codes` and `components` belong to the blocks of a unit, in turn."""
    view, end, at = bits.view, bits.length, 0
    steps = [dc_steps(code) for code in codes]
    positions: list[int] = []
    for number in range(len(blocks)):
        if at >= end:
            break
        positions.append(at)
        at += steps[number % len(steps)][view[at >> 3] >> (16 - (at & 7)) & 65535]
        if at > end:
            positions.pop()
            break
    found = np.array(positions, np.int64)
    kinds = np.resize(np.arange(len(codes)), len(found))
    entries = np.stack([lookup(code) for code in codes])[kinds, bits.windows(found)]
    values = bits.signed(found + (entries >> 8), (entries & 255).astype(np.int64))
    for component in set(components):
        own = np.flatnonzero(np.array(components)[kinds] == component)
        blocks[own, 0] = np.cumsum(values[own]) << low
    return len(found)


def more_dc(bits: Bits, blocks: Blocks, low: int) -> int:
    """One more bit of DC coefficients: bits without codes."""
    count = min(len(blocks), bits.length)
    values = bits.values(np.arange(count), np.ones(count, np.int64))
    blocks[:count, 0] |= (values << low).astype(np.int16)
    return count


def first_ac(bits: Bits, blocks: Blocks, code: HuffmanCode, band: tuple[int, int], low: int) -> int:
    """The first scan of a band of AC coefficients of one component."""
    view, end, at = bits.view, bits.length, 0
    first, last = band
    steps = ac_steps(code, runs=True)
    positions: list[int] = []
    numbers: list[int] = []
    number, count = 0, len(blocks)
    while number < count and at < end:
        k, begun, following = first - 1, len(positions), 1
        while k < last and at < end:
            positions.append(at)
            numbers.append(number)
            step = steps[view[at >> 3] >> (16 - (at & 7)) & 65535]
            at += step & _BITS
            moved = step >> STEP_BITS
            k += moved
            if END <= moved < INVALID:
                extra = moved - END
                following = (1 << extra) + (view[at - extra >> 3] >> (32 - (at - extra & 7) - extra) & (1 << extra) - 1)
        if at > end or k < last or (last < k < END) or k > 2 * END:
            del positions[begun:], numbers[begun:]
            break
        number += following
    found, owners = np.array(positions, np.int64), np.array(numbers, np.int64)
    entries = lookup(code)[bits.windows(found)]
    sizes, runs = (entries & 15).astype(np.int64), entries >> 4 & 15
    values = bits.signed(found + (entries >> 8), sizes) << low
    reached = np.cumsum(runs + 1)
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    before = np.concatenate([[0], reached])[begins]
    reached = reached - np.repeat(before, np.diff(begins, append=len(owners))) + first - 1
    coded = (sizes > 0) & (reached <= last)
    blocks[owners[coded], reached[coded]] = values[coded]
    return min(number, count)


def more_ac(bits: Bits, blocks: Blocks, code: HuffmanCode, band: tuple[int, int], low: int) -> int:
    """One more bit of a band of AC coefficients of one component.

    The bits of coefficients that are known already stand between the symbols. How many there are follows from how many
    known coefficients a symbol passes, so that the loop visits symbols and not coefficients.
    """
    first, last = band
    known = blocks[:, first : last + 1] != 0
    zeros, starts = _places(~known)
    totals = known.sum(1).tolist()
    number, passed, placed = _walk_refinement(bits, lookup(code), zeros, starts, totals, last - first + 1)
    bit = 1 << low
    if placed:
        owner, place, sign = np.array(placed, np.int64).T
        signs = bits.values(sign, np.ones(len(sign), np.int64))
        fresh = np.where(signs > 0, bit, -bit)
    owners, places = np.nonzero(known)
    if passed:
        begin, at, many = np.array(passed, np.int64).T
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        which, where = np.repeat(begin, many) + within, np.repeat(at, many) + within
        chosen = bits.values(where, np.ones(len(where), np.int64)) > 0
        rows, columns = owners[which[chosen]], places[which[chosen]] + first
        blocks[rows, columns] += (np.sign(blocks[rows, columns]) * bit).astype(np.int16)
    if placed:
        blocks[owner, place + first] = fresh
    return number


def _places(mask: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Columns of all set entries, row after row, and where each row begins in that list."""
    counts = mask.sum(1)
    return np.nonzero(mask)[1].tolist(), [0, *np.cumsum(counts).tolist()]


def _walk_refinement(
    bits: Bits, table: NDArray[np.int32], zeros: list[int], starts: list[int], totals: list[int], width: int
) -> tuple[int, list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Walk through the symbols of `more_ac`.

    Args:
        bits: The interval.
        table: The code.
        zeros: Places in the band that are 0 so far, block after block.
        starts: Where each block begins in `zeros`; one more entry at the end.
        totals: Number of coefficients of each block that are not 0.
        width: Coefficients of the band.

    Returns:
        How many blocks were read; (index of the first known coefficient, position of the first bit, how many) for each
        run of bits of known coefficients; and (block, place in the band, position of the sign) of new coefficients.
    """
    passed: list[tuple[int, int, int]] = []
    placed: list[tuple[int, int, int]] = []
    view, end, codes, at, run, known = bits.view, bits.length, table.data, 0, 0, 0
    for number, total in enumerate(totals):
        zero, stop, k, left = starts[number], starts[number + 1], 0, total
        while run == 0 and k < width:
            entry = codes[view[at >> 3] >> (16 - (at & 7)) & 65535]
            size, skip = entry & 15, entry >> 4 & 15
            if entry == 0 or at >= end or size > 1:
                return number, passed, placed
            at += entry >> 8
            if size == 0 and skip < 15:
                run = (1 << skip) + (view[at >> 3] >> (32 - (at & 7) - skip) & (1 << skip) - 1)
                at += skip
                break
            sign = at
            at += size
            target = zeros[zero + skip] if zero + skip < stop else width
            many = target - k - (min(zero + skip, stop) - zero)
            if many:
                passed.append((known + total - left, at, many))
                at += many
                left -= many
            if size and target < width:
                placed.append((number, target, sign))
            zero, k = zero + skip + 1, target + 1
        if run:
            run -= 1
            if left:
                passed.append((known + total - left, at, left))
                at += left
        if at > end:
            return number, passed, placed
        known += total
    return len(totals), passed, placed
