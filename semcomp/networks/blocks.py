"""Building blocks of all networks.

Tensors are B C H W, channels-last in memory. `Block` keeps the shape of its input; `Down` and `Up` change the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.fused import from_patches, shuffle_order, trains_here


def activation(value: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.1, the activation of every network."""
    return F.leaky_relu(value, 0.1)


def activation_(fresh: Tensor) -> Tensor:
    """`activation` in place. Nobody else may read `fresh`, which is usually the output of a convolution."""
    return F.leaky_relu_(fresh, 0.1)


def sum_(value: Tensor, fresh: Tensor) -> Tensor:
    """value + fresh. The sum is written into `fresh`, unless autocast has given it a narrower type than the trunk's."""
    return fresh.add_(value) if fresh.dtype == value.dtype else value + fresh


@contextmanager
def for_loaded_weights() -> Iterator[None]:
    """Build networks in this context where other weights take the place of their first ones.

    The first weights are random, and torch draws them from the numbers that the user's own program draws from. Those
    go on as if nothing had been drawn. The meta device would draw none, but it imports torch._dynamo, which is slow.
    """
    with torch.random.fork_rng(devices=[]):
        yield


class Pointwise(nn.Module):
    """1x1 convolution. Its weight is a plain matrix (out, in), because matrix optimizers need one."""

    def __init__(self, inputs: int, outputs: int, *, scale: float = 1.0):
        super().__init__()
        template = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(template.weight.detach() * scale)
        self.bias = nn.Parameter(template.bias.detach() * scale)

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Pointwise:
        """Make a layer that learns no more of a weight (out, in) and a bias (out,). Nothing random is drawn."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.weight, layer.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))
        return layer

    def forward(self, value: Tensor) -> Tensor:
        return F.conv2d(value, self.weight[:, :, None, None], self.bias)


class Block(nn.Module):
    """Residual depthwise-separable convolution, then a residual pointwise MLP. It sees kernel // 2 positions around."""

    def __init__(self, channels: int, *, expansion: int = 2, kernel: int = 3):
        super().__init__()
        self.mix = Pointwise(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.merge = Pointwise(channels, channels)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels)

    def forward(self, value: Tensor, scales: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """`scales` (B, C, 1, 1) multiply what the two branches add."""
        merged = self.merge(self.depthwise(activation_(self.mix(value))))
        value = sum_(value, merged if scales is None else merged * scales[0])
        projected = self.project(activation_(self.expand(value)))
        return sum_(value, projected if scales is None else projected * scales[1])


class Down(nn.Module):
    """2x2 convolution of stride 2, which halves the grid."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 2, stride=2)

    def forward(self, value: Tensor) -> Tensor:
        halved: Tensor = self.conv(value)
        return halved


class Up(nn.Module):
    """Pointwise layer and pixel shuffle, which make the grid `factor` times finer."""

    def __init__(self, inputs: int, outputs: int, factor: int, *, scale: float = 1.0):
        super().__init__()
        self.factor = factor
        self.conv = Pointwise(inputs, outputs * factor * factor, scale=scale)

    def forward(self, value: Tensor) -> Tensor:
        if not trains_here(self, value):
            return F.pixel_shuffle(self.conv(value), self.factor)
        weight, bias = shuffle_order(self.conv.weight, self.factor), shuffle_order(self.conv.bias, self.factor)
        return from_patches(F.conv2d(value, weight[:, :, None, None], bias), self.factor)


class Patches(nn.Module):
    """A pointwise layer and its pixel shuffle for inference, with channels in the order that makes for long copies."""

    def __init__(self, layer: Pointwise, factor: int):
        super().__init__()
        weight, bias = (shuffle_order(value.detach(), factor) for value in (layer.weight, layer.bias))
        self.layer, self.factor = Pointwise.of(weight, bias), factor

    def forward(self, value: Tensor) -> Tensor:
        return from_patches(self.layer(value), self.factor)
