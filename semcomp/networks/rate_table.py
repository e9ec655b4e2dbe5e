"""The meaning of a quality: its lmbda, its position between the rate nodes, its prior of z, its row of a rate table."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from semcomp.types import QUALITIES as QUALITIES
from semcomp.types import rate_node


def rate_position(quality: Tensor, nodes: int) -> Tensor:
    """Position of a quality (B,), 1..100, on the axis of the rate nodes: float (B,) in 0..nodes-1."""
    return (quality.float() - 1) * ((nodes - 1) / (QUALITIES - 1))


def prior_node(quality: Tensor, nodes: int) -> Tensor:
    """Number of the prior of z that a quality uses, int64 (B,). It selects tables, so its arithmetic is integer."""
    node: Tensor = rate_node(quality.long(), nodes)
    return node


def lmbda_of(quality: Tensor, lmbda_min: float, lmbda_max: float) -> Tensor:
    """Lagrange multiplier of a quality for MSE on the 0-255 scale, spaced evenly in the logarithm."""
    span = math.log(lmbda_max / lmbda_min)
    return lmbda_min * torch.exp((quality.float() - 1) * (span / (QUALITIES - 1)))


class RateTable(nn.Module):
    """A vector for every rate, interpolated linearly between learned nodes.

    It maps qualities (B,) to (B, C, 1, 1). A table of log gains gives the exponential interpolation of Cui et al. 2021
    (G-VAE).
    """

    def __init__(self, nodes: int, channels: int, *, init: Tensor | float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(nodes, channels) + init)

    def forward(self, quality: Tensor) -> Tensor:
        nodes = self.weight.shape[0]
        position = rate_position(quality, nodes)
        left = position.floor().clamp(0, nodes - 2).long()
        weight = (position - left)[:, None]
        return torch.lerp(self.weight[left], self.weight[left + 1], weight)[:, :, None, None]


class RateRows(nn.Module):
    """A rate table for inference: the vectors of all 100 qualities are computed once."""

    rows: Tensor

    def __init__(self, table: Callable[[Tensor], Tensor], *, device: torch.device):
        super().__init__()
        with torch.no_grad():
            self.register_buffer("rows", table(torch.arange(1, QUALITIES + 1, device=device)), persistent=False)

    def forward(self, quality: Tensor) -> Tensor:
        return self.rows.index_select(0, quality - 1)
