"""Reconstruction points: where in its interval a symbol decodes to.

A Gaussian falls off, so what was rounded to r = 1 was below 1 more often than above, and the mean of the interval, its
centroid, has the least squared error. How far the decoder goes there is learned for every rate, because the encoder's
rate-distortion optimisation thins out the lower part of each interval. Only floats change; no bit depends on this.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from semcomp.networks.rate_table import RateTable
from semcomp.networks.sigma import density, intervals
from semcomp.pipeline.refined_tables import LARGEST


@lru_cache(maxsize=1)
def offset_table() -> Tensor:
    """|r| minus the centroid of its interval under each of the 64 Gaussians, float32 (64, 1024)."""
    sigma, size, lower, upper, mass = intervals(LARGEST)
    change = sigma * (density(lower) - density(upper))
    centroid = torch.where(mass > 1e-30, change / mass.clamp_min(1e-30), size - 0.5)
    return (size - centroid).clamp(0, 0.5).masked_fill(size == 0, 0.0).float()


class Centroid(nn.Module):
    """Symbols -> the values they decode to, both around the mean."""

    def __init__(self, *, nodes: int):
        super().__init__()
        self.share = RateTable(nodes, 1, init=0.5)
        """How far the decoder goes from the middle (0) to the Gaussian's centroid (1)."""

    def forward(self, symbols: Tensor, index: Tensor, quality: Tensor) -> Tensor:
        """symbols (B, M, h, w), integers; index, table numbers 0..63, of one shape."""
        with torch.no_grad():
            place = symbols.abs().clamp_max(LARGEST).add(index * (LARGEST + 1)).int()
            offset = offset_table().to(symbols.device).flatten()[place] * symbols.sign()
        points: Tensor = symbols - self.share(quality) * offset
        return points
