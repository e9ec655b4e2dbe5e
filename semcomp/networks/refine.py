"""Backward adaptation of the scale: the table number of a second-pass element from z and the first pass' integers.

    r     symbols of the first pass (even elements), integers
    i     their table numbers, 0..63
    T[i, |r|]   surprise: how far the symbol speaks for a wider (+) or narrower (-) table than i, integers in -127..127
    u     surprise of the element itself where it is decoded, else clip(floor(sum of its neighbours / 4), -127, 127)
    hidden = clip((weight1 u + bias1) >> 4, 0, 255)                                                       B K h w
    table number of an odd element = clip((sums of the sigma path + weight2 hidden + own u) >> 10, 0, 63)

Neighbours are the eight around an element in its own channel. Those that are not decoded yet count as 0. With
four passes, each of the last three is refined in this way. Every value is an integer, and every sum stays below 2^24,
so this path is as exact as the sigma path.
T is the score of a discretised Gaussian, d log P(r) / d log sigma, whose mean is zero when the table is right;
its logarithm is taken above 1, because real symbols have heavy tails.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.fused import wide_linear
from semcomp.networks.rate_table import RateTable
from semcomp.networks.rounding import bound, floor, round_half_even
from semcomp.networks.sigma import BIAS_LIMIT, LOG_STEP, SHIFT1, SHIFT2, WEIGHT_LIMIT, scale_table

LARGEST = 1023
"""Magnitudes above are looked up as this one."""
SURPRISE_UNIT, SURPRISE_LIMIT = 32, 127
_UNIT1 = 1 << SHIFT1
_UNIT2 = (1 << SHIFT2) / (32 * LOG_STEP)


def _density(value: Tensor) -> Tensor:
    return torch.exp(-0.5 * value.square()) / math.sqrt(2 * math.pi)


@lru_cache(maxsize=1)
def surprise_table() -> Tensor:
    """T, float32 integers (64, 1024). Released as data: it decides bits and is never computed again."""
    sigma = scale_table().double()[:, None]
    size = torch.arange(LARGEST + 1, dtype=torch.float64)[None]
    upper, lower = (size + 0.5) / sigma, (size - 0.5) / sigma
    mass = 0.5 * (torch.erfc(lower / math.sqrt(2)) - torch.erfc(upper / math.sqrt(2)))
    change = lower * _density(lower) - upper * _density(upper)
    # Far out, where both vanish, the score of the density at the inner edge takes over.
    score = torch.where(mass > 1e-30, change / mass.clamp_min(1e-30), lower.square() - 1)
    score = torch.where(score > 1, 1 + score.clamp_min(1).log(), score)
    return (score * SURPRISE_UNIT).round().clamp(-SURPRISE_LIMIT, SURPRISE_LIMIT).add(0.0).float()


def surprise(symbols: Tensor, index: Tensor, coded: Tensor, seen: Tensor) -> Tensor:
    """u (B, M, h, w) of integer-valued symbols and table numbers.

    `seen` is 1.0 at elements of the passes before, `coded` where one of them was coded; others say nothing.
    """
    place = symbols.abs().clamp_max(LARGEST).add(index * (LARGEST + 1)).int()
    own = surprise_table().to(symbols.device).flatten()[place] * coded
    padded = F.pad(own, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - own
    return torch.where(seen > 0, own, torch.floor(around * 0.25).clamp_(-SURPRISE_LIMIT, SURPRISE_LIMIT))


class ScaleRefiner(nn.Module):
    """The trainable form: real-valued parameters, rounded on every use to what will be released."""

    def __init__(self, *, latents: int, hidden: int, nodes: int, passes: int = 2, sigma_hidden: int = 0):
        """`sigma_hidden` is the width of the sigma path, whose sums this path adds to."""
        super().__init__()
        widest = (sigma_hidden + hidden) * WEIGHT_LIMIT * 255 + WEIGHT_LIMIT * SURPRISE_LIMIT + BIAS_LIMIT
        assert widest < 1 << 24, "the refined sum would not be exact"
        assert latents * WEIGHT_LIMIT * SURPRISE_LIMIT + BIAS_LIMIT < 1 << 24, "the first sum would not be exact"
        self.weight1 = nn.Parameter(torch.randn(hidden, latents) * 0.5)
        self.bias1 = RateTable(nodes, hidden, init=1.0)
        self.weight2 = nn.Parameter(torch.zeros(latents, hidden))
        self.own = nn.Parameter(torch.full((latents, 1, 1), 0.1))
        self.step = nn.Parameter(torch.zeros(passes - 2, hidden)) if passes > 2 else None
        """Biases of the later passes."""

    def integers(self, quality: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """weight1 (K, M), bias1 (B, K, 1, 1), weight2 (M, K) and own (M, 1, 1) for pass `number`, integer-valued."""

        def rounded(value: Tensor, unit: float, limit: int) -> Tensor:
            return round_half_even(bound(value * unit, -limit, limit))

        bias1 = self.bias1(quality)
        if number >= 2:
            assert self.step is not None
            bias1 = bias1 + self.step[number - 2, :, None, None]
        return (
            rounded(self.weight1, _UNIT1, WEIGHT_LIMIT),
            rounded(bias1, 32 * _UNIT1, BIAS_LIMIT),
            rounded(self.weight2, _UNIT2, WEIGHT_LIMIT),
            rounded(self.own, _UNIT2, WEIGHT_LIMIT),
        )

    def forward(self, sums: Tensor, seen: Tensor, quality: Tensor, number: int = 1) -> Tensor:
        """Refined sums for pass `number`, integers. Autocast is switched off inside.

        Args:
            sums: The sums of the sigma path, integers (B, M, h, w).
            seen: What `surprise` returns, (B, M, h, w).
            quality: 1..100, (B,).
            number: 1 for the second pass.
        """
        with torch.autocast(sums.device.type, enabled=False):
            weight1, bias1, weight2, own = self.integers(quality, number)
            hidden = floor((wide_linear(seen, weight1, narrow=False) + bias1) * 2.0**-SHIFT1).clamp(0, 255)
            return sums + wide_linear(hidden, weight2, narrow=False) + own * seen
