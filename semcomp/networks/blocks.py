"""Building blocks. Layout B C H W, channels-last in memory; every block keeps the shape it is given."""

import torch.nn.functional as F
from torch import Tensor, nn


def activation(value: Tensor) -> Tensor:
    return F.leaky_relu(value, 0.1)


def activation_(fresh: Tensor) -> Tensor:
    """`activation` in the memory of a value that nobody else reads, such as the output of a convolution."""
    return F.leaky_relu_(fresh, 0.1)


def sum_(value: Tensor, fresh: Tensor) -> Tensor:
    """value + fresh, in the memory of `fresh` unless autocast made it narrower than the trunk."""
    return fresh.add_(value) if fresh.dtype == value.dtype else value + fresh


class Pointwise(nn.Module):
    """1x1 convolution whose weight is a plain matrix (out, in), as matrix optimizers want it."""

    def __init__(self, inputs: int, outputs: int, *, scale: float = 1.0):
        super().__init__()
        template = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(template.weight.detach() * scale)
        self.bias = nn.Parameter(template.bias.detach() * scale)

    def forward(self, value: Tensor) -> Tensor:
        return F.conv2d(value, self.weight[:, :, None, None], self.bias)


class Block(nn.Module):
    """Depthwise-separable residual block, then a pointwise MLP, residual. Reaches kernel // 2 positions."""

    def __init__(self, channels: int, *, expansion: int = 2, kernel: int = 3):
        super().__init__()
        self.mix = Pointwise(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.merge = Pointwise(channels, channels)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels)

    def forward(self, value: Tensor) -> Tensor:
        value = sum_(value, self.merge(self.depthwise(activation_(self.mix(value)))))
        return sum_(value, self.project(activation_(self.expand(value))))


class Down(nn.Module):
    """Halves the grid: 2x2 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 2, stride=2)

    def forward(self, value: Tensor) -> Tensor:
        return self.conv(value)


class Up(nn.Module):
    """Refines the grid `factor` times: pointwise, then pixel shuffle."""

    def __init__(self, inputs: int, outputs: int, factor: int, *, scale: float = 1.0):
        super().__init__()
        self.factor = factor
        self.conv = Pointwise(inputs, outputs * factor * factor, scale=scale)

    def forward(self, value: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(value), self.factor)
