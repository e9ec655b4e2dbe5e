"""What coefficients of a JPEG file cost, estimated, and which values are worth their bits.

The estimate is the entropy of each frequency's values in this picture. Real files code runs of zeros and sizes, and
come out close to it.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 40
"""Magnitudes with an estimate of their own. Larger ones cost as much more as their additional bits."""


class RateModel:
    """Bits of the magnitudes of one plane, by frequency."""

    def __init__(self, values: Tensor):
        """`values` are whole numbers, (..., 64)."""
        flat = values.abs().reshape(-1, 64).clamp(max=LARGEST).long()
        counts = torch.zeros(64, LARGEST + 1)
        counts.scatter_add_(1, flat.T.contiguous(), torch.ones_like(flat.T, dtype=torch.float32))
        # Magnitudes that do not occur are taken to halve from one to the next.
        smooth = 0.05 * 0.5 ** torch.arange(LARGEST + 1).float()
        shares = (counts + smooth) / (counts + smooth).sum(1, keepdim=True)
        self.bits = -shares.log2() + (torch.arange(LARGEST + 1) > 0)
        """(64, magnitudes); one bit is the sign."""

    def cost(self, values: Tensor) -> Tensor:
        """Bits of whole numbers, of the shape of `values`."""
        magnitudes = values.abs()
        flat = magnitudes.reshape(-1, 64).clamp(max=LARGEST).long()
        bits = self.bits.gather(1, flat.T.contiguous()).T.reshape(values.shape)
        return bits + 2 * (magnitudes / LARGEST).clamp(min=1).log2()


def worthwhile(values: Tensor, steps: Tensor, *, lmbda: float, rounds: int = 2) -> Tensor:
    """Quantise coefficients so that squared error + lmbda * bits is small.

    Args:
        values: Coefficients / steps, (..., 64).
        steps: Quantisation steps times the root of the weight of a squared error, (64,).
        lmbda: Squared error that a bit is worth.
        rounds: How often the costs are estimated again.

    Returns:
        Whole numbers, each the nearest one or one nearer to 0.
    """
    nearest = values.round()
    lower = nearest - nearest.sign()
    chosen = nearest
    for _ in range(rounds):
        rates = RateModel(chosen)
        error = ((values - lower).square() - (values - nearest).square()) * steps.square()
        saved = rates.cost(nearest) - rates.cost(lower)
        zero_error = (values.square() - (values - nearest).square()) * steps.square()
        zero_saved = rates.cost(nearest) - rates.cost(torch.zeros_like(nearest))
        gains = torch.stack([torch.zeros_like(error), lmbda * saved - error, lmbda * zero_saved - zero_error])
        best = gains.argmax(0)
        chosen = torch.where(best == 1, lower, torch.where(best == 2, torch.zeros_like(nearest), nearest))
        chosen[..., 0] = nearest[..., 0]  # DC is coded as differences, which this estimate does not know
    return chosen
