"""Symbols of all steps to bytes and back: the entropy coder, tables that follow the file, and bits stored as they are.

    8-bit images    words of the symbol stream
    16-bit images   varint number of outliers, zigzag varint of each; varint number of bytes, plain bits; words

An outlier is a symbol beyond what the tables' escape can spell. OUTLIER takes its place among the symbols.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.fields import pack_varint, unpack_varint
from semcomp.bitstream.frequency_tables import MAX_VALUE, Tables
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.errors import FormatError
from semcomp.lossless.banks import AdaptiveBank
from semcomp.lossless.head import unzigzag, zigzag
from semcomp.lossless.model import LosslessModel

Int32 = NDArray[np.int32]

OUTLIER = MAX_VALUE


class StepWriter:
    """Collects the symbols of every step; the entropy coder takes them last step first."""

    def __init__(self, model: LosslessModel, *, bits: int) -> None:
        self._banks = [AdaptiveBank(prior) for prior in model.banks]
        self._bits = bits
        self._parts: list[tuple[NDArray[np.int16], NDArray[np.int16], Tables]] = []
        self._outliers: list[int] = []
        self._plain: list[NDArray[np.uint8]] = []

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Take the symbols of one step."""
        assert symbols is not None
        beyond = np.abs(symbols) >= OUTLIER
        self._outliers += symbols[beyond].tolist()
        written = np.where(beyond, OUTLIER, symbols)
        bank = self._banks[channel]
        self._parts.append((written.astype(np.int16), tables.astype(np.int16), bank.tables))
        bank.count(tables, written)
        return symbols

    def code_bits(self, count: Int32, values: Int32 | None) -> Int32:
        """Take ``count`` low bits of each value."""
        assert values is not None
        for place in range(int(count.max())):
            self._plain.append((values[count > place] >> place & 1).astype(np.uint8))
        return values

    def finish(self, *, plain: bool = False) -> bytes:
        """All bytes. ``plain`` uses the plain Python entropy coder."""
        words = encode_symbols(self._parts, plain=plain)
        if self._bits == 8:
            return words
        bits = np.packbits(np.concatenate(self._plain) if self._plain else np.zeros(0, np.uint8)).tobytes()
        outliers = b"".join(pack_varint(zigzag(value)) for value in self._outliers)
        return pack_varint(len(self._outliers)) + outliers + pack_varint(len(bits)) + bits + words


class StepReader:
    """Reads the symbols of every step."""

    def __init__(self, model: LosslessModel, data: bytes, *, bits: int, plain: bool = False) -> None:
        self._banks = [AdaptiveBank(prior) for prior in model.banks]
        self._outliers: list[int] = []
        self._plain = np.zeros(0, np.uint8)
        self._taken = 0
        at = 0
        if bits > 8:
            count, at = unpack_varint(data)
            for _ in range(count):
                value, at = unpack_varint(data, offset=at)
                self._outliers.append(unzigzag(value))
            size, at = unpack_varint(data, offset=at)
            if at + size > len(data):
                raise FormatError(f"the plain bits claim {size} bytes, {len(data) - at} are there; copy the file again")
            self._plain = np.unpackbits(np.frombuffer(data[at : at + size], np.uint8))
            at += size
        self._outliers.reverse()
        self._reader = SymbolReader(data[at:], plain=plain)

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Read the symbols of one step."""
        bank = self._banks[channel]
        read = self._reader.read(tables, bank.tables)
        bank.count(tables, read)
        for position in np.flatnonzero(np.abs(read) >= OUTLIER).tolist():
            if not self._outliers or read[position] < 0 or abs(self._outliers[-1]) < OUTLIER:
                raise FormatError("an outlier among the symbols is missing or is none; copy the file again")
            read[position] = self._outliers.pop()
        return read

    def code_bits(self, count: Int32, values: Int32 | None) -> Int32:
        """Read ``count`` low bits of each value."""
        read = np.zeros(len(count), np.int32)
        for place in range(int(count.max())):
            at = np.flatnonzero(count > place)
            if self._taken + len(at) > len(self._plain):
                raise FormatError("plain bits of the symbols are missing; copy the file again")
            read[at] |= self._plain[self._taken : self._taken + len(at)].astype(np.int32) << place
            self._taken += len(at)
        return read

    def finish(self) -> None:
        """FormatError unless everything has been used up."""
        rest = self._plain[self._taken :]
        if self._outliers or len(rest) > 7 or rest.any():
            raise FormatError("outliers or plain bits are left over after the last symbol; copy the file again")
        self._reader.finish()
