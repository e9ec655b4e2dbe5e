"""Depthwise convolutions that train faster on a processor.

torch computes their gradients in bfloat16 at a small part of the processor's speed where kernels are larger than 3x3 or
dilated (docs/notebook/2026-11-30-depthwise-gradients.md). Here the gradient of the input is a convolution forward with
the kernel turned round, and the gradient of the weights is computed in the way that is fastest for the kernel. A
convolution with a stride computes every position first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

SMALL = 3
"""Largest side of the kernels whose gradients oneDNN computes quickly in bfloat16."""


@contextmanager
def quick_depthwise(*networks: nn.Module) -> Iterator[None]:
    """Inside, the depthwise convolutions of the networks compute their gradients the quick way, on the CPU."""
    # A subclass may compute something else.
    convolutions = [m for network in networks for m in network.modules() if type(m) is nn.Conv2d and _fits(m)]
    for module in convolutions:
        module.forward = _Forward(module)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        for module in convolutions:
            del module.forward  # the class has its own


def _fits(module: nn.Conv2d) -> bool:
    depthwise = module.groups == module.in_channels == module.out_channels > 1
    return depthwise and not isinstance(module.padding, str) and module.weight.device.type == "cpu"


class _Forward:
    """Replaces a module's forward."""

    def __init__(self, module: nn.Conv2d):
        self.module = module

    def __call__(self, x: Tensor) -> Tensor:
        m = self.module
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        bias = None if m.bias is None else m.bias.to(dtype)
        output: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            x.to(dtype), m.weight.to(dtype), bias, m.padding, m.dilation
        )
        return output if set(m.stride) == {1} else output[:, :, :: m.stride[0], :: m.stride[1]]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], dilation: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = padding, dilation
        return F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        padding, dilation = ctx.settings
        of_x = of_bias = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3)
            rest = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True)]
            of_x = F.conv2d(gradient, turned, padding=rest, dilation=dilation, groups=len(weight))
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        of_weight = _weight_gradient(x, gradient, weight, padding, dilation) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, of_bias, None, None


def _weight_gradient(
    x: Tensor, gradient: Tensor, weight: Tensor, padding: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    """(C, 1, k, l), by oneDNN, for large kernels in float32. Small dilated kernels go by taps."""
    large = max(weight.shape[2:]) > SMALL
    if not large and max(dilation) > 1:
        return _by_taps(x, gradient, weight, padding, dilation)
    dtype = torch.float32 if large else x.dtype
    found: Tensor = conv2d_weight(
        x.to(dtype), weight.shape, gradient.to(dtype), padding=padding, dilation=dilation, groups=len(weight)
    )
    return found.to(weight.dtype)


def _by_taps(
    x: Tensor, gradient: Tensor, weight: Tensor, padding: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    """For each tap, the shifted input times the gradient, summed over samples and positions."""
    rows, columns = gradient.shape[2:]
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    last = gradient.permute(0, 2, 3, 1)
    taps = []
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * dilation[0], j * dilation[1]
            taps.append((padded[:, top : top + rows, left : left + columns] * last).sum((0, 1, 2)))
    return torch.stack(taps, 1).reshape(weight.shape)
