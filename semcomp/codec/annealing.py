"""Stochastic Gumbel annealing: rounding that is random at first and certain at last (Yang et al. 2020).

A value between two integers goes to the upper one with a weight w in (0, 1), which is drawn:

    f  = value - floor(value)
    w  = sigmoid((log-odds(f) / tau + logistic noise) / tau)

where log-odds(f) = atanh(f) - atanh(1 - f), and tau is the temperature. At a high temperature w is spread over (0, 1),
at a low one it is nearly 0 or 1. The decoder sees floor + w, or the same share of what
the two integers decode to. The rate is exact at both ends: the cost of the lower
symbol and of the upper one under the integer table that will code it, weighted by 1 - w and w.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MARGIN = 1e-4
"""The log-odds of values nearer to an integer are those at this distance."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What symbols cost by table number: float32 (T, 2W + 1), flat, of the symbols -W..W. Larger ones cost as W."""

    bits: Tensor
    widest: int
    surprises: Tensor | None = None
    """How far a symbol speaks for wider tables of later symbols. None where it does not change them."""
    shifts: Tensor | None = None
    """What a symbol decodes to, minus the symbol. None for zero."""

    @classmethod
    def of(cls, bits: Tensor, *, surprises: Tensor | None = None, shifts: Tensor | None = None) -> Costs:
        """The costs of `Tables.bits`, with surprises and shifts of the same shape."""
        others = [None if value is None else value.flatten() for value in (surprises, shifts)]
        return cls(bits=bits.flatten(), widest=bits.shape[1] // 2, surprises=others[0], shifts=others[1])

    def places(self, low: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Where the figures of the symbols `low`, integer-valued, and of `low` + 1 are, (N,)."""
        middle = index.long() * (2 * self.widest + 1) + self.widest
        lower, upper = (middle + value.clamp(-self.widest, self.widest).long() for value in (low, low + 1))
        return lower, upper

    def of_both(self, lower: Tensor, upper: Tensor, price: Tensor | None) -> tuple[Tensor, Tensor]:
        """Bits of the lower symbols, and how many more the upper ones cost, (N,).

        With a `price` for a unit of surprise (N,), the excess has what the upper symbol costs later ones more.
        """
        below = self.bits[lower]
        excess = self.bits[upper] - below
        if price is not None and self.surprises is not None:
            excess.addcmul_(self.surprises[upper] - self.surprises[lower], price)
        return below, excess


def flat(value: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w * C,): a view where the tensor is channels-last."""
    return value.permute(0, 2, 3, 1).reshape(-1)


def plane(value: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `flat`; channels-last."""
    return value.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)


class _Anneal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        mean: Tensor,
        places: Tensor,
        index: Tensor,
        costs: Costs,
        noise: Tensor,
        tau: float,
        price: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        position = flat(value)[places] - flat(mean)[places]
        low = position.floor()
        part = position.sub_(low).clamp_(MARGIN, 1 - MARGIN)
        odds = (part + 1).mul_(part).div_((1 - part).mul_(2 - part))
        weight = odds.log_().mul_(0.5 / tau).add_(noise).mul_(1 / tau).sigmoid_()
        lower, upper = costs.places(low, index)
        below, step = costs.of_both(lower, upper, price)
        bits = torch.dot(weight, step) + below.sum()
        decoded = torch.zeros(value.numel(), dtype=value.dtype, device=value.device)
        span = None
        if costs.shifts is None:
            decoded[places] = low.add_(weight)
        else:
            start, stop = costs.shifts[lower], costs.shifts[upper]
            span = (stop - start).add_(1)
            decoded[places] = low.add_(start).addcmul_(weight, span)
        ctx.save_for_backward(places, part, weight, step, span)
        ctx.tau, ctx.shape = tau, value.shape
        return plane(decoded, value.shape), bits

    @staticmethod
    def backward(ctx: Any, to_decoded: Tensor, to_bits: Tensor) -> tuple[Tensor | None, ...]:
        places, part, weight, step, span = ctx.saved_tensors
        # d log-odds / d f = (1 / (1 + f) + 1 / f + 1 / (1 - f) + 1 / (2 - f)) / 2; the terms pair up.
        slope = (part * (1 - part)).reciprocal_().add_((1 + part).mul_(2 - part).reciprocal_().mul_(3))
        change = flat(to_decoded)[places]
        if span is not None:
            change.mul_(span)
        change.add_(step * to_bits)
        change.mul_(weight).mul_(1 - weight).mul_(slope).mul_(0.5 / ctx.tau**2)
        gradient = torch.zeros(math.prod(ctx.shape), dtype=change.dtype, device=change.device)
        gradient[places] = change
        to_value = plane(gradient, ctx.shape)
        return to_value, to_value.neg() if ctx.needs_input_grad[1] else None, *[None] * 6


def anneal(
    value: Tensor,
    mean: Tensor,
    places: Tensor,
    index: Tensor,
    *,
    costs: Costs,
    noise: Tensor,
    tau: float,
    price: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Residuals that are rounded at random, and their bits.

    Args:
        value: What is to be coded, (1, M, h, w), in steps of the quantizer.
        mean: What is subtracted before rounding, (1, M, h, w).
        places: int64 (N,): the elements that are coded, as positions of `flat`. They differ from each other.
        index: Table numbers of those elements, (N,).
        costs: Bits of the symbols.
        noise: Logistic noise, (N,).
        tau: The temperature.
        price: Later bits for a unit of surprise of those elements, (N,).

    Returns:
        The residuals, zero at other places, (1, M, h, w), and the sum of their bits. With a `price` the sum has the
        later bits that they change.
    """
    decoded, bits = _Anneal.apply(value, mean, places, index, costs, noise, tau, price)  # type: ignore[no-untyped-call]
    return decoded, bits


def logistic(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Noise with the standard logistic distribution, (count,): the difference of two Gumbel variables."""
    uniform = torch.rand(count, generator=generator).clamp_(1e-6, 1 - 1e-6)
    return torch.logit(uniform).to(device)
