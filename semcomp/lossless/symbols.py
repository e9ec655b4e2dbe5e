"""Symbols of all steps to bytes and back: the entropy coder, and tables that follow the file.

    8-bit images    words
    16-bit images   varint number of outliers, zigzag varint of each; words

The words make a symbol stream, the first word first: the coarse levels of an image are in front, and a reader
that stops at one of them needs no word behind it. An outlier is a symbol beyond what the tables' escape can spell.
OUTLIER takes its place among the symbols.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.fields import pack_varint, unpack_varint
from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.bitstream.symbol_stream import Stack, pop_bits, pop_latent, push_bits, push_latent
from semcomp.errors import FormatError
from semcomp.lossless.coding import PLAIN, Coding
from semcomp.lossless.head import unzigzag, zigzag
from semcomp.lossless.model import LosslessModel

Int32 = NDArray[np.int32]

OUTLIER = MAX_VALUE
WORD = 4
"""Bytes of a word."""


class StepWriter:
    """Collects the symbols of every step; the entropy coder takes them last step first."""

    def __init__(self, model: LosslessModel, *, bits: int, coding: Coding = PLAIN) -> None:
        self._banks = [coding.bank(prior) for prior in model.banks]
        self._stack = coding.stack
        self._bits = bits
        self._parts: list[Callable[[Stack], None]] = []
        self._starts: dict[int, int] = {}
        self._outliers: list[int] = []

    def begin(self, level: int) -> None:
        """The steps of a level follow."""
        self._starts[level] = len(self._parts)

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Take the symbols of one step."""
        assert symbols is not None
        beyond = np.abs(symbols) >= OUTLIER
        self._outliers += symbols[beyond].tolist()
        bank = self._banks[channel]
        frequencies = bank.tables
        written, numbers = np.where(beyond, OUTLIER, symbols).astype(np.int16), tables.astype(np.int16)
        self._parts.append(lambda stack: push_latent(stack, written, numbers, frequencies))
        bank.count(tables, written.astype(np.int32))
        return symbols

    def code_bits(self, count: Int32, values: Int32 | None) -> Int32:
        """Take ``count`` low bits of each value."""
        assert values is not None
        kept, widths = values.astype(np.uint16), count.astype(np.int8)
        self._parts.append(lambda stack: push_bits(stack, kept, widths))
        return values

    def finish(self, *, plain: bool = False) -> tuple[bytes, dict[int, int]]:
        """All bytes, and for each level how many words a reader needs that stops when it has the level.

        ``plain`` uses the plain Python entropy coder.
        """
        stack, below = self._stack(plain=plain), {}
        ends = {start: level + 1 for level, start in self._starts.items()}
        for number in range(len(self._parts) - 1, -1, -1):
            self._parts.pop()(stack)
            if number in ends:
                below[ends[number]] = stack.below
        words = stack.words()[::-1]
        needed = {level: len(words) - rest for level, rest in below.items()}
        data = words.astype("<u4", copy=False).tobytes()
        if self._bits > 8:
            data = pack_varint(len(self._outliers)) + b"".join(map(pack_varint, map(zigzag, self._outliers))) + data
        return data, needed


class StepReader:
    """Reads the symbols of every step."""

    def __init__(
        self, model: LosslessModel, data: bytes, *, bits: int, plain: bool = False, coding: Coding = PLAIN
    ) -> None:
        self._banks = [coding.bank(prior) for prior in model.banks]
        self._outliers, start = read_outliers(data) if bits > 8 else ([], 0)
        self._outliers.reverse()
        words = np.frombuffer(data, "<u4", offset=start, count=(len(data) - start) // WORD)
        if (len(data) - start) % WORD or (len(words) and not words[0]):
            raise FormatError("the words of the lossless pixels are cut off, or begin with 0; copy the file again")
        self._stack = coding.stack(words[::-1].astype(np.uint32), plain=plain)
        self._words = len(words)

    @property
    def used(self) -> int:
        """Words that have been needed so far."""
        return self._words - self._stack.below

    def begin(self, level: int) -> None:
        """The steps of a level follow."""

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Read the symbols of one step."""
        bank = self._banks[channel]
        read = pop_latent(self._stack, tables, bank.tables)
        bank.count(tables, read)
        for position in np.flatnonzero(np.abs(read) >= OUTLIER).tolist():
            if not self._outliers or read[position] < 0 or abs(self._outliers[-1]) < OUTLIER:
                raise FormatError("an outlier among the symbols is missing or is none; copy the file again")
            read[position] = self._outliers.pop()
        return read

    def code_bits(self, count: Int32, values: Int32 | None) -> Int32:
        """Read ``count`` low bits of each value."""
        return pop_bits(self._stack, count)

    def finish(self) -> None:
        """FormatError unless everything has been used up."""
        if self._outliers or not self._stack.coder.is_empty():
            raise FormatError("words or outliers are left over after the last symbol; copy the file again")


def read_outliers(data: bytes) -> tuple[list[int], int]:
    """The outliers of a 16-bit image, and where its words begin."""
    count, at = unpack_varint(data)
    if count > len(data):
        raise FormatError(f"{count} outliers are claimed in {len(data)} bytes; copy the file again")
    outliers = []
    for _ in range(count):
        value, at = unpack_varint(data, offset=at)
        outliers.append(unzigzag(value))
    return outliers, at
