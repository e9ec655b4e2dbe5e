"""The encoder's choice of symbols: the nearest integer, or one step nearer to zero where that costs less.

The decoder does not depend on how a symbol was chosen, so the encoder may weigh bits against error (rate-distortion
optimised quantization, as in classical codecs). High-rate theory prices one squared step of the quantizer at
12 * 2.16 / 3 = 8.64 bits: lmbda times the squared step, divided by the three colour channels that share the error (see
`CodecModel._theoretical_log_gain`). Trained steps are larger than in theory. BD-rate against plain rounding, on
eight training photos after 15 minutes of training: 8.64 bits -3.7 %, twice that -5.2 %, three times -4.7 %, five times
-3.7 %.
"""

from importlib import import_module
from typing import Any

import numpy as np

BITS_PER_SQUARED_STEP = 2 * 12 * 2.16 / 3
"""Bits that the encoder gives for one squared step less error."""


def choose_symbols(value: Any, index: Any, coded: Any, bits: Any) -> Any:
    """Choose symbols. All arguments are tensors, or all are numpy arrays.

    Args:
        value: float32 of any shape, in steps of the quantizer.
        index: Table number of every element.
        coded: bool. Elements where it is false get the symbol 0.
        bits: (T, 2W + 1): cost of the symbols -W..W under each table. None rounds to the nearest integer.

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
    lost = BITS_PER_SQUARED_STEP * ((exact - smaller) ** 2 - (exact - nearest) ** 2)
    symbols[where] = xp.where(saved > lost, smaller, nearest)
    return symbols
