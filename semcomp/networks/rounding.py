"""Rounding with straight-through gradients, and clamping whose gradient leads back inside.

Rounding happens here and nowhere else. In training the gradient passes straight through (Bengio et al. 2013); the
value is the same integer with and without gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    return value + (rounded - value).detach() if value.requires_grad else rounded


def round_half_even(value: Tensor) -> Tensor:
    """Nearest integer, ties to even, as a float tensor of the same shape; the gradient passes unchanged."""
    return _straight_through(value, torch.round(value))


def floor(value: Tensor) -> Tensor:
    """Largest integer not above `value`; the gradient passes unchanged."""
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
    """Clamp whose gradient still passes where it would bring the value back inside (Ballé et al. 2018)."""
    return _Bound.apply(value, low, high) if value.requires_grad else value.clamp(low, high)
