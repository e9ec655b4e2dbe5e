"""Operations with hand-written gradients, and pixel shuffles that copy long pieces of memory.

Autograd splits each formula into many passes over memory, and an operation on two memory layouts is slow. With these
functions a training step takes less time. Every function computes the same values as the plain formula. Tensors stay
channels-last.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def trains_here(module: nn.Module, value: Tensor) -> bool:
    """Whether `module` learns on a CPU: where the layouts and gradients of this file pay."""
    return module.training and torch.is_grad_enabled() and value.device.type == "cpu"


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return torch.round(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return torch.floor(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def round_through(value: Tensor) -> Tensor:
    """Nearest integer, ties to even. The gradient passes unchanged."""
    result: Tensor = _Round.apply(value)  # type: ignore[no-untyped-call]
    return result


def floor_through(value: Tensor) -> Tensor:
    """Largest integer not above `value`. The gradient passes unchanged."""
    result: Tensor = _Floor.apply(value)  # type: ignore[no-untyped-call]
    return result


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, mean: Tensor, coded: Tensor) -> Tensor:
        ctx.save_for_backward(coded)
        return torch.sub(value, mean).round_().mul_(coded)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (coded,) = ctx.saved_tensors
        passed = gradient * coded
        return passed, passed.neg(), None


def residual_around(value: Tensor, mean: Tensor, coded: Tensor) -> Tensor:
    """round(value - mean) where `coded` is 1, else 0. The gradient passes straight through the rounding."""
    result: Tensor = _Residual.apply(value, mean, coded)  # type: ignore[no-untyped-call]
    return result


class _Compand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, scale: float) -> Tensor:
        root = torch.mul(value, scale).abs_().add_(1).rsqrt_()
        ctx.save_for_backward(root)
        ctx.scale = scale
        return torch.mul(value, scale).mul_(root)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (root,) = ctx.saved_tensors
        # d/dv of v (1 + |v|)^-1/2 is r - |v| r^3 / 2, where r = (1 + |v|)^-1/2 and |v| r^2 = 1 - r^2.
        slope = (root * root).add_(1).mul_(root).mul_(0.5 * ctx.scale)
        return slope.mul_(gradient), None


def compand_through(value: Tensor, scale: float) -> Tensor:
    """scale * value / sqrt(1 + |scale * value|)."""
    result: Tensor = _Compand.apply(value, scale)  # type: ignore[no-untyped-call]
    return result


def to_patches(image: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, side * side * C, H/side, W/side), ordered row, column, channel; both channels-last."""
    batch, channels, height, width = image.shape
    rows = image.permute(0, 2, 3, 1).reshape(batch, height // side, side, width // side, side * channels)
    return rows.transpose(2, 3).reshape(batch, height // side, width // side, -1).permute(0, 3, 1, 2)


def from_patches(patches: Tensor, side: int) -> Tensor:
    """The inverse of `to_patches`: (B, side * side * C, h, w) -> (B, C, h * side, w * side)."""
    batch, size, height, width = patches.shape
    rows = patches.permute(0, 2, 3, 1).reshape(batch, height, width, side, size // side).transpose(2, 3)
    return rows.reshape(batch, height * side, width * side, -1).permute(0, 3, 1, 2)


def shuffle_order(weight: Tensor, side: int) -> Tensor:
    """Reorder the rows of a layer from (C * side * side, ...), for a pixel shuffle, to the order of `from_patches`."""
    reordered: Tensor = weight.unflatten(0, (-1, side * side)).transpose(0, 1).flatten(0, 1)
    return reordered


class _WideLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(value, weight)
        ctx.has_bias = bias is not None
        return F.linear(value, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        value, weight = ctx.saved_tensors
        flat = gradient.flatten(0, -2)
        rows, narrow = value.flatten(0, -2), flat.bfloat16()
        to_value = (narrow @ weight.bfloat16()).float().view(value.shape) if ctx.needs_input_grad[0] else None
        to_weight = (narrow.T @ rows.bfloat16()).float() if ctx.needs_input_grad[1] else None
        return to_value, to_weight, flat.sum(0) if ctx.has_bias else None


def wide_linear(value: Tensor, weight: Tensor, bias: Tensor | None = None, *, narrow: bool) -> Tensor:
    """F.linear in float32 over channels: (B, in, h, w), channels-last -> (B, out, h, w), channels-last.

    With `narrow` the gradients are products of bfloat16 factors. The linear paths need float32 forward (the DC of a
    patch is near 14), while their gradients do not, and bfloat16 products take less time.
    """
    rows = value.permute(0, 2, 3, 1)
    result: Tensor = _WideLinear.apply(rows, weight, bias) if narrow else F.linear(rows, weight, bias)  # type: ignore[no-untyped-call]
    return result.permute(0, 3, 1, 2)


class _FixedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, weight: Tensor, bias: Tensor, narrow: bool) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.narrow = narrow
        batch, _, height, width = value.shape
        result = torch.empty_strided(
            (batch, len(weight), height, width),
            (len(weight) * height * width, 1, len(weight) * width, len(weight)),
            dtype=value.dtype,
            device=value.device,
        )
        rows, outputs = (plane.permute(0, 2, 3, 1).flatten(0, 2) for plane in (value, result))
        torch.addmm(bias, rows, weight.T, out=outputs)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        rows = gradient.permute(0, 2, 3, 1)
        if ctx.narrow:
            to_value = torch.matmul(rows.bfloat16(), weight.bfloat16()).float()
        else:
            to_value = torch.matmul(rows, weight)
        return to_value.permute(0, 3, 1, 2), None, None, None


def fixed_linear(value: Tensor, weight: Tensor, bias: Tensor, *, narrow: bool) -> Tensor:
    """`wide_linear` for weights that do not learn. Others may write into the result."""
    result: Tensor = _FixedLinear.apply(value, weight, bias, narrow)  # type: ignore[no-untyped-call]
    return result
