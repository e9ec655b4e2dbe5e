"""The coder: the bytes are those of FORMAT.md, both coders agree on them, and a damaged stream is refused."""

import doctest
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from semcomp.bitstream import ans, symbol_stream
from semcomp.bitstream.frequency_tables import TOTAL, Tables, quantize_pmf
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols, symbol_crc
from semcomp.errors import FormatError

Integers = NDArray[np.signedinteger[Any]]
Part = tuple[Integers, Integers, Tables]
"""Symbols, their table numbers and the tables."""
Index = tuple[Integers, Tables]

BOTH = [
    pytest.param(
        False, id="constriction", marks=pytest.mark.skipif(not symbol_stream.HAS_CONSTRICTION, reason="no wheel")
    ),
    pytest.param(True, id="plain"),
]


def gaussian_tables(count: int) -> Tables:
    """Tables of ``count`` scales from 0.1 to 100, each with a rare escape."""
    bounds, flat = [], []
    for scale in np.geomspace(0.1, 100, count):
        bound = int(4 * scale) + 1
        pmf = np.exp(-0.5 * (np.arange(-bound, bound + 1) / scale) ** 2)
        bounds.append(bound)
        flat.append(quantize_pmf(np.append(pmf / pmf.sum(), 1e-4)))
    return Tables.from_arrays(np.array(bounds), np.concatenate(flat))


def message(tables: Tables, *, size: int, coded: float, seed: int = 0) -> tuple[Integers, Integers]:
    """``size`` positions of which a part is coded, drawn from the tables themselves."""
    rng = np.random.default_rng(seed)
    index = np.where(rng.random(size) < coded, rng.integers(0, len(tables), size), -1).astype(np.int32)
    symbols = np.zeros(size, np.int32)
    for table, frequency in enumerate(tables.frequencies):
        (at,) = np.nonzero(index == table)
        symbols[at] = rng.choice(frequency.size, at.size, p=frequency / TOTAL) - tables.bounds[table]
    escapes = symbols > tables.bounds[index]
    symbols[escapes & (index >= 0)] *= -3
    return symbols, index


def decode_symbols(data: bytes | memoryview, *parts: Index, plain: bool = False) -> Any:
    """The latents of a whole stream, ``(index, tables)`` of each; a single one as it is."""
    reader = SymbolReader(data, plain=plain)
    latents = [reader.read(index, tables) for index, tables in parts]
    reader.finish()
    return latents if len(parts) > 1 else latents[0]


def decode_by_the_page(data: bytes, *parts: Index) -> Any:
    """The same from FORMAT.md alone, one category after the other."""
    data += bytes(-len(data) % 4)
    words = list(struct.unpack(f"<{len(data) // 4}I", data))
    x = words.pop() if words else 0
    x = x << 32 | words.pop() if words else x

    def category(frequencies: Sequence[int]) -> int:
        nonlocal x
        q, k, c = x % 2**24, 0, 0
        while not c <= q < c + frequencies[k]:
            c, k = c + frequencies[k], k + 1
        x = (x >> 24) * frequencies[k] + q - c
        x = x << 32 | words.pop() if x < 2**32 and words else x
        return k

    latents = []
    for index, tables in parts:
        symbols, escapes = [0] * len(index), []
        for table, (bound, frequencies) in enumerate(zip(tables.bounds.tolist(), tables.frequencies, strict=True)):
            for at in np.flatnonzero(index == table).tolist():
                symbols[at] = category(frequencies.tolist()) - bound
                if symbols[at] > bound:
                    escapes.append((at, bound))
        digits = [1 + category(DIGITS) for _ in escapes]
        for (at, bound), count in zip(escapes, digits, strict=True):
            n = 1
            for _ in range(count - 1):
                n = 2 * n + category(BIT)
            symbols[at] = -(bound + n) if category(BIT) else bound + n
        latents.append(symbols)
    assert x == 0 and not words
    return latents if len(parts) > 1 else latents[0]


DIGITS, BIT = [2**k for k in range(23, 8, -1)] + [2**9], [2**23, 2**23]
TABLES = gaussian_tables(8)
GOLDEN_TABLES = Tables.from_arrays(
    np.array([0, 1, 2, 9]),
    np.concatenate(
        [
            [TOTAL - 100_000, 100_000],
            [3_000_000, 10_000_000, 3_000_000, TOTAL - 16_000_000],
            [1_000_000, 3_000_000, 8_000_000, 3_000_000, 1_000_000, TOTAL - 16_000_000],
            [800_000 + 1000 * i for i in range(19)] + [TOTAL - 19 * 800_000 - 171_000],
        ]
    ),
)
GOLDEN = "a8dffe20 978f3c20 6c0987d8 80478b10"
# Category 0 has frequency 2**22, 1 has 2**23, 2 has 2**22 - 1, the escape has 1.
TINY = Tables.from_arrays(np.array([1]), np.array([1 << 22, 1 << 23, (1 << 22) - 1, 1]))


# the bytes


@pytest.mark.parametrize("plain", BOTH)
def test_golden_words(plain: bool) -> None:
    index = np.array([3, -1, 0, 2, 3, 1, 0, 3, 2, -1, 3, 3, 2, 0, 1, 3], np.int8)
    symbols = np.array([5, 0, 0, -2, 40, 1, 0, -11, 1, 0, 3, -8, 0, -7, 0, 2], np.int32)
    parts = [(symbols[:5], index[:5], TABLES), (symbols, index, GOLDEN_TABLES)]
    data = encode_symbols(parts, plain=plain)
    assert data.hex(" ", -4) == GOLDEN
    first, second = decode_symbols(data, (index[:5], TABLES), (index, GOLDEN_TABLES), plain=plain)
    assert first.tolist() == symbols[:5].tolist()
    assert second.tolist() == symbols.tolist()


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("symbols", "stream"),
    [
        ([], ""),
        ([-1], ""),  # category 0 leaves the state 0 as it is
        ([0], "000040"),  # x = 2**22
        # x = 0: push 0 (f = 2**23, c = 2**22): x = 2**22; push -1 (f = 2**22, c = 0): x = (1 << 24) + 0
        ([-1, 0], "00000001"),
        ([1, 1, 1], "1200c00f"),  # 3 * 2**22, then 0x03c00003, then 0x0fc00012
        # The escape has c = 2**24 - 1. Behind it one digit and the sign, + and - as categories 0 0 and 0 1.
        ([2], "ffffff"),  # x stays 0 until the escape
        ([-2], "ffffff00 000001"),  # 2**23, 2**24, (2**24 << 24) + 2**24 - 1
        # Backwards: -, 0, +, 1 as 2**23, 2**24, 2**25, 0x04800000; two digits twice as 0x12800000, 0x4a800000; escapes
        ([4, -3], "ffffff00 ffffff00 804a"),
    ],
)
def test_streams_worked_out_by_hand(symbols: list[int], stream: str, plain: bool) -> None:
    index = np.zeros(len(symbols), np.int32)
    assert encode_symbols([(np.array(symbols, np.int32), index, TINY)], plain=plain) == bytes.fromhex(stream)
    assert decode_symbols(bytes.fromhex(stream), (index, TINY), plain=plain).tolist() == symbols


@pytest.mark.parametrize("plain", BOTH)
def test_groups_follow_the_table_number_not_the_position(plain: bool) -> None:
    symbols, index = np.array([3, 1, 2, -1]), np.array([5, 2, 5, 2])
    order = [1, 3, 0, 2]
    one = encode_symbols([(symbols, index, TABLES)], plain=plain)
    assert one == encode_symbols([(symbols[order], index[order], TABLES)], plain=plain)
    assert one != encode_symbols([(symbols[::-1], index[::-1], TABLES)], plain=plain)


def latent(tables: Tables) -> st.SearchStrategy[Part]:
    """Symbols, most of them small, some anywhere, and the index of each."""
    value = st.one_of(st.integers(-9, 9), st.integers(-9, 9), st.integers(-32767, 32767))
    pairs = st.lists(st.tuples(value, st.integers(-1, len(tables) - 1)), max_size=60)
    return pairs.map(
        lambda pairs: (np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.int8), tables)
    )


@given(st.lists(st.sampled_from([TABLES, GOLDEN_TABLES, TINY]).flatmap(latent), min_size=1, max_size=3))
def test_any_message_survives_and_both_coders_write_the_same(parts: list[Part]) -> None:
    data = encode_symbols(parts, plain=True)
    assert encode_symbols(parts) == data
    expected = [np.where(index >= 0, symbols, 0) for symbols, index, _ in parts]
    for plain in (False, True):
        reader = SymbolReader(data, plain=plain)
        for symbols, (_, index, tables) in zip(expected, parts, strict=True):
            decoded = reader.read(index, tables)
            assert decoded.dtype == np.int32
            assert np.array_equal(decoded, symbols)
        reader.finish()


@given(latent(GOLDEN_TABLES), latent(TABLES))
def test_a_decoder_made_from_the_page_reads_it(z: Part, y: Part) -> None:
    first, second = decode_by_the_page(encode_symbols([z, y]), z[1:], y[1:])
    assert first == np.where(z[1] >= 0, z[0], 0).tolist()
    assert second == np.where(y[1] >= 0, y[0], 0).tolist()


@given(latent(GOLDEN_TABLES), latent(TABLES))
def test_a_stream_costs_at_most_four_bytes_beyond_its_likelihood(z: Part, y: Part) -> None:
    bits = sum(tables.estimate_bits(symbols, index) for symbols, index, tables in (z, y))
    assert len(encode_symbols([z, y])) <= bits / 8 + 4


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize("digits", range(1, 16))
def test_escapes_of_every_length_survive(digits: int, plain: bool) -> None:
    bounds = GOLDEN_TABLES.bounds.astype(np.int32)
    index = np.tile(np.arange(4), 6)
    n = np.repeat([1 << digits - 1, (1 << digits) - 1, 3 << digits - 1 >> 1], 8)
    symbols = np.minimum(bounds[index] + n, 32767) * np.tile(np.repeat([1, -1], 4), 3)
    part = (symbols, index, GOLDEN_TABLES)
    data = encode_symbols([part], plain=plain)
    assert data == encode_symbols([part])
    assert decode_symbols(data, part[1:], plain=plain).tolist() == symbols.tolist()
    assert decode_by_the_page(data, part[1:]) == symbols.tolist()
    assert -4 <= len(data) - GOLDEN_TABLES.estimate_bits(symbols, index) / 8 <= 4


@pytest.mark.parametrize("plain", BOTH)
def test_latents_of_a_stream_share_one_state(plain: bool) -> None:
    """Two streams would end in two states; one that lacks y is another from its first bytes on."""
    z, y = ((*message(tables, size=40, coded=0.9), tables) for tables in (GOLDEN_TABLES, TABLES))
    both = encode_symbols([z, y], plain=plain)
    alone = [encode_symbols([part], plain=plain) for part in (z, y)]
    assert max(map(len, alone)) < len(both) < len(alone[0]) + len(alone[1])
    assert not both.startswith(alone[0]) and not both.endswith(alone[0])
    assert encode_symbols([y, z], plain=plain) != both
    for order in ([z], [y], [y, z], [z, z]):
        with pytest.raises(FormatError):
            decode_symbols(both, *(part[1:] for part in order), plain=plain)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.integers(0, 2**32), st.floats(0.01, 10))
def test_both_coders_agree_under_any_tables(bounds: list[int], seed: int, evenness: float) -> None:
    rng = np.random.default_rng(seed)
    pmfs = [quantize_pmf(rng.gamma(evenness, size=2 * bound + 2) + 1e-300) for bound in bounds]
    tables = Tables.from_arrays(np.array(bounds), np.concatenate(pmfs))
    symbols, index = message(tables, size=300, coded=0.9, seed=seed)
    data = encode_symbols([(symbols, index, tables)])
    assert data == encode_symbols([(symbols, index, tables)], plain=True)
    assert np.array_equal(decode_symbols(data, (index, tables)), symbols)


def test_length_is_the_likelihood() -> None:
    symbols, index = message(TABLES, size=50_000, coded=0.5)
    bits = 8 * len(encode_symbols([(symbols, index, TABLES)]))
    assert -32 <= bits - TABLES.estimate_bits(symbols, index) <= 32


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8])
def test_type_of_the_index_does_not_matter(dtype: type[np.signedinteger[Any]]) -> None:
    symbols, index = message(TABLES, size=500, coded=2)
    data = encode_symbols([(symbols, index, TABLES)])
    assert encode_symbols([(symbols.astype(np.int64), index.astype(dtype), TABLES)]) == data
    assert np.array_equal(decode_symbols(memoryview(data), (index.astype(dtype), TABLES)), symbols)


def test_more_than_256_tables() -> None:
    tables = gaussian_tables(300)
    symbols, index = message(tables, size=3000, coded=0.9)
    data = encode_symbols([(symbols, index, tables)])
    assert np.array_equal(decode_symbols(data, (index, tables)), symbols)


def test_runs_without_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols, index = message(TABLES, size=500, coded=0.5)
    data = encode_symbols([(symbols, index, TABLES)])
    monkeypatch.setattr(symbol_stream, "constriction", None)
    monkeypatch.setattr(symbol_stream, "HAS_CONSTRICTION", False)
    assert encode_symbols([(symbols, index, TABLES)]) == data
    assert np.array_equal(decode_symbols(data, (index, TABLES)), symbols)


def test_imports_without_constriction() -> None:
    code = (
        "import sys; sys.modules['constriction'] = None; import semcomp.bitstream.symbol_stream; "
        "sys.exit(semcomp.bitstream.symbol_stream.HAS_CONSTRICTION)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(symbol_stream).failed == 0


def test_symbol_crc_is_that_of_int16() -> None:
    symbols = np.array([[1, -1], [32767, -32767]], np.int32)
    assert symbol_crc(symbols) == symbol_crc(symbols.astype(np.int64)) == symbol_crc(symbols.ravel())
    assert symbol_crc(symbols) == zlib.crc32(bytes.fromhex("0100 ffff ff7f 0180"))
    assert symbol_crc(symbols[0], symbols[1]) == symbol_crc(symbols) != symbol_crc(symbols[1], symbols[0])
    assert symbol_crc() == symbol_crc(np.array([], np.int32)) == 0


# what an encoder is not given


@pytest.mark.parametrize(
    ("symbols", "index", "message"),
    [
        ([32768], [0], "32768"),
        ([-32768], [0], "-32768"),
        ([0], [8], "table 8, there are 8"),
        ([0, 0], [0], "expected integers"),
        ([0.5], [0], "float64"),
        ([0], [0.0], "index is float64"),
        ([[0]], [[0]], "expected a vector"),
    ],
)
def test_misuse_is_a_value_error(symbols: list[int], index: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_symbols([(np.array(symbols), np.array(index), TABLES)])


def test_what_is_not_coded_is_not_looked_at() -> None:
    data = encode_symbols([(np.array([10**6, 1]), np.array([-1, 3]), TABLES)])
    assert decode_symbols(data, (np.array([-1, 3]), TABLES)).tolist() == [0, 1]


# damage


@pytest.mark.parametrize("plain", BOTH)
def test_every_truncation_is_refused_or_stands_for_other_symbols(plain: bool) -> None:
    """Where the words run out, first categories follow for nothing: then the symbols' checksum notices."""
    symbols, index = message(TABLES, size=300, coded=0.6)
    symbols[np.flatnonzero(index >= 0)[:3]] = 2000
    parts = [(symbols, index, TABLES), (symbols[::-1], index[::-1], TABLES)]
    data = encode_symbols(parts)
    for length in range(len(data)):
        try:
            latents = decode_symbols(data[:length], *(part[1:] for part in parts), plain=plain)
        except FormatError:
            continue
        again = [(symbols, *part[1:]) for symbols, part in zip(latents, parts, strict=True)]
        assert encode_symbols(again) == data[:length]
    for tail in (b"\0", b"\1", bytes(4), b"\1\0\0\0", b"\1\0\0\0\1"):
        with pytest.raises(FormatError):
            decode_symbols(data + tail, *(part[1:] for part in parts), plain=plain)


def test_a_stream_that_decodes_is_the_only_one_for_its_symbols() -> None:
    rng = random.Random(2)
    symbols, index = message(TABLES, size=60, coded=0.5)
    symbols[np.flatnonzero(index >= 0)[:4]] = (500, -700, 32767, -32767)
    original = encode_symbols([(symbols, index, TABLES)])
    decoded = 0
    for _ in range(3000):
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = bytes(rng.choices(range(256), k=rng.randrange(3)))
        outcomes = []
        for plain in (False, True):
            try:
                outcomes.append(decode_symbols(bytes(data), (index, TABLES), plain=plain))
            except FormatError:
                outcomes.append(None)
        if outcomes[0] is None or outcomes[1] is None:
            assert outcomes[0] is outcomes[1]
            continue
        decoded += 1
        assert np.array_equal(*outcomes)
        assert encode_symbols([(outcomes[0], index, TABLES)]) == data
    assert decoded > 0


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("00", "zero byte"),
        ("01020300", "zero byte"),
        ("00000000", "zero byte"),
        ("01000000 00000000", "zero byte"),
        ("00000001", "left over"),
        ("00000080 00000080", "left over"),
        ("ffffff01", "left over"),  # an escape, + and one digit, and something below
    ],
)
def test_unsound_streams_are_refused(stream: str, message: str, plain: bool) -> None:
    with pytest.raises(FormatError, match=message):
        decode_symbols(bytes.fromhex(stream), (np.zeros(1, np.int8), TINY), plain=plain)


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("n", "magnitude"), [(32766, None), (32767, 32768), (32768, 32769), (40_000, 40_001), (65535, 65536)]
)
def test_escapes_beyond_the_largest_symbol_are_refused(n: int, magnitude: int, plain: bool) -> None:
    """Of table TINY, whose bound is 1; n of 16 digits is what DIGITS could say and no encoder does."""
    stack, digits = ans.AnsCoder(), f"{n:b}"
    bits = [*map(int, digits[1:]), 1]
    for categories, frequencies in ((bits, BIT), ([len(digits) - 1], DIGITS), ([3], TINY.frequencies[0])):
        stack.encode_reverse(np.array(categories), ans.model_of(np.array(frequencies)))
    data = stack.get_compressed().astype("<u4").tobytes().rstrip(b"\0")
    index = np.zeros(1, np.int8)
    if magnitude is None:
        assert decode_symbols(data, (index, TINY), plain=plain).tolist() == [-1 - n]
        return
    with pytest.raises(FormatError, match=f"magnitude {magnitude}, at most 32767"):
        decode_symbols(data, (index, TINY), plain=plain)


@pytest.mark.parametrize("tables", [TINY, GOLDEN_TABLES])
def test_long_hostile_streams_cost_what_they_weigh(tables: Tables) -> None:
    index = np.zeros(1000, np.int8)
    data = random.Random(0).randbytes(1 << 20)
    tracemalloc.start()
    with pytest.raises(FormatError):
        decode_symbols(data, (index, tables))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_words_of_another_index_are_refused() -> None:
    """Two decoders that disagree on the index cannot both get through."""
    symbols, index = message(TABLES, size=2000, coded=0.5)
    data = encode_symbols([(symbols, index, TABLES)])
    other = index.copy()
    other[np.flatnonzero(index == 3)[0]] = 4
    with pytest.raises(FormatError):
        decode_symbols(data, (other, TABLES))
