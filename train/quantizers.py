"""Substitutes for rounding in training. Evaluation always rounds.

mixed     the decoder sees rounded symbols with straight-through gradients, the rate sees noise (the default)
noise     both see additive uniform noise (Balle et al. 2017)
straight  both see rounded symbols with straight-through gradients (Theis et al. 2017)
dithered  the decoder sees subtractive dither, one shift a sample (Choi et al. 2019; Agustsson & Theis 2020)
soft      the decoder sees soft assignments to the integers, annealed to hard ones (Agustsson et al. 2017)
"""

import torch
from torch import Tensor, nn

from semcomp.networks.fused import residual_around

KINDS = ("mixed", "noise", "straight", "dithered", "soft")


class Quantizer(nn.Module):
    """Symbols that the decoder sees, and values whose rate is taken."""

    def __init__(self, kind: str = "mixed"):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"the quantizer must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        self.progress = 0.0
        """0..1 of the run; anneals the soft assignment."""

    def forward(self, value: Tensor, mean: Tensor, coded: Tensor) -> Tensor:
        """What decodes to `value` around `mean`, zero where `coded` is 0."""
        kind = self.kind if self.training else "mixed"
        if kind == "noise":
            return (value - mean + _noise(value)) * coded
        if kind == "dithered":
            shift = torch.rand(value.shape[0], 1, 1, 1, device=value.device) - 0.5
            return residual_around(value + shift, mean, coded) - shift * coded
        if kind == "soft":
            return soft_round(value - mean, 2.0 * 50.0**self.progress) * coded
        return residual_around(value, mean, coded)

    def rounds_rate(self, rounded: bool) -> bool:
        """Whether the rate is taken from rounded symbols."""
        return rounded or (self.training and self.kind == "straight")


def soft_round(value: Tensor, hardness: float) -> Tensor:
    """Mean of the nearest integers, weighted by softmax(-hardness * squared distance)."""
    centres = torch.floor(value).unsqueeze(-1) + torch.arange(-1, 3, device=value.device, dtype=value.dtype)
    weights = torch.softmax(-hardness * (value.unsqueeze(-1) - centres).square(), -1)
    result: Tensor = (weights * centres).sum(-1)
    return result


def _noise(value: Tensor) -> Tensor:
    return torch.rand_like(value).sub_(0.5)
