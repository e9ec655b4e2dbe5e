"""The lossless networks in training: real-valued parameters, rounded on every use to the integers of a release.

semcomp/lossless/network.py has the integer form. The forward pass multiplies in bfloat16 where asked to. Hidden values
and int8 weights are exact in bfloat16; sums and the last weights lose their low bits. Gradients pass rounding straight
through from the first step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.lossless.features import WindowConfig, windows_of
from semcomp.lossless.model import NAMES, OUTPUTS, inputs_of
from semcomp.lossless.network import (
    BLOCK_SHIFT,
    HIDDEN_LIMIT,
    INPUT_SHIFT,
    OUTPUT_SHIFT,
    OUTPUT_WEIGHT_LIMIT,
    WEIGHT_LIMIT,
    Block,
    IntegerNetwork,
)
from semcomp.networks.fused import floor_through

_UNIT = 64
"""An int8 weight of 64 is a real weight of 1."""
_LAST_UNIT = 256
"""A weight of 256 of the last matrices is a real weight of 1, so that a step of the optimizer is small there."""
_HIDDEN_UNIT = 32
"""A hidden value of 32 is a real value of 1, and so is a feature of 16."""
_OUTPUT_UNIT = 8
"""An output of 8 is a real bias of 1."""


@dataclass(frozen=True, kw_only=True)
class LosslessConfig:
    """Sizes of the networks."""

    windows: WindowConfig = field(default_factory=WindowConfig)
    width: int = 80
    """Hidden values."""
    inner: int = 40
    """Hidden values between the two layers of a block."""
    blocks: int = 2


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, unit: float, limit: float) -> Tensor:
        ctx.unit = unit
        return (value * unit).round_().clamp_(-limit, limit)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.float() * ctx.unit, None, None


class _Activated(torch.autograd.Function):
    """clip(floor(sums), 0, 255); the gradient passes inside the limits."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        hidden = sums.floor().clamp_(0, HIDDEN_LIMIT)
        ctx.save_for_backward(hidden)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (hidden,) = ctx.saved_tensors
        # The gradient of hardtanh; comparisons of bfloat16 take longer.
        inside: Tensor = torch.ops.aten.hardtanh_backward(gradient, hidden, 0.0, float(HIDDEN_LIMIT))
        return inside


def _rounded(value: Tensor, unit: float, limit: float) -> Tensor:
    result: Tensor = _Rounded.apply(value, unit, limit)  # type: ignore[no-untyped-call]
    return result


def _activated(sums: Tensor) -> Tensor:
    result: Tensor = _Activated.apply(sums)  # type: ignore[no-untyped-call]
    return result


class IntegerLinear(nn.Module):
    """A weight matrix (O, I) that is used as integers, and the shift of the sums that it goes into."""

    def __init__(
        self, inputs: int, outputs: int, *, gain: float, shift: int, unit: float = _UNIT, limit: int = WEIGHT_LIMIT
    ):
        super().__init__()
        self.shift, self.unit, self.limit = shift, unit, limit
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * gain / math.sqrt(inputs))

    def integers(self) -> Tensor:
        """The integer weights as floats, with straight-through gradients."""
        return _rounded(self.weight, self.unit, self.limit)

    def scaled(self, dtype: torch.dtype) -> Tensor:
        """The integers over the power of two that the sums are divided by."""
        return (self.integers() * 2.0**-self.shift).to(dtype)

    def forward(self, values: Tensor, bias: IntegerBias | None = None) -> Tensor:
        """(N, I) to (N, O)."""
        return F.linear(values, self.scaled(values.dtype), None if bias is None else bias.scaled(values.dtype))


class IntegerBias(nn.Module):
    """A bias (O, 1) that is used as int32."""

    def __init__(self, outputs: int, *, unit: int, initial: float, shift: int):
        super().__init__()
        self.bias = nn.Parameter(torch.full((outputs, 1), initial))
        self.unit, self.shift = unit << shift, shift

    def integers(self) -> Tensor:
        """The int32 biases as floats, with straight-through gradients."""
        return _rounded(self.bias, self.unit, 1 << 22)

    def scaled(self, dtype: torch.dtype) -> Tensor:
        """The integers over the power of two that the sums are divided by, (O,)."""
        return (self.integers() * 2.0**-self.shift).to(dtype)[:, 0]


class DenseResidualBlock(nn.Module):
    """A branch of one dense layer and a branch of two, added before the non-linearity."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.direct = IntegerLinear(width, width, gain=0.5, shift=BLOCK_SHIFT)
        self.inner = IntegerLinear(width, inner, gain=1.4, shift=BLOCK_SHIFT)
        self.inner_bias = IntegerBias(inner, unit=_HIDDEN_UNIT, shift=BLOCK_SHIFT, initial=0.4)
        self.outer = IntegerLinear(inner, width, gain=0.7, shift=BLOCK_SHIFT)
        self.bias = IntegerBias(width, unit=_HIDDEN_UNIT, shift=BLOCK_SHIFT, initial=0.0)

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden values (N, W), one row for each position: products of long columns take longer."""
        inner = _activated(self.inner(hidden, self.inner_bias))
        return _activated(torch.addmm(self.direct(hidden, self.bias), inner, self.outer.scaled(hidden.dtype).T))

    def released(self) -> Block:
        """The integers."""
        return Block(
            direct=_int8(self.direct),
            inner=_int8(self.inner),
            inner_bias=_int32(self.inner_bias),
            outer=_int8(self.outer),
            bias=_int32(self.bias),
        )


class TrainableNetwork(nn.Module):
    """Features (F, N) to outputs (O, N), float32 integers."""

    def __init__(self, inputs: int, outputs: int, config: LosslessConfig):
        super().__init__()
        self.entry = IntegerLinear(inputs, config.width, gain=1.4, shift=INPUT_SHIFT)
        self.entry_bias = IntegerBias(config.width, unit=_HIDDEN_UNIT, shift=INPUT_SHIFT, initial=1.0)
        self.blocks = nn.ModuleList(DenseResidualBlock(config.width, config.inner) for _ in range(config.blocks))
        self.from_hidden, self.from_features = (
            IntegerLinear(size, outputs, gain=0.08, shift=OUTPUT_SHIFT, unit=_LAST_UNIT, limit=OUTPUT_WEIGHT_LIMIT)
            for size in (config.width, inputs)
        )
        self.bias = IntegerBias(outputs, unit=_OUTPUT_UNIT, shift=OUTPUT_SHIFT, initial=0.0)

    def forward(self, features: Tensor) -> Tensor:
        rows = features.T.contiguous()
        hidden = _activated(self.entry(rows, self.entry_bias))
        for block in self.blocks:
            hidden = block(hidden)
        sums = self.from_hidden(hidden).float() + self.from_features(rows) + self.bias.scaled(torch.float32)
        return floor_through(sums.T)

    def released(self) -> IntegerNetwork:
        """The integers. ModelError where a sum could leave what float32 holds exactly."""
        return IntegerNetwork(
            entry=_int8(self.entry),
            entry_bias=_int32(self.entry_bias),
            blocks=tuple(block.released() for block in self.blocks if isinstance(block, DenseResidualBlock)),
            from_hidden=_integers(self.from_hidden).astype(np.int16),
            from_features=_integers(self.from_features).astype(np.int16),
            bias=_int32(self.bias),
        )


def trainable_networks(config: LosslessConfig) -> nn.ModuleDict:
    """The nine networks by name."""
    windows = windows_of(config.windows)
    return nn.ModuleDict({name: TrainableNetwork(inputs_of(name, windows), OUTPUTS, config) for name in NAMES})


@torch.no_grad()
def _integers(layer: IntegerLinear) -> NDArray[np.float32]:
    integers: NDArray[np.float32] = layer.integers().numpy()
    return integers


def _int8(layer: IntegerLinear) -> NDArray[np.int8]:
    return _integers(layer).astype(np.int8)


@torch.no_grad()
def _int32(layer: IntegerBias) -> NDArray[np.int32]:
    return layer.integers()[:, 0].numpy().astype(np.int32)
