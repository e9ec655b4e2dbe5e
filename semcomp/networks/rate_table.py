"""What a quality stands for: lmbda, a position between the rate nodes, a prior, a row of a rate table."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from semcomp.types import QUALITIES as QUALITIES
from semcomp.types import rate_node


def rate_position(quality: Tensor, nodes: int) -> Tensor:
    """Position of a quality on the axis of the rate nodes, 0..nodes-1. `quality` (B,) holds integers 1..100."""
    return (quality.float() - 1) * ((nodes - 1) / (QUALITIES - 1))


def prior_node(quality: Tensor, nodes: int) -> Tensor:
    """Number of the prior of z that a quality uses, int64 (B,). Integer arithmetic only: it selects tables."""
    node: Tensor = rate_node(quality.long(), nodes)
    return node


def lmbda_of(quality: Tensor, lmbda_min: float, lmbda_max: float) -> Tensor:
    """Lagrange multiplier of a quality for an MSE on the 0-255 scale; log-spaced over the qualities."""
    span = math.log(lmbda_max / lmbda_min)
    return lmbda_min * torch.exp((quality.float() - 1) * (span / (QUALITIES - 1)))


class RateTable(nn.Module):
    """A vector for every rate, interpolated linearly between learned nodes.

    (B,) qualities -> (B, C, 1, 1). Of a table of log gains this is the exponential interpolation of
    Cui et al. 2021 (G-VAE).
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
    """What a table (B,) -> (B, C, 1, 1) of rates holds, read off once for every quality, where nothing learns."""

    rows: Tensor

    def __init__(self, table: Callable[[Tensor], Tensor], *, device: torch.device):
        super().__init__()
        with torch.no_grad():
            self.register_buffer("rows", table(torch.arange(1, QUALITIES + 1, device=device)), persistent=False)

    def forward(self, quality: Tensor) -> Tensor:
        return self.rows.index_select(0, quality - 1)
