"""The pointwise network of a prediction, in integers: features of a cell to a mean and a scale.

    x       (F, N)  features, -127..127
    hidden  (H, N)  clip((W_in x + b_in) >> 5), 0..255
    block           inner = clip((W_b hidden + b_b) >> 6), hidden = clip((W_a hidden + W_c inner + b_c) >> 6)
    output  (O, N)  (W_h hidden + W_x x + b) >> 9

A block is the Dense Residual Learning Block of Schiopu and Munteanu (2020): a branch of one dense layer and a branch of
two, added before the non-linearity. Weights are int8 and biases int32. The last matrices are int16, because an output
is a sum of many small products: with int8, 3 of 4 weights of W_x were 0. Every sum stays below 2^24, so that float32
holds it exactly in whatever order it is computed: threads, backends and processors change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.lossless.features import FEATURE_LIMIT

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]

WEIGHT_LIMIT = 127
OUTPUT_WEIGHT_LIMIT = (1 << 13) - 1
"""Largest magnitude of a weight of the last matrices; what bytes multiply takes it apart into two."""
HIDDEN_LIMIT = 255
INPUT_SHIFT, BLOCK_SHIFT, OUTPUT_SHIFT = 5, 6, 9
EXACT = 1 << 24
"""Integers below it are exact in float32."""
MIDDLE = 128
"""Added to a feature where bytes are multiplied, so that it has no sign."""
RADIX = 128
"""A weight of the last matrices is RADIX times one byte plus another."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Weights of one block."""

    direct: Int8
    """W_a (H, H)"""
    inner: Int8
    """W_b (K, H)"""
    inner_bias: Int32
    """(K,)"""
    outer: Int8
    """W_c (H, K)"""
    bias: Int32
    """(H,)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerNetwork:
    """Weights of one network, checked: no input can make a sum inexact."""

    entry: Int8
    """W_in (H, F)"""
    entry_bias: Int32
    """(H,)"""
    blocks: tuple[Block, ...]
    from_hidden: Int16
    """W_h (O, H)"""
    from_features: Int16
    """W_x (O, F)"""
    bias: Int32
    """(O,)"""

    def __post_init__(self) -> None:
        last = np.concatenate([self.from_hidden, self.from_features], 1).astype(np.int64)
        if np.abs(last).max() > OUTPUT_WEIGHT_LIMIT:
            raise ModelError(
                f"the last weights of the lossless networks leave -{OUTPUT_WEIGHT_LIMIT}..{OUTPUT_WEIGHT_LIMIT}; "
                "install the weights again"
            )
        if (largest := self.largest_sum()) >= EXACT:
            raise ModelError(
                f"a sum of the lossless networks can reach {largest}, float32 is exact below {EXACT}; "
                "install the weights again"
            )

    def largest_sum(self) -> int:
        """The largest magnitude that any sum can take. A hidden value never has a larger input than HIDDEN_LIMIT."""
        sums = [_bound(self.entry_bias, (self.entry, FEATURE_LIMIT))]
        for block in self.blocks:
            sums.append(_bound(block.inner_bias, (block.inner, HIDDEN_LIMIT)))
            sums.append(_bound(block.bias, (block.direct, HIDDEN_LIMIT), (block.outer, HIDDEN_LIMIT)))
        sums.append(_bound(self.bias, (self.from_hidden, HIDDEN_LIMIT), (self.from_features, FEATURE_LIMIT)))
        return max(sums)

    def run(self, features: Int32) -> Int32:
        """(F, N) features to (O, N) outputs. The integers inside are held in float32."""
        x = features.astype(np.float32)
        hidden = _activate(_product(self.entry, x), self.entry_bias, INPUT_SHIFT)
        for block in self.blocks:
            inner = _activate(_product(block.inner, hidden), block.inner_bias, BLOCK_SHIFT)
            sums = _product(block.direct, hidden)
            sums += _product(block.outer, inner)
            hidden = _activate(sums, block.bias, BLOCK_SHIFT)
        sums = _product(self.from_hidden, hidden)
        sums += _product(self.from_features, x)
        return (sums.astype(np.int32) + self.bias[:, None]) >> OUTPUT_SHIFT

    def run_in_int64(self, features: Int32) -> NDArray[np.int64]:
        """What :meth:`run` returns, computed in int64 for checks: no rounding is possible."""

        def activate(sums: NDArray[np.int64], bias: Int32, shift: int) -> NDArray[np.int64]:
            return np.clip((sums + bias[:, None]) >> shift, 0, HIDDEN_LIMIT)

        x = features.astype(np.int64)
        hidden = activate(self.entry.astype(np.int64) @ x, self.entry_bias, INPUT_SHIFT)
        for block in self.blocks:
            inner = activate(block.inner.astype(np.int64) @ hidden, block.inner_bias, BLOCK_SHIFT)
            sums = block.direct.astype(np.int64) @ hidden + block.outer.astype(np.int64) @ inner
            hidden = activate(sums, block.bias, BLOCK_SHIFT)
        sums = self.from_hidden.astype(np.int64) @ hidden + self.from_features.astype(np.int64) @ x
        outputs: NDArray[np.int64] = (sums + self.bias[:, None]) >> OUTPUT_SHIFT
        return outputs


def bias_for_bytes(weight: Int8 | Int16, bias: Int32) -> NDArray[np.int64]:
    """The bias (O,) for features plus MIDDLE, which a weight (O, F) multiplies."""
    missing: NDArray[np.int64] = bias - MIDDLE * weight.astype(np.int64).sum(1)
    return missing


def byte_halves(weight: Int16) -> Int8:
    """int8 (2 O, I) of a weight (O, I): rows of its higher part, which counts RADIX times, and rows of its lower."""
    halves: Int8 = np.concatenate(np.divmod(weight, RADIX)).astype(np.int8)
    return halves


def _bound(bias: Int32, *products: tuple[Int8 | Int16, int]) -> int:
    rows = np.abs(bias.astype(np.int64))
    for weight, limit in products:
        rows = rows + np.abs(weight.astype(np.int64)).sum(1) * limit
    return int(rows.max())


def _product(weight: Int8 | Int16, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return weight.astype(np.float32) @ values


def _activate(sums: NDArray[np.float32], bias: Int32, shift: int) -> NDArray[np.float32]:
    """clip((sums + bias) >> shift, 0, 255) in place."""
    sums += bias[:, None].astype(np.float32)
    sums *= np.float32(2.0**-shift)
    np.floor(sums, out=sums)
    return np.clip(sums, 0, HIDDEN_LIMIT, out=sums)
