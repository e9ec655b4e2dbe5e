"""The refinement of table numbers with products of bytes, summed in 32-bit integers: see sigma_bytes.py.

A pass takes less time than in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from semcomp.networks.precision import sums_products_of_bytes
from semcomp.networks.refine import IntegerRefiner
from semcomp.networks.sigma import SCALES, SHIFT1, SHIFT2
from semcomp.networks.sigma_bytes import MIDDLE, sums_exactly
from semcomp.pipeline.passes import FOUR
from semcomp.pipeline.refined_tables import SURPRISE_LIMIT


class ByteRefiner:
    """An `IntegerRefiner` for CPUs that sum products of bytes."""

    def __init__(self, refiner: IntegerRefiner):
        self.weight1, self.bias1 = refiner.weight1, refiner.bias1 - (MIDDLE << SHIFT1)
        self.weight2 = [refiner.weight2[group::FOUR].contiguous() for group in range(FOUR)]
        self.own = [refiner.own[group::FOUR, None].int() for group in range(FOUR)]
        self._missing = [MIDDLE * weight.sum(1, keepdim=True, dtype=torch.int32) for weight in self.weight2]

    def index(self, seen: Tensor, sums: Tensor, quality: int, number: int) -> Tensor:
        """Table numbers, which are equal to what `IntegerRefiner.index` returns."""
        bias1, out = self.bias1[number - 1, quality - 1, :, None], torch.empty(sums.shape, dtype=torch.int8)
        hidden = torch._int_mm(self.weight1, seen.flatten(1)).add_(bias1).bitwise_right_shift_(SHIFT1)
        hidden = hidden.clamp_(-MIDDLE, MIDDLE - 1).to(torch.int8).view(-1, *seen.shape[1:])
        for group in range(FOUR):
            place = (number - group) % FOUR
            refined = torch._int_mm(self.weight2[group], hidden[:, place].contiguous())
            refined.add_(sums[group::FOUR].int()).add_(self._missing[group])
            refined.addcmul_(self.own[group], seen[group::FOUR, place].int())
            out[group::FOUR] = refined.bitwise_right_shift_(SHIFT2).clamp_(0, SCALES - 1)
        return out

    def exact(self) -> bool:
        """Whether this machine sums the extreme values of bytes correctly. Sums in 16 bits would fail there."""
        seconds = ((weight, -MIDDLE, MIDDLE - 1) for weight in self.weight2)
        return sums_exactly((self.weight1, -SURPRISE_LIMIT, SURPRISE_LIMIT), *seconds)


@torch.inference_mode()
def fastest_refiner(refiner: IntegerRefiner) -> IntegerRefiner | ByteRefiner:
    """The form of the refinement that runs fastest on the CPU. Every form gives equal table numbers."""
    if sums_products_of_bytes():
        bytewise = ByteRefiner(refiner)
        if bytewise.exact():
            return bytewise
    return IntegerRefiner(**{name: value.float() for name, value in vars(refiner).items()})  # converted once
