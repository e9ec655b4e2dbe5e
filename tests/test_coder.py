"""The coder: the bytes are those of FORMAT.md, both coders agree on them, and a damaged stream is refused."""

import doctest
import random
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcomp import coder
from semcomp.coder import decode_symbols, encode_symbols, symbol_crc
from semcomp.errors import FormatError
from semcomp.tables import TOTAL, Tables, quantize_pmf

BOTH = [
    pytest.param(
        False, id="constriction", marks=pytest.mark.skipif(not coder.HAS_CONSTRICTION, reason="no wheel")
    ),
    pytest.param(True, id="plain"),
]


def gaussian_tables(count):
    """Tables of ``count`` scales from 0.1 to 100, each with a rare escape."""
    bounds, flat = [], []
    for scale in np.geomspace(0.1, 100, count):
        bound = int(4 * scale) + 1
        pmf = np.exp(-0.5 * (np.arange(-bound, bound + 1) / scale) ** 2)
        bounds.append(bound)
        flat.append(quantize_pmf(np.append(pmf / pmf.sum(), 1e-4)))
    return Tables.from_arrays(np.array(bounds), np.concatenate(flat))


def message(tables, *, size, coded, seed=0):
    """``size`` positions of which a part is coded, drawn from the tables themselves ."""
    rng = np.random.default_rng(seed)
    index = np.where(rng.random(size) < coded, rng.integers(0, len(tables), size), -1).astype(np.int32)
    symbols = np.zeros(size, np.int32)
    for table, frequency in enumerate(tables.frequencies):
        (at,) = np.nonzero(index == table)
        symbols[at] = rng.choice(frequency.size, at.size, p=frequency / TOTAL) - tables.bounds[table]
    escapes = symbols > tables.bounds[index]
    symbols[escapes & (index >= 0)] *= -3
    return symbols, index


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
GOLDEN = "033c3e50 4095e7ef bf4cf530".replace(" ", "")
# Category 0 has frequency 2**22, 1 has 2**23, 2 has 2**22 - 1, the escape has 1.
TINY = Tables.from_arrays(np.array([1]), np.array([1 << 22, 1 << 23, (1 << 22) - 1, 1]))


# the bytes


@pytest.mark.parametrize("plain", BOTH)
def test_golden_words(plain):
    index = np.array([3, -1, 0, 2, 3, 1, 0, 3, 2, -1, 3, 3, 2, 0, 1, 3], np.int8)
    symbols = np.array([5, 0, 0, -2, 40, 1, 0, -11, 1, 0, 3, -8, 0, -7, 0, 2], np.int32)
    data = encode_symbols(symbols, index, GOLDEN_TABLES, plain=plain)
    assert data.hex() == GOLDEN
    assert decode_symbols(data, index, GOLDEN_TABLES, plain=plain).tolist() == symbols.tolist()


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("symbols", "stream"),
    [
        ([], "00"),
        ([-1], "00"),  # category 0 leaves the state 0 as it is
        ([0], "00 000040"),  # x = 2**22
        # x = 0: push 1 (f = 2**23, c = 2**22): x = 2**22; push -1 (f = 2**22, c = 0): x = (1 << 24) + 0
        ([-1, 0], "00 00000001"),
        # The escape has c = 2**24 - 1. Behind it 1 - 1 = 0 in Exp-Golomb is "1", and a sign.
        ([1, 1, 1], "00 1200c00f"),  # 3 * 2**22, then 0x03c00003, then 0x0fc00012
        ([2], "01 80 ffffff"),
        ([-2], "01 c0 ffffff"),
        # 011 and 0, 010 and 1; x = 2**24 - 1, then 2**48 - 1
        ([4, -3], "01 65 ffffffff ffff"),
    ],
)
def test_streams_worked_out_by_hand(symbols, stream, plain):
    index = np.zeros(len(symbols), np.int32)
    assert encode_symbols(np.array(symbols, np.int32), index, TINY, plain=plain) == bytes.fromhex(stream)
    assert decode_symbols(bytes.fromhex(stream), index, TINY, plain=plain).tolist() == symbols


@pytest.mark.parametrize("plain", BOTH)
def test_groups_follow_the_table_number_not_the_position(plain):
    symbols, index = np.array([3, 1, 2, -1]), np.array([5, 2, 5, 2])
    order = [1, 3, 0, 2]
    one = encode_symbols(symbols, index, TABLES, plain=plain)
    assert one == encode_symbols(symbols[order], index[order], TABLES, plain=plain)
    assert one != encode_symbols(symbols[::-1], index[::-1], TABLES, plain=plain)


@given(
    st.lists(
        st.tuples(st.integers(-1, 7), st.one_of(st.integers(-9, 9), st.integers(-32767, 32767))), max_size=80
    )
)
def test_any_message_survives_and_both_coders_write_the_same(pairs):
    index = np.array([pair[0] for pair in pairs], np.int8)
    symbols = np.array([pair[1] for pair in pairs], np.int32)
    plain = encode_symbols(symbols, index, TABLES, plain=True)
    assert encode_symbols(symbols, index, TABLES) == plain
    expected = np.where(index >= 0, symbols, 0)
    for flag in (False, True):
        decoded = decode_symbols(plain, index, TABLES, plain=flag)
        assert decoded.dtype == np.int32
        assert np.array_equal(decoded, expected)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.integers(0, 2**32), st.floats(0.01, 10))
def test_both_coders_agree_under_any_tables(bounds, seed, evenness):
    rng = np.random.default_rng(seed)
    pmfs = [quantize_pmf(rng.gamma(evenness, size=2 * bound + 2) + 1e-300) for bound in bounds]
    tables = Tables.from_arrays(np.array(bounds), np.concatenate(pmfs))
    symbols, index = message(tables, size=300, coded=0.9, seed=seed)
    data = encode_symbols(symbols, index, tables)
    assert data == encode_symbols(symbols, index, tables, plain=True)
    assert np.array_equal(decode_symbols(data, index, tables), symbols)


def test_length_is_the_likelihood():
    symbols, index = message(TABLES, size=50_000, coded=0.5)
    bits = 8 * len(encode_symbols(symbols, index, TABLES))
    assert TABLES.estimate_bits(symbols, index) <= bits + 32
    assert bits <= 1.001 * TABLES.estimate_bits(symbols, index) + 64


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8])
def test_type_of_the_index_does_not_matter(dtype):
    symbols, index = message(TABLES, size=500, coded=2)
    data = encode_symbols(symbols, index, TABLES)
    assert encode_symbols(symbols.astype(np.int64), index.astype(dtype), TABLES) == data
    assert np.array_equal(decode_symbols(memoryview(data), index.astype(dtype), TABLES), symbols)


def test_more_than_256_tables():
    tables = gaussian_tables(300)
    symbols, index = message(tables, size=3000, coded=0.9)
    assert np.array_equal(decode_symbols(encode_symbols(symbols, index, tables), index, tables), symbols)


def test_runs_without_constriction(monkeypatch):
    symbols, index = message(TABLES, size=500, coded=0.5)
    data = encode_symbols(symbols, index, TABLES)
    monkeypatch.setattr(coder, "constriction", None)
    monkeypatch.setattr(coder, "HAS_CONSTRICTION", False)
    assert encode_symbols(symbols, index, TABLES) == data
    assert np.array_equal(decode_symbols(data, index, TABLES), symbols)


def test_imports_without_constriction():
    code = (
        "import sys; sys.modules['constriction'] = None; import semcomp.coder; "
        "sys.exit(semcomp.coder.HAS_CONSTRICTION)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_examples_in_the_docstrings():
    assert doctest.testmod(coder).failed == 0


def test_symbol_crc_is_that_of_int16():
    symbols = np.array([[1, -1], [32767, -32767]], np.int32)
    assert symbol_crc(symbols) == symbol_crc(symbols.astype(np.int64)) == symbol_crc(symbols.ravel())
    assert symbol_crc(symbols) == zlib.crc32(bytes.fromhex("0100 ffff ff7f 0180"))
    assert symbol_crc(np.array([], np.int32)) == 0


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
def test_misuse_is_a_value_error(symbols, index, message):
    with pytest.raises(ValueError, match=message):
        encode_symbols(np.array(symbols), np.array(index), TABLES)


def test_what_is_not_coded_is_not_looked_at():
    data = encode_symbols(np.array([10**6, 1]), np.array([-1, 3]), TABLES)
    assert decode_symbols(data, np.array([-1, 3]), TABLES).tolist() == [0, 1]


# damage


@pytest.mark.parametrize("plain", BOTH)
def test_every_truncation_is_refused(plain):
    symbols, index = message(TABLES, size=300, coded=0.6)
    symbols[np.flatnonzero(index >= 0)[:3]] = 2000
    data = encode_symbols(symbols, index, TABLES)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            decode_symbols(data[:length], index, TABLES, plain=plain)
    for tail in (b"\0", b"\1", bytes(4), b"\1\0\0\0"):
        with pytest.raises(FormatError):
            decode_symbols(data + tail, index, TABLES, plain=plain)


def test_a_stream_that_decodes_is_the_only_one_for_its_symbols():
    rng = random.Random(2)
    symbols, index = message(TABLES, size=60, coded=0.5)
    symbols[np.flatnonzero(index >= 0)[:4]] = (500, -700, 32767, -32767)
    original = encode_symbols(symbols, index, TABLES)
    decoded = 0
    for _ in range(3000):
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = bytes(rng.choices(range(256), k=rng.randrange(3)))
        outcomes = []
        for plain in (False, True):
            try:
                outcomes.append(decode_symbols(data, index, TABLES, plain=plain))
            except FormatError:
                outcomes.append(None)
        if outcomes[0] is None or outcomes[1] is None:
            assert outcomes[0] is outcomes[1]
            continue
        decoded += 1
        assert np.array_equal(*outcomes)
        assert encode_symbols(outcomes[0], index, TABLES) == data
    assert decoded > 0


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("", "number at byte 0"),
        ("8000", "minimal"),
        ("ffffffff0f", "claims 4294967295 bytes, 0 are left"),
        ("00 01020300", "zero byte"),
        ("00 00000000", "zero byte"),
        ("00 01000000 00000000", "zero byte"),
        ("00 00000080 00000080", "left over"),
        ("01 80", "escape"),  # no escape among the words
        ("00 ffffff", "no escape code at bit 0"),
        ("01 00 ffffff", "no escape code at bit 0"),
        ("01 81 ffffff", "take 2 bits, the escape part holds 8"),  # padding that is not zero
        ("02 8000 ffffff", "take 2 bits"),  # a byte too many
        ("01 01 ffffff", "take 16 bits"),  # a code that is cut
        ("03 000080 ffffff", "no escape code"),  # a prefix of 16
        ("04 0003fff8 ffffff", "magnitude 32768"),  # n = 32767: one beyond the largest symbol at bound 1
        ("20" + "00" * 32 + "ffffff", "escape part of 32 bytes for 1 escapes"),
    ],
)
def test_unsound_streams_are_refused(stream, message, plain):
    with pytest.raises(FormatError, match=message):
        decode_symbols(bytes.fromhex(stream), np.zeros(1, np.int8), TINY, plain=plain)


def test_long_hostile_streams_cost_what_they_weigh():
    index = np.zeros(1000, np.int8)
    data = b"\0" + random.Random(0).randbytes(1 << 20)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(FormatError):
        decode_symbols(data, index, TINY)
    took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 1
    assert peak < 8 << 20


def test_words_of_another_index_are_refused():
    """Two decoders that disagree on the index cannot both get through."""
    symbols, index = message(TABLES, size=2000, coded=0.5)
    data = encode_symbols(symbols, index, TABLES)
    other = index.copy()
    other[np.flatnonzero(index == 3)[0]] = 4
    with pytest.raises(FormatError):
        decode_symbols(data, other, TABLES)


def test_speed():
    """A 768x512 photo: 256 channels at 1/16, a quarter of them coded. The bound is for a busy machine."""
    tables = gaussian_tables(64)
    symbols, index = message(tables, size=393_216, coded=100_000 / 393_216)
    for plain, limit_ms in ((False, 200), (True, 2000)):
        best = [1e9, 1e9]
        for _ in range(7 if not plain else 2):
            began = time.perf_counter()
            data = encode_symbols(symbols, index, tables, plain=plain)
            encoded = time.perf_counter()
            decode_symbols(data, index, tables, plain=plain)
            best = [min(best[0], encoded - began), min(best[1], time.perf_counter() - encoded)]
        name = "plain" if plain or not coder.HAS_CONSTRICTION else "constriction"
        print(f"\n{name}: encode {1e3 * best[0]:.1f} ms, decode {1e3 * best[1]:.1f} ms, {len(data)} bytes")
        assert 1e3 * sum(best) < (limit_ms if name == "constriction" else 2000)
