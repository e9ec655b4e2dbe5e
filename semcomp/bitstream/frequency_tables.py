"""Integer frequency tables, which set the price of every value of a symbol.

Table t covers the values -b..b, where b = bounds[t]. It has 2b + 2 categories: value v is category v + b, and the last
category is the escape. The escape stands for any other value, which symbol_stream.py spells out. Frequencies are
integers of at least 1, and the frequencies of a table add up to exactly 2**24, so a category of frequency f costs 24 -
log2(f) bits. Tables are a part of the model. They are stored and loaded as integers, and never computed from floats on
loading.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError

PRECISION = 24
TOTAL = 1 << PRECISION
MAX_VALUE = 32767
"""Symbols lie in -MAX_VALUE..MAX_VALUE, escapes included."""


@dataclass(frozen=True, eq=False)
class Tables:
    """T frequency tables, checked and read-only. Equality is identity, so that a coder can cache their models."""

    bounds: NDArray[Any]
    """int16 (T,): largest magnitude that is a category of each table."""
    flat: NDArray[Any]
    """uint32 (sum of 2b + 2,): the frequencies of table 0, then of table 1, and so on."""

    def __post_init__(self) -> None:
        bounds, flat = np.asarray(self.bounds), np.asarray(self.flat)
        for name, array in (("bounds", bounds), ("frequencies", flat)):
            if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
                raise ModelError(
                    f"the tables' {name} are {array.dtype} {array.shape}, expected a vector of integers; "
                    "install the weights again"
                )
        if bounds.min() < 0 or bounds.max() >= MAX_VALUE:
            raise ModelError(
                f"table bounds lie in {bounds.min()}..{bounds.max()}, expected 0..{MAX_VALUE - 1}; "
                "install the weights again"
            )
        if flat.size != (expected := int((2 * bounds.astype(np.int64) + 2).sum())):
            raise ModelError(f"the tables hold {flat.size} frequencies, their bounds ask for {expected}")
        if flat.min() < 1 or flat.max() >= TOTAL:
            raise ModelError(f"frequencies lie in {flat.min()}..{flat.max()}, expected 1..{TOTAL - 1}")
        for name, array, dtype in (("bounds", bounds, np.int16), ("flat", flat, np.uint32)):
            array = array.astype(dtype)  # a copy: nobody else can write to it
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        totals = np.add.reduceat(self.flat, self.offsets[:-1], dtype=np.int64)
        if (wrong := np.flatnonzero(totals != TOTAL)).size:
            raise ModelError(
                f"the frequencies of table {wrong[0]} add up to {totals[wrong[0]]}, expected {TOTAL}; "
                "install the weights again"
            )

    @classmethod
    def from_arrays(cls, bounds: NDArray[Any], flat: NDArray[Any]) -> Tables:
        """Tables from the two arrays that a model file stores, in any integer type.

        Raises:
            ModelError: The arrays are not valid tables.
        """
        return cls(bounds, flat)

    def __len__(self) -> int:
        return len(self.bounds)

    @cached_property
    def offsets(self) -> NDArray[Any]:
        """int64 (T + 1,): table t is `flat[offsets[t] : offsets[t + 1]]`."""
        return np.concatenate([[0], np.cumsum(2 * self.bounds.astype(np.int64) + 2)])

    @cached_property
    def frequencies(self) -> tuple[NDArray[Any], ...]:
        """The T tables, uint32 (2b + 2,) each. They are views into `flat`."""
        return tuple(np.split(self.flat, self.offsets[1:-1]))

    def frequencies_of(self, table: int) -> NDArray[Any]:
        """The frequencies of one table, a view."""
        return self.flat[self.offsets[table] : self.offsets[table + 1]]

    def bits(self) -> NDArray[Any]:
        """Cost in bits of the values -max(bounds)..max(bounds) under every table: float32 (T, 2 * max(bounds) + 1)."""
        widest = int(self.bounds.max())
        values = np.tile(np.arange(-widest, widest + 1), len(self))
        return (
            self._cost(values, np.repeat(np.arange(len(self)), 2 * widest + 1))
            .astype(np.float32)
            .reshape(len(self), -1)
        )

    def estimate_bits(self, symbols: NDArray[Any], index: NDArray[Any]) -> float:
        """Ideal length in bits of symbols, with their escapes. The stream of the coder is longer by at most 4 bytes.

        Args:
            symbols: Integers (N,).
            index: Table of each symbol (N,). Symbols with a negative one are not coded and do not count.
        """
        coded = np.flatnonzero(np.asarray(index) >= 0)
        return float(self._cost(np.asarray(symbols)[coded].astype(np.int64), np.asarray(index)[coded]).sum())

    def _cost(self, values: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
        """Cost in bits of each value under its table, float64 (K,)."""
        bounds = self.bounds[index].astype(np.int64)
        excess = np.abs(values) - bounds
        category = np.where(excess > 0, 2 * bounds + 1, values + bounds)
        cost: NDArray[Any] = self._category_cost[self.offsets[index] + category]
        cost = cost + np.where(excess > 0, escape_bits(np.maximum(excess, 1)), 0)
        return cost

    @cached_property
    def _category_cost(self) -> NDArray[Any]:
        cost: NDArray[Any] = PRECISION - np.log2(self.flat.astype(np.float64))
        return cost


def escape_bits(excess: NDArray[Any]) -> NDArray[Any]:
    """Bits that follow the escape of a value that exceeds its table's bound by `excess` >= 1.

    If excess has d binary digits, d bits state d, d - 1 bits are the digits below the leading one, and 1 bit is the
    sign.

    Example:
        >>> escape_bits(np.array([1, 2, 5])).tolist()
        [2, 4, 6]
    """
    bits: NDArray[Any] = 2 * np.frexp(np.asarray(excess, np.float64))[1]
    return bits


def quantize_pmf(pmf: NDArray[Any]) -> NDArray[Any]:
    """Round a probability mass function to frequencies, by the method of the largest remainder.

    Args:
        pmf: (K,), not necessarily normalised.

    Returns:
        uint32 (K,): frequencies of at least 1 that add up to 2**24. Of equal remainders the lower category gets the
        unit, so every machine computes the same frequencies.

    Raises:
        ValueError: There are fewer than 2 or more than 2**16 categories, or an entry is not a probability.

    Example:
        >>> quantize_pmf(np.array([3.0, 1.0])).tolist()
        [12582912, 4194304]
    """
    pmf = np.asarray(pmf, np.float64)
    if pmf.ndim != 1 or not 2 <= pmf.size <= 1 << 16:
        raise ValueError(f"a pmf of shape {pmf.shape}, expected a vector of 2..65536 entries")
    if not np.isfinite(pmf).all() or (pmf < 0).any() or not pmf.any():
        raise ValueError("a pmf has a negative, infinite or undefined entry, or nothing but zeros")
    pmf = pmf / pmf.max()
    share = pmf / math.fsum(pmf) * (TOTAL - pmf.size)
    frequencies = np.floor(share).astype(np.int64)
    missing = TOTAL - pmf.size - int(frequencies.sum())
    frequencies[np.argsort(frequencies - share, kind="stable")[:missing]] += 1
    rounded: NDArray[np.uint32] = (frequencies + 1).astype(np.uint32)
    return rounded
