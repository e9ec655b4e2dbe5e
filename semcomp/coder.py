"""Symbols to bytes and back: every element of a latent under the table that its index names, in one call.

The elements are grouped by table (ascending) and keep their order inside a group, so that no Python runs per
symbol. A value beyond its table's bound is coded as the table's escape, and spelled out in a part of its own:

    LEB128 length of the escape part | escape part | ANS words, 32 bits, little-endian, without final zero bytes

FORMAT.md has the details, plain_coder.py the arithmetic of the words. A stream that decodes is the only one
that stands for its symbols: words, escapes and padding must be used up exactly.

393,216 elements, 100,000 of them coded under 64 tables: 2.0 ms to encode, 3.4 ms to decode; the plain coder
takes 21 and 32 ms (``python -m pytest tests/test_coder.py -k speed -s``, two cores).
"""

from __future__ import annotations

import zlib
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from semcomp import plain_coder
from semcomp.container import pack_varint, unpack_varint
from semcomp.errors import FormatError
from semcomp.tables import MAX_VALUE, Tables, escape_bits

try:
    import constriction
except ImportError:  # no wheel for aarch64 or musl
    constriction = None

HAS_CONSTRICTION = constriction is not None
_MAX_PREFIX = MAX_VALUE.bit_length() - 1  # zeros before an Exp-Golomb code; more would exceed MAX_VALUE
_models: WeakKeyDictionary[Tables, dict[int, Any]] = WeakKeyDictionary()


def encode_symbols(symbols: np.ndarray, index: np.ndarray, tables: Tables, *, plain: bool = False) -> bytes:
    """The stream of ``symbols`` (N,), each coded under table ``index`` (N,).

    Where ``index`` < 0 nothing is coded and the symbol is not looked at (a decoder gets 0 there). ``plain``
    uses the plain Python coder even where constriction is installed; the bytes are the same. ``ValueError``
    for a symbol beyond +-32767, an index without a table, or shapes that differ.

    >>> tables = Tables.from_arrays(np.array([1]), np.array([1 << 22, 1 << 23, (1 << 22) - 1, 1]))
    >>> data = encode_symbols(np.array([0, -1, 5, 1]), np.array([0, 0, -1, 0]), tables)
    >>> data.hex(" ")
    '00 00 00 40 06'
    >>> decode_symbols(data, np.array([0, 0, -1, 0]), tables)
    array([ 0, -1,  0,  1], dtype=int32)
    """
    symbols = np.asarray(symbols)
    order, counts = _group(index, tables)
    if symbols.shape != np.shape(index) or symbols.dtype.kind not in "iu":
        raise ValueError(f"symbols are {symbols.dtype} {symbols.shape}, expected integers {np.shape(index)}")
    values = symbols[order]
    if values.size and not -MAX_VALUE <= values.min() <= values.max() <= MAX_VALUE:
        raise ValueError(
            f"symbols lie in {values.min()}..{values.max()}, expected at most {MAX_VALUE} in magnitude"
        )
    values = values.astype(np.int32, copy=False)
    bounds = np.repeat(tables.bounds.astype(np.int32), counts)
    escaped = np.flatnonzero(np.abs(values) > bounds)
    categories = values + bounds
    categories[escaped] = 2 * bounds[escaped] + 1

    escape_part = _encode_escapes(values[escaped], bounds[escaped])
    encode_words = plain_coder.encode_words if plain or not HAS_CONSTRICTION else _encode_words
    words = encode_words(categories, counts=counts, tables=tables)
    tail = words.astype("<u4", copy=False).tobytes().rstrip(b"\0")  # the last word is not 0
    return b"".join([pack_varint(len(escape_part)), escape_part, tail])


def decode_symbols(
    data: bytes | memoryview, index: np.ndarray, tables: Tables, *, plain: bool = False
) -> np.ndarray:
    """int32 (N,): the symbols of a stream, given the table ``index`` (N,) of each; 0 where ``index`` < 0.

    FormatError unless the stream is exactly what :func:`encode_symbols` writes for these symbols. Time and
    memory are O(N + len(data)) whatever the stream holds: about 4 bytes an element and 25 a coded one.
    ``ValueError`` for an index without a table.
    """
    order, counts = _group(index, tables)
    view = memoryview(data).cast("B")
    length, start = unpack_varint(view)
    if length > len(view) - start:
        raise FormatError(
            f"the escape part of a symbol stream claims {length} bytes, {len(view) - start} are left; "
            "copy the file again"
        )
    escape_part, rest = view[start : start + length], view[start + length :]
    if len(rest) and not rest[-1]:
        raise FormatError("a symbol stream ends in a zero byte, which no encoder writes; copy the file again")
    words = np.frombuffer(bytes(rest) + bytes(-len(rest) % 4), "<u4").astype(np.uint32)
    decode_words = plain_coder.decode_words if plain or not HAS_CONSTRICTION else _decode_words
    values = decode_words(words, counts=counts, tables=tables)
    bounds = np.repeat(tables.bounds.astype(np.int32), counts)
    values -= bounds
    escaped = np.flatnonzero(values > bounds)
    values[escaped] = _decode_escapes(escape_part, bounds[escaped])

    symbols = np.zeros(np.shape(index), np.int32)
    symbols[order] = values
    return symbols


def symbol_crc(symbols: np.ndarray) -> int:
    """CRC-32 of symbols as little-endian int16 in array order: where a file's checksum of them begins."""
    return zlib.crc32(np.asarray(symbols, "<i2").tobytes())


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


def _encode_words(categories: np.ndarray, *, counts: np.ndarray, tables: Tables) -> np.ndarray:
    """:func:`plain_coder.encode_words` by constriction."""
    coder = constriction.stream.stack.AnsCoder()
    ends = np.cumsum(counts)
    for table in np.flatnonzero(counts)[::-1].tolist():
        group = categories[ends[table] - counts[table] : ends[table]]
        coder.encode_reverse(group, _model(tables, table))
    return coder.get_compressed()


def _decode_words(words: np.ndarray, *, counts: np.ndarray, tables: Tables) -> np.ndarray:
    """:func:`plain_coder.decode_words` by constriction."""
    if len(words) and words[-1] == 0:
        raise FormatError("the coded words end in a zero word, which no encoder writes; copy the file again")
    coder = constriction.stream.stack.AnsCoder(words)
    groups = [
        coder.decode(_model(tables, table), int(counts[table])) for table in np.flatnonzero(counts).tolist()
    ]
    if not coder.is_empty():
        raise FormatError("coded words are left over after the last symbol; copy the file again")
    return np.concatenate(groups) if groups else np.zeros(0, np.int32)


def _model(tables: Tables, table: int) -> Any:
    """constriction's model of one table, built once.

    It gives every category one unit and shares out the other 2**24 - K in proportion to the given weights.
    ``frequency - 1`` adds up to exactly that, so the factor is 1.0 and the integer table comes out unchanged.
    """
    models = _models.setdefault(tables, {})
    if table not in models:
        weights = tables.frequencies[table].astype(np.float64) - 1
        models[table] = constriction.stream.model.Categorical(weights, perfect=False)
    return models[table]


def _encode_escapes(values: np.ndarray, bounds: np.ndarray) -> bytes:
    """Exp-Golomb of |v| - b - 1 and a sign bit (1 = negative) for each; zero bits fill the last byte."""
    if not values.size:
        return b""
    excess = np.abs(values) - bounds
    lengths = escape_bits(excess)
    ends = np.cumsum(lengths)
    payload = excess << 1 | (values < 0)  # the zeros of the prefix are its own leading zeros
    shift = np.repeat(ends, lengths) - 1 - np.arange(ends[-1])
    return np.packbits((np.repeat(payload, lengths) >> shift & 1).astype(np.uint8)).tobytes()


def _decode_escapes(data: memoryview, bounds: np.ndarray) -> np.ndarray:
    """int32: the value behind each escape. Inverse of :func:`_encode_escapes`; must use up ``data``."""
    if 8 * len(data) > bounds.size * (2 * _MAX_PREFIX + 2) + 7:
        raise FormatError(
            f"an escape part of {len(data)} bytes for {bounds.size} escapes; copy the file again"
        )
    digits = (np.unpackbits(np.frombuffer(data, np.uint8)) + ord("0")).tobytes().decode()
    payload, position = [], 0
    for _ in range(bounds.size):
        one = digits.find("1", position, position + _MAX_PREFIX + 1)
        if one < 0:
            raise FormatError(f"no escape code at bit {position} of the escape part; copy the file again")
        position = 2 * one - position + 2
        payload.append(int(digits[one:position], 2))
    padding = digits[position:]
    if position > len(digits) or len(padding) > 7 or "1" in padding:
        raise FormatError(f"the escape codes take {position} bits, the escape part holds {len(digits)}")
    code = np.array(payload, np.int32)
    magnitude = bounds + (code >> 1)
    if code.size and magnitude.max() > MAX_VALUE:
        raise FormatError(
            f"an escape spells a symbol of magnitude {magnitude.max()}, at most {MAX_VALUE} is allowed"
        )
    return np.where(code & 1, -magnitude, magnitude)
