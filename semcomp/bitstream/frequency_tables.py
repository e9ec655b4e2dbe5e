"""Integer frequency tables: what the entropy coder charges for every value of a symbol.

Table t covers the values -b..b, where b = bounds[t], and has 2b + 2 categories: value v is category v + b,
and the last category is the escape: any other value, spelled out elsewhere (see symbol_stream.py). A frequency
is an integer of at least 1 and the frequencies of a table add up to 2**24 exactly, so a category of
frequency f costs 24 - log2(f) bits. Tables are model data: stored as integers, loaded as integers, never
rebuilt from floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semcomp.errors import ModelError

PRECISION = 24
TOTAL = 1 << PRECISION
MAX_VALUE = 32767
"""Symbols lie in -MAX_VALUE..MAX_VALUE, escapes included."""


@dataclass(frozen=True, eq=False)
class Tables:
    """T frequency tables, checked and read-only; compared by identity, so that a coder can cache models."""

    bounds: np.ndarray
    """int16 (T,): the largest magnitude inside each table."""
    flat: np.ndarray
    """uint32 (sum of 2b + 2,): the frequencies of table 0, then of table 1, ..."""

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
    def from_arrays(cls, bounds: np.ndarray, flat: np.ndarray) -> Tables:
        """Tables from the two arrays that a model file stores, of any integer type. ModelError if unsound."""
        return cls(bounds, flat)

    def __len__(self) -> int:
        return len(self.bounds)

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64 (T + 1,): table t lies at ``flat[offsets[t] : offsets[t + 1]]``."""
        return np.concatenate([[0], np.cumsum(2 * self.bounds.astype(np.int64) + 2)])

    @cached_property
    def frequencies(self) -> tuple[np.ndarray, ...]:
        """The T tables: uint32 (2b + 2,) each, views into ``flat``."""
        return tuple(np.split(self.flat, self.offsets[1:-1]))

    def bits(self) -> np.ndarray:
        """float32 (T, 2 * max(bounds) + 1): bits of -max(bounds)..max(bounds) under every table."""
        widest = int(self.bounds.max())
        values = np.tile(np.arange(-widest, widest + 1), len(self))
        return (
            self._cost(values, np.repeat(np.arange(len(self)), 2 * widest + 1))
            .astype(np.float32)
            .reshape(len(self), -1)
        )

    def estimate_bits(self, symbols: np.ndarray, index: np.ndarray) -> float:
        """Ideal length in bits of ``symbols`` (N,) under tables ``index`` (N,), escapes included.

        Where ``index`` < 0 nothing is coded and nothing counted. The coder's own stream is longer by at
        most 4 bytes, however many latents it holds.
        """
        coded = np.flatnonzero(np.asarray(index) >= 0)
        return float(self._cost(np.asarray(symbols)[coded].astype(np.int64), np.asarray(index)[coded]).sum())

    def _cost(self, values: np.ndarray, index: np.ndarray) -> np.ndarray:
        """float64 (K,): bits of each value under its table."""
        bounds = self.bounds[index].astype(np.int64)
        excess = np.abs(values) - bounds
        category = np.where(excess > 0, 2 * bounds + 1, values + bounds)
        cost = self._category_cost[self.offsets[index] + category]
        return cost + np.where(excess > 0, escape_bits(np.maximum(excess, 1)), 0)

    @cached_property
    def _category_cost(self) -> np.ndarray:
        return PRECISION - np.log2(self.flat.astype(np.float64))


def escape_bits(excess: np.ndarray) -> np.ndarray:
    """Bits besides the escape for a value that lies ``excess`` >= 1 beyond its table's bound.

    With d binary digits in excess: d bits say so, d - 1 are the digits below the leading one, 1 is the sign.
    """
    return 2 * np.frexp(np.asarray(excess, np.float64))[1]


def quantize_pmf(pmf: np.ndarray) -> np.ndarray:
    """uint32 (K,) frequencies for ``pmf`` (K,): each at least 1, adding up to 2**24, by largest remainder.

    ``pmf`` need not be normalised. Equal remainders go to the lower category, so the result is the same
    everywhere. ``ValueError`` for fewer than 2 or more than 2**16 categories, and for entries that are no
    probabilities.
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
    return (frequencies + 1).astype(np.uint32)
