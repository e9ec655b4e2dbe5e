"""The lossless networks on torch: the same integers as semcomp.lossless computes with numpy, several times as fast.

Where the processor sums products of bytes in 32 bits, features and hidden values are bytes and matrix products are
`torch._int_mm`. Elsewhere they are float32, whose sums are exact because a model with larger ones is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.lossless.features import Windows
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.network import (
    BLOCK_SHIFT,
    HIDDEN_LIMIT,
    INPUT_SHIFT,
    OUTPUT_SHIFT,
    Int8,
    Int16,
    Int32,
    IntegerNetwork,
)
from semcomp.networks.precision import sums_products_of_bytes

_MIDDLE = 128
"""Taken off a hidden value of 0..255, so that it is a byte with a sign."""
_RADIX = 128


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A matrix, and a bias that has _MIDDLE taken off the result and given back to the values."""

    weight: Tensor
    bias: Tensor
    shift: int

    @classmethod
    def of(cls, weight: Int8, bias: Int32, shift: int, *, hidden: bool) -> _Layer:
        """``hidden``: the values that the layer sees are hidden ones, with _MIDDLE taken off."""
        missing = _MIDDLE * weight.astype(np.int64).sum(1) if hidden else 0
        total = torch.from_numpy((bias + missing - (_MIDDLE << shift)).astype(np.int32))
        return cls(weight=torch.from_numpy(weight), bias=total[:, None], shift=shift)

    def __call__(self, values: Tensor) -> Tensor:
        sums = torch._int_mm(self.weight, values).add_(self.bias)
        return sums.bitwise_right_shift_(self.shift).clamp_(-_MIDDLE, HIDDEN_LIMIT - _MIDDLE).to(torch.int8)


class _ByteNetwork:
    """One network in products of bytes."""

    def __init__(self, network: IntegerNetwork):
        self.entry = _Layer.of(network.entry, network.entry_bias, INPUT_SHIFT, hidden=False)
        self.blocks = [
            (
                _Layer.of(block.inner, block.inner_bias, BLOCK_SHIFT, hidden=True),
                _Layer.of(np.concatenate([block.direct, block.outer], 1), block.bias, BLOCK_SHIFT, hidden=True),
            )
            for block in network.blocks
        ]
        missing = _MIDDLE * network.from_hidden.astype(np.int64).sum(1)
        self.bias = torch.from_numpy((network.bias + missing).astype(np.int32))[:, None]
        self.from_hidden, self.from_features = map(_bytes_of, (network.from_hidden, network.from_features))

    def __call__(self, features: Tensor) -> Tensor:
        x = features.to(torch.int8)
        hidden = self.entry(x)
        for inner, joint in self.blocks:
            hidden = joint(torch.cat([hidden, inner(hidden)]))
        sums = torch._int_mm(self.from_hidden, hidden).add_(torch._int_mm(self.from_features, x))
        high, low = sums.chunk(2)
        return low.add_(high, alpha=_RADIX).add_(self.bias).bitwise_right_shift_(OUTPUT_SHIFT)


def _bytes_of(weight: Int16) -> Tensor:
    """int8 (2 O, I) of a weight (O, I): rows of its higher part, which counts _RADIX times, and rows of its lower."""
    high, low = np.divmod(weight, _RADIX)
    return torch.from_numpy(np.concatenate([high, low]).astype(np.int8))


class _FloatNetwork:
    """One network in float32."""

    def __init__(self, network: IntegerNetwork):
        def tensor(array: NDArray[Any]) -> Tensor:
            values = torch.from_numpy(array.astype(np.float32))
            return values if values.ndim == 2 else values[:, None]

        self.entry, self.entry_bias = tensor(network.entry), tensor(network.entry_bias)
        self.blocks = [
            tuple(tensor(part) for part in (block.direct, block.inner, block.inner_bias, block.outer, block.bias))
            for block in network.blocks
        ]
        self.from_hidden, self.from_features = tensor(network.from_hidden), tensor(network.from_features)
        self.bias = tensor(network.bias)

    def __call__(self, features: Tensor) -> Tensor:
        x = features.float()
        hidden = _activated((self.entry @ x).add_(self.entry_bias), INPUT_SHIFT)
        for direct, inner, inner_bias, outer, bias in self.blocks:
            between = _activated((inner @ hidden).add_(inner_bias), BLOCK_SHIFT)
            hidden = _activated((direct @ hidden).add_(outer @ between).add_(bias), BLOCK_SHIFT)
        sums = (self.from_hidden @ hidden).add_(self.from_features @ x).add_(self.bias)
        return sums.int().bitwise_right_shift_(OUTPUT_SHIFT)


def _activated(sums: Tensor, shift: int) -> Tensor:
    return sums.mul_(2.0**-shift).floor_().clamp_(0, HIDDEN_LIMIT)


class TorchNetworks:
    """The networks of a model on torch, for `semcomp.lossless.walk.Walk`."""

    xp: ModuleType = torch

    def __init__(self, model: LosslessModel, *, by_bytes: bool | None = None):
        """`by_bytes` chooses how to multiply; None takes bytes where they are exact on this processor."""
        if by_bytes is None:
            by_bytes = sums_products_of_bytes() and all(_exact(network) for network in model.networks.values())
        self.windows: dict[str, Windows] = model.windows
        self.by_bytes = by_bytes
        kind = _ByteNetwork if by_bytes else _FloatNetwork
        self._networks = {name: kind(network) for name, network in model.networks.items()}

    @torch.inference_mode()
    def run(self, name: str, features: Tensor) -> Tensor:
        """Outputs (O, N), int32, of one network for features (F, N)."""
        return self._networks[name](features)


def _exact(network: IntegerNetwork) -> bool:
    """Whether products of bytes are right here at both ends of what bytes hold, where 16 bits do not suffice."""
    arrays = [network.entry]
    arrays += [array for block in network.blocks for array in (block.direct, block.inner, block.outer)]
    matrices = [torch.from_numpy(array) for array in arrays]
    matrices += [_bytes_of(network.from_hidden), _bytes_of(network.from_features)]
    for matrix in matrices:
        columns = torch.full((matrix.shape[1], 16), -_MIDDLE, dtype=torch.int8)
        columns[:, ::2] = _MIDDLE - 1
        columns[::2, 8:] = -_MIDDLE
        try:
            sums = torch._int_mm(matrix, columns)
        except RuntimeError:  # a torch that multiplies bytes elsewhere, or other shapes of them
            return False
        if not torch.equal(sums.long(), matrix.long() @ columns.long()):
            return False
    return True
