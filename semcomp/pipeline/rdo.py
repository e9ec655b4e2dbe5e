"""The encoder's choice of symbols: the nearest integer, or one step nearer to zero where that costs less.

The decoder does not depend on how a symbol was chosen, so the encoder may weigh bits against error (rate-distortion
optimised quantization, as in classical codecs). A step towards zero costs, in bits,

    price of a squared step * (what it adds to the squared distance from the value) + toll

High-rate theory prices one squared step of the quantizer at 12 * 2.16 / 3 = 8.64 bits: lmbda times the squared step,
divided by the three colour channels that share the error (see `CodecModel._theoretical_log_gain`). Gradients of the
decoder confirm it: 8.2 to 8.9 bits. But the error is not smallest where the analysis says. It is smallest about 0.2
steps farther from zero, so that a step towards zero costs a toll whatever the value is. BD-rate against plain
rounding, on photos of the training set, at quality 5 / 20 / 35 / 50 / 65 / 80 / 95: twice the theory without a toll
+1.6 / +1.1 / +1.5 / +0.3 / -0.9 / -1.0 / -0.8 %, with it -0.5 / -0.9 / -0.9 / -1.4 / -1.4 / -1.3 / -1.1 %.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

THEORY = 12 * 2.16 / 3
"""Bits that one squared step less error is worth at a high rate."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a step towards zero costs, in bits."""

    squared_step: float
    """Cost of one squared step more error."""
    toll: float
    """Cost besides, whatever the value is."""


def informed_price(rounds: int) -> Price:
    """The price for values that lie where the picture's own error is smallest (semcomp/codec/informed.py).

    Values that moved in more rounds are nearer to that place, and a step towards zero costs less besides.
    """
    return Price(squared_step=12.0, toll=1.2 / rounds)


def price_at(quality: int) -> Price:
    """The price for values that the analysis gives: twice the theory, and a toll of 3 bits up to quality 50.

    From there the toll falls to 1 at quality 100.
    """
    return Price(squared_step=2 * THEORY, toll=3 - max(0, quality - 50) / 25)


def choose_symbols(value: Any, index: Any, coded: Any, bits: Any, *, price: Price) -> Any:
    """Choose symbols. All arguments are tensors, or all are numpy arrays.

    Args:
        value: float32 of any shape, in steps of the quantizer.
        index: Table number of every element.
        coded: bool. Elements where it is false get the symbol 0.
        bits: (T, 2W + 1): cost of the symbols -W..W under each table. None rounds to the nearest integer.
        price: What error costs.

    Returns:
        Integers in float32, of the shape of `value`.
    """
    xp: Any = np if isinstance(value, np.ndarray) else import_module("torch")
    symbols = xp.where(coded, xp.round(value), 0.0)
    if bits is None:
        return symbols
    widest = bits.shape[1] // 2
    where = (symbols != 0) & (abs(symbols) <= widest)
    nearest, exact, table = symbols[where], value[where], xp.asarray(index[where], dtype=xp.int64)
    sign = xp.sign(nearest)
    smaller = nearest - sign
    column = xp.asarray(nearest, dtype=xp.int64) + widest
    saved = bits[table, column] - bits[table, column - xp.asarray(sign, dtype=xp.int64)]
    lost = price.squared_step * ((exact - smaller) ** 2 - (exact - nearest) ** 2)
    symbols[where] = xp.where(saved > lost + price.toll, smaller, nearest)
    return symbols
