"""Sensor noise for training crops: Poisson-Gaussian in linear light, correlated, stronger in luma or in chroma.

A sensor counts photons. The variance of its noise grows linearly with the light, and the electronics add a constant
(Foi et al. 2008). Demosaicing and the camera's denoising correlate neighbouring pixels, and leave luma and chroma noise
of different strength. A photo that was downsampled or compressed has lost this noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

CODES = 1 << 14
"""Steps of linear light in the table that maps it back to sRGB."""


def to_linear(srgb: Floats) -> Floats:
    """sRGB in [0, 1] -> linear light in [0, 1] (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Floats) -> Floats:
    """Linear light in [0, 1] -> sRGB in [0, 1]."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


LINEAR = torch.from_numpy(to_linear(np.arange(256) / 255)).float()
"""Linear light of each 8-bit sRGB value."""
SRGB = torch.from_numpy(np.round(255 * to_srgb(np.arange(CODES) / (CODES - 1)))).to(torch.uint8)
"""8-bit sRGB value of each step of linear light."""


@dataclass(frozen=True, kw_only=True)
class SensorNoise:
    """One camera at one sensitivity. Variances are of luma, in linear light, where white is 1."""

    shot: float
    """Variance that a unit of light adds."""
    read: float
    """Variance without light."""
    chroma: float
    """Standard deviation of each channel's own noise, relative to the common noise."""
    spread: float
    """Weight of each of the two neighbours, in each direction, relative to the pixel itself; 0 for white noise."""

    @classmethod
    def draw(cls, generator: torch.Generator) -> "SensorNoise":
        """A random camera: from clean daylight to a night photo."""
        strength, read, chroma, spread = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        shot = math.exp(math.log(4e-5) + strength * math.log(4e-3 / 4e-5))
        return cls(shot=shot, read=shot * 0.03 * read, chroma=0.2 + 1.2 * chroma, spread=0.6 * spread)

    def pattern(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Noise of unit variance in luma, (height, width, 3): common noise plus each channel's own, which sums to 0."""
        white = torch.randn(height + 2, width + 2, 4, generator=generator)
        rows = white[1:-1] + self.spread * (white[:-2] + white[2:])
        blurred = rows[:, 1:-1] + self.spread * (rows[:, :-2] + rows[:, 2:])
        common, own = blurred[..., :1], blurred[..., 1:]
        return (common + self.chroma * (own - own.mean(-1, keepdim=True))) / (1 + 2 * self.spread**2)

    def linear(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy linear light of uint8 (H, W, 3), not clipped: its mean is the light of the pixels."""
        codes = pixels.int()
        deviation = (self.shot * LINEAR + self.read).sqrt()
        return LINEAR[codes] + deviation[codes] * self.pattern(pixels.shape[0], pixels.shape[1], generator)

    def apply(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 (H, W, 3) with noise, uint8."""
        light = self.linear(pixels, generator)
        return SRGB[light.mul_(CODES - 1).round_().clamp_(0, CODES - 1).int()]
