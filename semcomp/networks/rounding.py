"""Rounding with straight-through gradients, and a clamp whose gradient leads back inside.

All rounding of networks is in this file. In training the gradient passes unchanged (Bengio et al. 2013). The value is
the same integer with and without gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    return value + (rounded - value).detach() if value.requires_grad else rounded


def round_half_even(value: Tensor) -> Tensor:
    """Nearest integer, ties to even, as a float tensor. The gradient passes unchanged."""
    return _straight_through(value, torch.round(value))


def floor(value: Tensor) -> Tensor:
    """Largest integer not above `value`, as a float tensor. The gradient passes unchanged."""
    return _straight_through(value, torch.floor(value))


class _Bound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.low, ctx.high = low, high
        return value.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (value,) = ctx.saved_tensors
        blocked = ((value < ctx.low) & (gradient > 0)) | ((value > ctx.high) & (gradient < 0))
        return gradient.masked_fill(blocked, 0.0), None, None


def bound(value: Tensor, low: float, high: float) -> Tensor:
    """Clamp. Outside the limits only a gradient that brings the value back inside passes (Ballé et al. 2018)."""
    if not value.requires_grad:
        return value.clamp(low, high)
    clamped: Tensor = _Bound.apply(value, low, high)  # type: ignore[no-untyped-call]
    return clamped
