"""Integer tables: sound or refused, and what they charge is what the integers say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcomp.bitstream.frequency_tables import TOTAL, Tables, escape_bits, quantize_pmf
from semcomp.errors import ModelError

HALF = TOTAL // 2


def two_tables() -> Tables:
    """Bound 0 (0 and the escape) and bound 1 (-1, 0, 1 and the escape)."""
    return Tables.from_arrays(np.array([0, 1]), np.array([HALF, HALF, HALF // 2, HALF, HALF // 4, HALF // 4]))


# from probabilities to integers


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=200).filter(any))
def test_quantized_pmf_is_a_table(pmf: list[float]) -> None:
    frequencies = quantize_pmf(np.array(pmf))
    assert frequencies.dtype == np.uint32
    assert frequencies.min() >= 1
    assert frequencies.sum(dtype=np.int64) == TOTAL
    share = np.array(pmf) / sum(pmf) * (TOTAL - len(pmf)) + 1
    assert np.abs(frequencies - share).max() <= 1 + 1e-6


def test_quantized_pmf_is_the_same_everywhere() -> None:
    assert quantize_pmf(np.ones(3)).tolist() == [5592406, 5592405, 5592405]  # ties go to the lower category
    assert quantize_pmf(np.array([1.0, 0.0])).tolist() == [TOTAL - 1, 1]
    for scale in (2.0**-1070, 2.0**1020):
        assert quantize_pmf(np.array([1, 2]) * scale).tolist() == quantize_pmf(np.array([1, 2])).tolist()


@pytest.mark.parametrize("pmf", [[1.0], [[0.5, 0.5]], [0.0, 0.0], [1, -1], [1, np.nan], [1, np.inf]])
def test_what_is_no_pmf_is_refused(pmf: list[float]) -> None:
    with pytest.raises(ValueError, match="pmf"):
        quantize_pmf(np.array(pmf))


# a model's arrays


def test_tables_hold_what_they_were_given() -> None:
    tables = two_tables()
    assert len(tables) == 2
    assert tables.bounds.dtype == np.int16
    assert [frequency.tolist() for frequency in tables.frequencies] == [
        [HALF, HALF],
        [HALF // 2, HALF, HALF // 4, HALF // 4],
    ]
    again = Tables.from_arrays(tables.bounds, tables.flat)
    assert np.array_equal(again.flat, tables.flat)


def test_nobody_changes_tables_afterwards() -> None:
    bounds, flat = np.array([0], np.int16), np.array([HALF, HALF], np.uint32)
    tables = Tables.from_arrays(bounds, flat)
    flat[:] = 7
    assert tables.flat.tolist() == [HALF, HALF]
    with pytest.raises(ValueError, match="read-only"):
        tables.frequencies[0][0] = 1


@pytest.mark.parametrize(
    ("bounds", "flat", "message"),
    [
        ([0], [HALF, HALF - 1], f"table 0 add up to {TOTAL - 1}"),
        ([0, 0], [HALF, HALF, HALF, HALF + 1], "table 1 add up"),
        ([0], [0, TOTAL], "frequencies lie in 0"),
        ([0], [-1, TOTAL + 1], "frequencies lie in -1"),
        ([0], [2**32 + HALF, HALF], "frequencies lie in"),  # would wrap round to a sound table
        ([1], [HALF, HALF], "hold 2 frequencies, their bounds ask for 4"),
        ([-1], [HALF], "bounds lie in -1"),
        ([32767], [HALF, HALF], "bounds lie in 32767"),
        ([65536], [HALF, HALF], "bounds lie in 65536"),
        ([[0]], [HALF, HALF], "bounds are int64"),
        ([0], [float(HALF), float(HALF)], "frequencies are float64"),
        (np.array([], int), np.array([], int), "bounds are int64"),
    ],
)
def test_unsound_tables_are_a_model_error(bounds: Any, flat: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tables.from_arrays(np.array(bounds), np.array(flat))


# what they charge


def test_escapes_cost_two_bits_a_digit() -> None:
    assert escape_bits(np.array([1, 2, 3, 4, 7, 8, 32767])).tolist() == [2, 4, 4, 6, 6, 8, 30]


def test_bits_of_every_value() -> None:
    bits = two_tables().bits()
    assert bits.dtype == np.float32
    assert bits.tolist() == [[1 + 2, 1, 1 + 2], [2, 1, 3]]


def test_estimate_adds_up_coded_symbols_alone() -> None:
    tables = two_tables()
    symbols = np.array([0, 0, 1, -1, 3, -2, 999], np.int32)
    index = np.array([0, 1, 1, 1, 1, 0, -1], np.int32)
    # table 1: 3 is 2 beyond the bound, two digits, 3 + 4 bits; table 0: -2 is 2 beyond, 1 + 4 bits
    assert tables.estimate_bits(symbols, index) == 1 + 1 + 3 + 2 + 7 + 5
    assert tables.estimate_bits(symbols[:0], index[:0]) == 0
