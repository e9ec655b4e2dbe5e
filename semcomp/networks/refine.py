"""Backward adaptation of the scale: the table number of an element from z and from the integers of earlier passes.

    r     symbols of the passes before, integers
    i     their table numbers, 0..63
    T[i, |r|]   surprise: how far the symbol speaks for a wider (+) or narrower (-) table than i, integers in -127..127
    u     surprise of the element itself where it is decoded, else clip(floor(sum of its neighbours / 4), -127, 127)
    hidden = clip((weight1 u + bias1) >> 4, 0, 255)                                                       B K h w
    table number of an element of this pass = clip((sums of the sigma path + weight2 hidden + own u) >> 10, 0, 63)

Neighbours are the eight around an element in its own channel. Those that are not decoded yet count as 0. With
four passes, each of the last three is refined in this way. Every value is an integer, and every sum stays below 2^24,
so this path is as exact as the sigma path. semcomp/pipeline/refined_tables.py drives the released form pass by pass.
T is the score of a discretised Gaussian, d log P(r) / d log sigma, whose mean is zero when the table is right;
its logarithm is taken above 1, because real symbols have heavy tails.
"""

from __future__ import annotations

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
from semcomp.networks.sigma import (
    BIAS_LIMIT,
    LOG_STEP,
    SCALES,
    SHIFT1,
    SHIFT2,
    WEIGHT_LIMIT,
    density,
    index_of,
    intervals,
    rows_of_nodes,
)
from semcomp.pipeline.passes import FOUR
from semcomp.pipeline.refined_tables import LARGEST, SURPRISE_LIMIT

SURPRISE_UNIT = 32
_UNIT1 = 1 << SHIFT1
_UNIT2 = (1 << SHIFT2) / (32 * LOG_STEP)


@lru_cache(maxsize=1)
def surprise_table() -> Tensor:
    """T, float32 integers (64, 1024). Released as data: it decides bits and is never computed again."""
    _, _, lower, upper, mass = intervals(LARGEST)
    change = lower * density(lower) - upper * density(upper)
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

    def bound_of_sums(self, sums: int) -> int:
        """Largest magnitude that a sum can take if the sums of the sigma path reach `sums`."""
        first = self.weight1.long().abs().sum(1).max() * SURPRISE_LIMIT + self.bias1.long().abs().max()
        second = (self.weight2.long().abs().sum(1) * 255 + self.own.long().abs() * SURPRISE_LIMIT).max() + sums
        return int(max(first, second))

    def index(self, seen: Tensor, sums: Tensor, quality: int, number: int) -> Tensor:
        """Table numbers of pass `number`, as semcomp/pipeline/refined_tables.py asks for them.

        Args:
            seen: int8 (M, 4, N): the surprise at every place.
            sums: The sums of the sigma path at the elements of this pass, integers (M, N).
            quality: 1..100.
            number: 1 to 3.

        Returns:
            int8 (M, N).
        """
        seen = seen.float()
        hidden = (self.weight1.float() @ seen.flatten(1)).add_(self.bias1[number - 1, quality - 1].float()[:, None])
        hidden = hidden.mul_(2.0**-SHIFT1).floor_().clamp_(0, 255).view(-1, *seen.shape[1:])
        weight2, own, sums, out = self.weight2.float(), self.own.float()[:, None], sums.float(), torch.empty(sums.shape)
        for group in range(FOUR):
            place = (number - group) % FOUR
            refined = torch.addmm(sums[group::FOUR], weight2[group::FOUR], hidden[:, place])
            out[group::FOUR] = refined.addcmul_(own[group::FOUR], seen[group::FOUR, place])
        return index_of(out).to(torch.int8)

    def index_numpy(
        self, sums: NDArray[np.int64], seen: NDArray[np.int64], quality: int, number: int
    ) -> NDArray[np.int64]:
        """The refinement in int64 numpy, for checks: whole planes (M, h, w) of sums and of what is seen."""
        flat = seen.reshape(len(seen), -1)
        first = self.weight1.numpy().astype(np.int64) @ flat
        hidden = np.clip((first + self.bias1.numpy()[number - 1, quality - 1][:, None]) >> SHIFT1, 0, 255)
        refined = self.weight2.numpy().astype(np.int64) @ hidden + self.own.numpy()[:, None] * flat
        numbers: NDArray[np.int64] = np.clip((refined.reshape(sums.shape) + sums) >> SHIFT2, 0, SCALES - 1)
        return numbers


def refined_numpy(
    refiner: IntegerRefiner,
    sums: NDArray[np.int64],
    symbols: NDArray[Any],
    usable: NDArray[np.bool_],
    *,
    quality: int,
    skip: int,
) -> NDArray[np.int64]:
    """The table numbers of all four passes over whole planes (M, h, w), -1 where nothing is coded.

    This is FORMAT.md in int64, for checks. It knows nothing of the order of memory in refined_tables.py.
    """
    channel, row, column = np.indices(sums.shape)
    order = (np.array([[0, 2], [3, 1]])[row % 2, column % 2] + channel) % FOUR
    index = np.clip(sums >> SHIFT2, 0, SCALES - 1)
    for number in range(1, FOUR):
        earlier = order < number
        seen = surprise_numpy(symbols, index, usable & earlier & (index >= skip), earlier, refiner.table.numpy())
        index = np.where(order == number, refiner.index_numpy(sums, seen, quality, number), index)
    return np.where(usable & (index >= skip), index, -1)


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
    def load_released(self, refiner: IntegerRefiner) -> None:
        """Load released integers for further training. Biases of later passes come back to the nearest integer.

        Raises:
            ValueError: The sizes differ, or the rate nodes do not fall on whole qualities.
        """
        bias1, later = refiner.bias1.float(), 0 if self.step is None else len(self.step)
        if refiner.weight1.shape != self.weight1.shape or len(bias1) != 1 + later:
            raise ValueError(f"the refinement is {tuple(refiner.weight1.shape)} in {len(bias1)} passes, which differs")
        self.weight1.copy_(refiner.weight1.float() / _UNIT1)
        self.weight2.copy_(refiner.weight2.float() / _UNIT2)
        self.own.copy_((refiner.own.float() / _UNIT2).view_as(self.own))
        rows = rows_of_nodes(self.bias1.weight.shape[0])
        self.bias1.weight.copy_(bias1[0, rows] / (32 * _UNIT1))
        if self.step is not None:
            self.step.copy_((bias1[1:] - bias1[:1]).mean(1) / (32 * _UNIT1))

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
