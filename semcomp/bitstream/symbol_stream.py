"""Symbols to bytes and back: every element of a latent under the table that its index names, all in one stream.

The elements of a latent are grouped by table (ascending) and keep their order inside a group, so that no Python
runs per symbol. A value beyond its table's bound is coded as the table's escape; what it is, is spelled out behind
the elements of its latent. One ANS state runs through all of it, so a file pays once for starting and ending: with a
stream for each latent and escapes in a part of their own, 1,365 files of validation photos cost 7.4 bytes beyond their
likelihood on average, 1.4 % of the smallest; now it is at most 4 bytes.

    latent z: categories | digits and signs of escapes, latent y: the same      ANS words, 32 bits, little-endian

FORMAT.md has the details, ans.py the arithmetic of the words. A stream that decodes is the only one
that stands for its symbols: the words must be used up exactly, and do not end in a zero byte.

393,216 elements, 100,000 of them coded under 64 tables: about 2 ms to encode, 3.4 ms to decode; the plain coder
takes 21 and 32 ms (``python -m pytest tests/bitstream/test_symbol_stream.py -k speed -s``, two cores).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from semcomp.bitstream import ans
from semcomp.bitstream.frequency_tables import MAX_VALUE, TOTAL, Tables, escape_bits
from semcomp.errors import FormatError

try:
    import constriction
except ImportError:  # no wheel for aarch64 or musl
    constriction = None

HAS_CONSTRICTION = constriction is not None
_MAX_DIGITS = 16
"""An escape of so many binary digits is beyond MAX_VALUE: DIGITS has the category to fill it up, no encoder uses it."""
_DIGITS = [TOTAL >> k for k in range(1, _MAX_DIGITS)] + [TOTAL >> _MAX_DIGITS - 1]
_BIT = [TOTAL >> 1] * 2
_SPELLING = Tables.from_arrays(np.array([_MAX_DIGITS // 2 - 1, 0]), np.array(_DIGITS + _BIT))
"""Of escapes: table 0 is DIGITS (category d - 1: d binary digits), table 1 BIT. Only their frequencies matter."""
_models: WeakKeyDictionary[Tables, dict[int, Any]] = WeakKeyDictionary()


def encode_symbols(parts: Sequence[tuple[np.ndarray, np.ndarray, Tables]], *, plain: bool = False) -> bytes:
    """The stream of some latents, in the order in which they are to be read: ``(symbols, index, tables)`` of each.

    ``symbols`` (N,) are integers, each coded under table ``index`` (N,). Where ``index`` < 0 nothing is coded and
    the symbol is not looked at (a decoder gets 0 there). ``plain`` uses the plain Python coder even where
    constriction is installed; the bytes are the same. ``ValueError`` for a symbol beyond +-32767, an index
    without a table, or shapes that differ.

    >>> tables = Tables.from_arrays(np.array([1]), np.array([1 << 22, 1 << 23, (1 << 22) - 1, 1]))
    >>> index = np.array([0, 0, -1, 0])
    >>> data = encode_symbols([(np.array([0, -1, 5, 1]), index, tables)])
    >>> data.hex(" ")
    '00 00 40 06'
    >>> reader = SymbolReader(data)
    >>> reader.read(index, tables)
    array([ 0, -1,  0,  1], dtype=int32)
    >>> reader.finish()
    """
    stack = _Stack(plain=plain)
    for symbols, index, tables in reversed(parts):
        _push_latent(stack, np.asarray(symbols), index, tables)
    words: np.ndarray = stack.coder.get_compressed()
    return words.astype("<u4", copy=False).tobytes().rstrip(b"\0")  # the last word is not 0


class SymbolReader:
    """Reads the latents of a stream one after the other, so that one may decide the tables of the next.

    FormatError unless the stream is exactly what :func:`encode_symbols` writes for these symbols. Time and memory
    are O(N + len(data)) whatever the stream holds: about 4 bytes an element, 25 a coded one and 150 an escape.
    """

    def __init__(self, data: bytes | memoryview, *, plain: bool = False) -> None:
        data = bytes(data)
        if data.endswith(b"\0"):
            raise FormatError("the symbol stream ends in a zero byte, which no encoder writes; copy the file again")
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        self._stack = _Stack(words, plain=plain)

    def read(self, index: np.ndarray, tables: Tables) -> np.ndarray:
        """int32 (N,): the symbols of the next latent, given the table ``index`` (N,) of each; 0 where ``index`` < 0.

        ``ValueError`` for an index without a table.
        """
        order, counts = _group(index, tables)
        values = self._stack.pop(counts, tables)
        bounds = np.repeat(tables.bounds.astype(np.int32), counts)
        values -= bounds
        escaped = np.flatnonzero(values > bounds)
        if escaped.size:
            values[escaped] = _pop_escapes(self._stack, bounds[escaped])
        symbols = np.zeros(np.shape(index), np.int32)
        symbols[order] = values
        return symbols

    def finish(self) -> None:
        """FormatError unless the stream has been used up: every reader calls it after the last latent."""
        if not self._stack.coder.is_empty():
            raise FormatError("coded words are left over after the last symbol; copy the file again")


def symbol_crc(*latents: np.ndarray) -> int:
    """CRC-32 of symbols as little-endian int16 in array order: where a file's checksum of them begins."""
    crc = 0
    for symbols in latents:
        crc = zlib.crc32(np.asarray(symbols, "<i2").tobytes(), crc)
    return crc


class _Stack:
    """constriction's coder or the plain one, and the models that go with it."""

    def __init__(self, words: np.ndarray | None = None, *, plain: bool) -> None:
        self.plain = plain or not HAS_CONSTRICTION
        self.coder = (ans if self.plain else constriction.stream.stack).AnsCoder(words)

    def push(self, categories: np.ndarray, counts: np.ndarray, tables: Tables) -> None:
        """Put ``categories`` (K,) on top, grouped by table in ascending order; ``counts`` (T,) adds up to K."""
        ends, model = np.cumsum(counts), self._models_of(tables)
        for table in np.flatnonzero(counts)[::-1].tolist():
            group = categories[ends[table] - counts[table] : ends[table]]
            self.coder.encode_reverse(group, model(table))

    def pop(self, counts: np.ndarray, tables: Tables) -> np.ndarray:
        """int32 (K,): take categories off, as :meth:`push` has put them there."""
        coded, model, decode = np.flatnonzero(counts), self._models_of(tables), self.coder.decode
        groups = [
            decode(model(table), count) for table, count in zip(coded.tolist(), counts[coded].tolist(), strict=True)
        ]
        return np.concatenate(groups) if groups else np.zeros(0, np.int32)

    def _models_of(self, tables: Tables) -> Callable[[int], Any]:
        """The model of a table, by its number; constriction's is built once.

        It gives every category one unit and shares out the other 2**24 - K in proportion to the given weights.
        ``frequency - 1`` adds up to exactly that, so the factor is 1.0 and the integer table comes out unchanged.
        """
        if self.plain:
            return lambda table: ans.model_of(tables.frequencies[table])
        known = _models.setdefault(tables, {})

        def model(table: int) -> Any:
            found = known.get(table)
            if found is None:
                weights = tables.frequencies[table].astype(np.float64) - 1
                found = known[table] = constriction.stream.model.Categorical(weights, perfect=False)
            return found

        return model


def _group(index: np.ndarray, tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """``(order, counts)``: the coded positions sorted by table, and how many each table (T,) has."""
    index = np.asarray(index)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ValueError(f"index is {index.dtype} {index.shape}, expected a vector of integers")
    coded = np.flatnonzero(index >= 0)
    keys = index[coded]
    if keys.size and keys.max() >= len(tables):
        raise ValueError(f"index names table {keys.max()}, there are {len(tables)}")
    counts = np.bincount(keys, minlength=len(tables))
    # numpy sorts integers of 8 and 16 bits by radix: ten times faster than 32 bits.
    keys = keys.astype(np.uint8 if len(tables) <= 256 else np.uint16 if len(tables) <= 65536 else np.uint32)
    return coded[np.argsort(keys, kind="stable")], counts


def _push_latent(stack: _Stack, symbols: np.ndarray, index: np.ndarray, tables: Tables) -> None:
    """Put a latent on the stack. Inverse of :meth:`SymbolReader.read`: what that reads last goes first."""
    order, counts = _group(index, tables)
    if symbols.shape != np.shape(index) or symbols.dtype.kind not in "iu":
        raise ValueError(f"symbols are {symbols.dtype} {symbols.shape}, expected integers {np.shape(index)}")
    values = symbols[order]
    if values.size and not -MAX_VALUE <= values.min() <= values.max() <= MAX_VALUE:
        raise ValueError(f"symbols lie in {values.min()}..{values.max()}, expected at most {MAX_VALUE} in magnitude")
    values = values.astype(np.int32, copy=False)
    bounds = np.repeat(tables.bounds.astype(np.int32), counts)
    escaped = np.flatnonzero(np.abs(values) > bounds)
    categories = values + bounds
    categories[escaped] = 2 * bounds[escaped] + 1
    if escaped.size:
        _push_escapes(stack, values[escaped], bounds[escaped])
    stack.push(categories, counts, tables)


def _push_escapes(stack: _Stack, values: np.ndarray, bounds: np.ndarray) -> None:
    """How many binary digits |v| - b has, for each escape; then for each those below the leading 1, and the sign."""
    excess = np.abs(values) - bounds
    digits = escape_bits(excess) // 2
    lines = (excess << 1 | (values < 0)) << _MAX_DIGITS - digits  # as far left as 16 bits go: the leading 1 falls off
    bits = np.unpackbits(lines.astype(">u2").view(np.uint8)).reshape(-1, _MAX_DIGITS)[_used(digits)]
    categories = np.concatenate([digits - 1, bits], dtype=np.int32, casting="unsafe")
    stack.push(categories, np.array([digits.size, bits.size]), _SPELLING)


def _pop_escapes(stack: _Stack, bounds: np.ndarray) -> np.ndarray:
    """int32: the value behind each escape. Inverse of :func:`_push_escapes`."""
    digits = stack.pop(np.array([bounds.size, 0]), _SPELLING) + 1
    lines = np.zeros((digits.size, _MAX_DIGITS), np.uint8)
    lines[_used(digits)] = stack.pop(np.array([0, digits.sum()]), _SPELLING)
    code = np.packbits(lines, axis=1).view(">u2")[:, 0].astype(np.int32) >> _MAX_DIGITS - digits | 1 << digits
    magnitude = bounds + (code >> 1)
    if magnitude.max() > MAX_VALUE:
        raise FormatError(
            f"an escape spells a symbol of magnitude {magnitude.max()}, at most {MAX_VALUE} is allowed; "
            "copy the file again"
        )
    return np.where(code & 1, -magnitude, magnitude)


def _used(digits: np.ndarray) -> np.ndarray:
    """bool (E, 16): as many places of each line, from the left, as the escape has digits."""
    return np.arange(_MAX_DIGITS) < digits[:, None]
