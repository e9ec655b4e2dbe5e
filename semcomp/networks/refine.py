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

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.networks.fused import wide_linear
from semcomp.networks.rate_table import QUALITIES, RateTable
from semcomp.networks.rounding import bound, floor, round_half_even
from semcomp.networks.sigma import BIAS_LIMIT, LOG_STEP, SCALES, SHIFT1, SHIFT2, WEIGHT_LIMIT, index_of, scale_table

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


def surprise(symbols: Tensor, index: Tensor, coded: Tensor, seen: Tensor, table: Tensor | None = None) -> Tensor:
    """u (B, M, h, w), float32 integers, from symbols and table numbers of the same shape.

    Args:
        symbols: Integer-valued; elements outside `seen` may be anything.
        index: Table numbers.
        coded: 1.0 where an element of an earlier pass was coded. Other elements say nothing.
        seen: 1.0 at the elements of the earlier passes.
        table: The surprise table of a release, (64, 1024).
    """
    known = surprise_table() if table is None else table.float()
    place = symbols.abs().clamp_max(LARGEST).add(index * (LARGEST + 1)).int()
    own = known.to(symbols.device).flatten()[place] * coded
    padded = F.pad(own, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - own
    return torch.where(seen > 0, own, torch.floor(around * 0.25).clamp_(-SURPRISE_LIMIT, SURPRISE_LIMIT))


@dataclass(frozen=True, kw_only=True)
class IntegerRefiner:
    """The released form: int8 weights, int32 biases for every pass and quality, and the surprise table."""

    weight1: Tensor
    """int8 (K, M)."""
    bias1: Tensor
    """int32 (passes - 1, 100, K)."""
    weight2: Tensor
    """int8 (M, K)."""
    own: Tensor
    """int8 (M,)."""
    table: Tensor
    """int8 (64, 1024)."""

    def to(self, device: torch.device) -> IntegerRefiner:
        """A copy on another device."""
        return IntegerRefiner(**{name: value.to(device) for name, value in vars(self).items()})

    def bound_of_sums(self, sums: int) -> int:
        """Largest magnitude that a sum can take if the sums of the sigma path reach `sums`."""
        first = self.weight1.long().abs().sum(1).max() * SURPRISE_LIMIT + self.bias1.long().abs().max()
        second = (self.weight2.long().abs().sum(1) * 255 + self.own.long().abs() * SURPRISE_LIMIT).max() + sums
        return int(max(first, second))

    def index(self, sums: Tensor, seen: Tensor, quality: int, number: int) -> Tensor:
        """Table numbers for pass `number` from float32 tensors (1, M, h, w): sums of the sigma path, and u."""
        bias1 = self.bias1[number - 1, quality - 1].float()[:, None]
        flat = seen.flatten(2)
        hidden = torch.matmul(self.weight1.float(), flat).add_(bias1).mul_(2.0**-SHIFT1).floor_().clamp_(0, 255)
        refined = torch.matmul(self.weight2.float(), hidden).add_(self.own.float()[:, None] * flat)
        return index_of(refined.view_as(sums) + sums)

    def index_numpy(
        self, sums: NDArray[np.int64], seen: NDArray[np.int64], quality: int, number: int
    ) -> NDArray[np.int64]:
        """`index` in int64 numpy, for clients without torch and for checks: (M, h, w)."""
        flat = seen.reshape(len(seen), -1)
        first = self.weight1.numpy().astype(np.int64) @ flat
        hidden = np.clip((first + self.bias1.numpy()[number - 1, quality - 1][:, None]) >> SHIFT1, 0, 255)
        refined = self.weight2.numpy().astype(np.int64) @ hidden + self.own.numpy()[:, None] * flat
        numbers: NDArray[np.int64] = np.clip((refined.reshape(sums.shape) + sums) >> SHIFT2, 0, SCALES - 1)
        return numbers


class RefinedNumbers:
    """The table numbers of all passes, while the symbols of one pass after the other become known.

    Encoder and decoder drive it alike: `numbers(n)` for pass n, then `add(n, symbols)`. Everything is an integer.
    """

    def __init__(
        self, refiner: IntegerRefiner, sums: Tensor, order: Tensor, usable: Tensor, *, quality: int, skip: int
    ):
        """Start before the first pass.

        Args:
            refiner: The released refinement.
            sums: Sums of the sigma path, float32 (1, M, h, w).
            order: Pass of every element, (1, M, h, w).
            usable: bool (1, M, h, w): elements that may be coded at all, those inside the picture and kept.
            quality: 1..100.
            skip: Elements with a smaller table number are not coded.
        """
        self.refiner, self.sums, self.order, self.usable = refiner, sums, order, usable
        self.quality, self.skip = quality, skip
        self.index = index_of(sums)
        self.symbols = torch.zeros_like(sums)

    @property
    def coded(self) -> Tensor:
        """Elements that are coded, bool, as far as their pass has begun."""
        return self.usable & (self.index >= self.skip)

    def numbers(self, number: int) -> tuple[Tensor, Tensor]:
        """Table numbers (1, M, h, w) as they are in pass `number`, and which of its elements are coded."""
        mine = self.order == number
        if number:
            earlier = self.order < number
            coded = (self.coded & earlier).float()
            seen = surprise(self.symbols, self.index, coded, earlier.float(), self.refiner.table)
            refined = self.refiner.index(self.sums, seen, self.quality, number)
            self.index = torch.where(mine, refined, self.index)
        return self.index, self.coded & mine

    def add(self, symbols: Tensor) -> None:
        """Take the symbols of a pass, zero elsewhere."""
        self.symbols = self.symbols + symbols


def surprise_numpy(
    symbols: NDArray[Any], index: NDArray[Any], coded: NDArray[np.bool_], seen: NDArray[np.bool_], table: NDArray[Any]
) -> NDArray[np.int64]:
    """`surprise` in int64 numpy: (M, h, w)."""
    own = np.where(coded, table.astype(np.int64)[index, np.minimum(np.abs(symbols.astype(np.int64)), LARGEST)], 0)
    padded = np.pad(own, ((0, 0), (1, 1), (1, 1)))
    height, width = own.shape[1:]
    around = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)) - own
    return np.where(seen, own, np.clip(around >> 2, -SURPRISE_LIMIT, SURPRISE_LIMIT))


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

    @torch.no_grad()
    def released(self) -> IntegerRefiner:
        """The integers, for every pass and quality."""
        quality = torch.arange(1, QUALITIES + 1, device=self.weight1.device)
        passes = 2 if self.step is None else 2 + len(self.step)
        rows = [self.integers(quality, number) for number in range(1, passes)]
        weight1, _, weight2, own = rows[0]
        return IntegerRefiner(
            weight1=weight1.to("cpu", torch.int8),
            bias1=torch.stack([bias1.flatten(1) for _, bias1, _, _ in rows]).to("cpu", torch.int32),
            weight2=weight2.to("cpu", torch.int8),
            own=own.flatten().to("cpu", torch.int8),
            table=surprise_table().to(torch.int8),
        )
