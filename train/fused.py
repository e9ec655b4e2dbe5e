"""Rate and distortion with gradients written by hand: few passes over memory instead of dozens."""

import math
from typing import Any

import torch
from torch import Tensor

from semcomp.networks.sigma import LOG_STEP, SCALE_MIN

FLOOR = 1e-9
"""Smallest likelihood that is told apart; below it the gradient is zero."""


def _below(value: Tensor) -> Tensor:
    """Share of a normal distribution below `value`. torch.special.ndtr loses the tail to cancellation."""
    return torch.mul(value, -(0.5**0.5)).erfc_().mul_(0.5)


class _GaussianBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, residual: Tensor, index: Tensor, batch: int) -> Tensor:
        inverse = torch.mul(index, -LOG_STEP).exp_().mul_(1 / SCALE_MIN)
        size = residual.abs()
        upper, lower = torch.rsub(size, 0.5).mul_(inverse), size.add_(0.5).neg_().mul_(inverse)
        likelihood = _below(upper).sub_(_below(lower))
        ctx.save_for_backward(residual, inverse, upper, lower, likelihood)
        ctx.batch = batch
        others = [axis for axis in range(residual.ndim) if axis != batch]
        bits: Tensor = likelihood.clamp_min(FLOOR).log2_().sum(others).neg_()
        return bits

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        residual, inverse, upper, lower, likelihood = ctx.saved_tensors
        shape = [-1 if axis == ctx.batch else 1 for axis in range(residual.ndim)]
        scale = gradient.view(shape) * (-1 / (math.log(2) * math.sqrt(2 * math.pi)))
        per = likelihood.clamp_min(FLOOR).reciprocal_().mul_(likelihood >= FLOOR).mul_(scale)
        density_upper = torch.mul(upper, upper).mul_(-0.5).exp_().mul_(per)
        density_lower = torch.mul(lower, lower).mul_(-0.5).exp_().mul_(per)
        to_index = torch.mul(upper, density_upper).sub_(lower * density_lower).mul_(-LOG_STEP)
        to_residual = density_lower.sub_(density_upper).mul_(inverse).mul_(residual.sign())
        return to_residual, to_index, None


def gaussian_bits(residual: Tensor, index: Tensor, *, batch: int = 0) -> Tensor:
    """Bits of each sample, (B,), under a discretised zero-mean Gaussian.

    Args:
        residual: (B, M, h, w), noisy or rounded, or any shape that has the batch on another axis.
        index: Of the same shape, table numbers as floats; table number i stands for SCALE_MIN * exp(i * LOG_STEP).
        batch: The axis of the samples.

    Returns:
        Sums of -log2 of the likelihoods, which are at least 1e-9.
    """
    result: Tensor = _GaussianBits.apply(residual, index, batch)  # type: ignore[no-untyped-call]
    return result


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, target: Tensor) -> Tensor:
        difference = value - target
        ctx.save_for_backward(difference)
        error: Tensor = (
            torch.linalg.vector_norm(difference, dim=(1, 2, 3)).square_().mul_(255**2 / difference[0].numel())
        )
        return error

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * (gradient * (2 * 255**2 / difference[0].numel()))[:, None, None, None], None


def squared_error(value: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each sample on the 0-255 scale, (B,), of two (B, C, H, W) in [0, 1]."""
    result: Tensor = _SquaredError.apply(value, target)  # type: ignore[no-untyped-call]
    return result
