"""What a symbol costs the symbols after it, because it moves their tables.

Where later passes refine their tables from earlier symbols (semcomp/networks/refine.py), a symbol speaks for wider or
narrower tables around it. Its price is the change of later bits for one unit of its surprise, to first order: the bits
that one table more or less would cost each later symbol, led back through the refinement without its roundings.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.networks.refine import IntegerRefiner
from semcomp.networks.sigma import SCALES, SHIFT1, SHIFT2
from semcomp.pipeline.passes import FOUR
from semcomp.pipeline.refined_tables import LARGEST, SURPRISE_LIMIT


def signed_surprises(refiner: IntegerRefiner, widest: int) -> Tensor:
    """Surprise of the symbols -widest..widest under each of the 64 tables: float32 (64, 2 * widest + 1)."""
    sizes = torch.arange(-widest, widest + 1, device=refiner.table.device).abs().clamp_max(LARGEST)
    return refiner.table[:, sizes].float()


@torch.enable_grad()
def prices(
    symbols: Tensor, index: Tensor, coded: Tensor, order: Tensor, refiner: IntegerRefiner, bits: Tensor, *, quality: int
) -> Tensor:
    """Later bits for one unit of surprise of every element.

    Args:
        symbols: Integers (1, M, h, w) of all passes.
        index: Their table numbers.
        coded: bool: elements that are coded.
        order: Pass of every element.
        refiner: The refinement, in float32.
        bits: Cost of the symbols -W..W under each table, (64, 2W + 1).
        quality: 1..100.

    Returns:
        float32 (1, M, h, w). It is zero where nothing is coded, and in the last pass.
    """
    place = (index * (LARGEST + 1) + symbols.abs().clamp_max(LARGEST)).long()
    own = refiner.table.flatten()[place].requires_grad_()
    change = _change_of_bits(index, symbols, bits) * coded
    later = torch.zeros(1, device=own.device)
    for number in range(1, FOUR):
        earlier = (order < number).float()
        known = own * coded * earlier
        padded = F.pad(known, (1, 1, 1, 1))
        rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
        around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - known
        seen = torch.where(earlier > 0, known, (around * 0.25).clamp(-SURPRISE_LIMIT, SURPRISE_LIMIT))
        moved = refinement(seen, refiner, quality, number, exact=False) * 2.0**-SHIFT2
        later = later + (moved * change * (order == number)).sum()
    (gradient,) = torch.autograd.grad(later, own)
    return gradient


def refinement(seen: Tensor, refiner: IntegerRefiner, quality: int, number: int, *, exact: bool) -> Tensor:
    """What is added to the sums of the sigma path: (1, M, h, w), whole planes.

    Args:
        seen: What `refine.surprise` returns.
        refiner: The refinement, in float32, whose sums stay below 2^24.
        quality: 1..100.
        number: Pass, 1 to 3.
        exact: Round as the decoder does. Otherwise the result has a gradient.
    """
    values = seen.permute(0, 2, 3, 1)
    hidden = F.linear(values, refiner.weight1, refiner.bias1[number - 1, quality - 1]) * 2.0**-SHIFT1
    hidden = (hidden.floor() if exact else hidden).clamp(0, 255)
    added: Tensor = F.linear(hidden, refiner.weight2) + refiner.own * values
    return added.permute(0, 3, 1, 2)


def _change_of_bits(index: Tensor, symbols: Tensor, bits: Tensor) -> Tensor:
    """Bits of each symbol for a table number that is higher by one, as half the difference of both neighbours."""
    widest = bits.shape[1] // 2
    column = symbols.clamp(-widest, widest).long() + widest
    above, below = (index.long() + step for step in (1, -1))
    flat = bits.flatten()
    costs = [flat[number.clamp(0, SCALES - 1) * bits.shape[1] + column] for number in (above, below)]
    return (costs[0] - costs[1]) * 0.5
