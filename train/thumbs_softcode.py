"""A differentiable imitation of thumbnail codes: pixels in, what a decoder shows and a measure of the bits out."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.thumbs.transform import COLOUR, DCT

LEVELS = range(9, 16)
"""Levels that are imitated, as semcomp.thumbs.walk counts them: codes of about 20 to 200 bytes end there."""
STEEPNESS = 5.0
"""How sharply the imitated gradient turns from zero to one where a coefficient becomes significant."""
SIDE_BITS = 16.0
"""Bits that every code has, whatever it describes."""


def width_at(level: int) -> float:
    """Width of a told interval: 2^plane at the end of a plane, half an octave more while the plane is told."""
    return float(2.0 ** ((25 - level) / 2))


class SoftCode(nn.Module):
    """Codes that end at one level. Shapes: pixels around 0 (B, 3, 32, 32), bits (B,)."""

    def __init__(self, weights: NDArray[Any]):
        super().__init__()
        for name, values in (("colour", COLOUR), ("dct", DCT), ("weights", weights[:3])):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self.colour: Tensor
        self.dct: Tensor
        self.weights: Tensor

    def forward(self, pixels: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Decoded pixels, with gradients that imitate the code's, and about how many bits the code has.

        Coefficients below the width are shown as 0. The gradient fades there, because a straight one would teach that
        whatever is lost comes back. Bits grow with the logarithm of a magnitude, as in a code whose contexts are good.
        """
        width = width_at(level)
        values = self.dct @ torch.einsum("ck,bkhw->bchw", self.colour, pixels) @ self.dct.T * self.weights
        size = values.abs() / width
        low = size.floor()
        shown = torch.where(size >= 1, (low + torch.where(low == 1, 0.44, 0.48)) * width * values.sign(), 0.0)
        smooth = values * torch.sigmoid(STEEPNESS * (size - 1))
        told = smooth + (shown - smooth).detach()
        decoded = torch.einsum("ck,bchw->bkhw", self.colour, self.dct.T @ (told / self.weights) @ self.dct)
        bits = 1.3 * torch.log2(1 + size * size).sum((1, 2, 3)) + SIDE_BITS
        return decoded, bits


def draw_level(step: int) -> int:
    """Level of one training step."""
    return int(np.random.default_rng((7, step)).choice(LEVELS))
