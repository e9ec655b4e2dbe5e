"""Bits of a batch under the lossless networks: every level and pass, as the encoder runs them, with gradients.

Symbols cost what a mixture of three logistic distributions says. Its widths and weights are learned for each scale and
channel; a release turns them into integer tables.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from semcomp.bitstream.frequency_tables import Tables, quantize_pmf
from semcomp.lossless.features import chroma_step, luma_step, windows_of
from semcomp.lossless.fits import LumaFit
from semcomp.lossless.geometry import KINDS, OFFSETS, PASSES
from semcomp.lossless.known import CHANNELS, Known, Place
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.step import FIRST_SCALE, MEAN_LIMIT, PHASES, SCALES, STEPS_PER_OCTAVE
from semcomp.networks.fused import floor_through
from semcomp.networks.lossless import LosslessConfig, TrainableNetwork, trainable_networks

SMALLEST_SIGMA = 0.09
MAX_BOUND = 160
_FLOOR = 1e-7
"""Probability that every symbol has, so that no symbol has an infinite cost."""


class Mixture(nn.Module):
    """Three logistic distributions around the mean of a prediction, for every channel and scale."""

    def __init__(self) -> None:
        super().__init__()
        self.log_width = nn.Parameter(torch.tensor([0.0, 0.5, 1.5]).repeat(CHANNELS, SCALES, 1))
        """Natural logarithm of each width, relative to the scale's."""
        self.logit = nn.Parameter(torch.tensor([0.0, -0.5, -3.0]).repeat(CHANNELS, SCALES, 1))

    def bits(self, channel: int, distance: Tensor, scale: Tensor) -> Tensor:
        """Bits (N,) of symbols that are ``distance`` (N,) off their mean, at scales (N,) that are integers."""
        number = scale.detach().long()
        log_sigma = scale * (math.log(2) / STEPS_PER_OCTAVE) + math.log(SMALLEST_SIGMA)
        weights = torch.softmax(self.logit[channel], 1)[number]
        widths = self.log_width[channel][number]
        side = torch.where(distance > 0, -1.0, 1.0)  # of two tails the smaller one has all its digits
        total = torch.zeros_like(distance)
        for part in range(3):
            inverse = torch.exp(-(log_sigma + widths[:, part])) * side
            upper, lower = torch.sigmoid((distance + 0.5) * inverse), torch.sigmoid((distance - 0.5) * inverse)
            total = total + weights[:, part] * (upper - lower).abs()
        return -torch.log2(total * (1 - 1e-4) + _FLOOR)

    @torch.no_grad()
    def tables(self, channel: int) -> Tables:
        """The integer tables of a channel: for every scale and phase, what the mixture says."""
        bounds, rows = [], []
        for scale in range(SCALES):
            sigma = SMALLEST_SIGMA * 2 ** (scale / STEPS_PER_OCTAVE)
            bound = min(MAX_BOUND, math.ceil(6 * sigma) + 3)
            values = torch.arange(-bound, bound + 1, dtype=torch.float32)
            for phase in range(PHASES):
                bits = self.bits(channel, values - (phase - PHASES // 2) / PHASES, torch.full_like(values, scale))
                inside = torch.exp2(-bits.double()).numpy()
                escape = max(1 - inside.sum(), 1e-6)
                bounds.append(bound)
                rows.append(quantize_pmf(np.append(inside, escape)))
        return Tables.from_arrays(np.array(bounds), np.concatenate(rows))


class LosslessObjective(nn.Module):
    """The networks and the mixture, and the bits of a batch of crops."""

    def __init__(self, config: LosslessConfig):
        super().__init__()
        self.config = config
        self.networks = trainable_networks(config)
        self.mixture = Mixture()
        self.windows = windows_of(config.windows)

    def forward(
        self, planes: Tensor, *, levels: int, dtype: torch.dtype, differences: bool = False
    ) -> dict[str, Tensor]:
        """Bits by channel and level ("luma0", "first0", "second0", ...) of crops.

        Args:
            planes: int16 (3, B, H, W), luma and colour differences; the sides are multiples of 2 ** levels.
            levels: How many levels are coded; the pixels that are left cost nothing.
            dtype: What networks multiply in: torch.bfloat16 or torch.float32.
            differences: The planes are green and differences to green, and not YCoCg-R.
        """
        coarse = planes[:, :, :: 1 << levels, :: 1 << levels]
        errors = torch.zeros_like(coarse)
        bits: dict[str, Tensor] = {}
        for level in range(levels - 1, -1, -1):
            fine = planes[:, :, :: 1 << level, :: 1 << level]
            fine_errors = torch.empty_like(fine)
            fine_errors[..., ::2, ::2] = errors
            known, place = Known(torch), Place(level=level, differences=differences)
            known.add("00", coarse, errors)
            for target in PASSES:
                down, right = OFFSETS[target]
                values = fine[..., down::2, right::2]
                off = self._pass(known, target, place, values, bits, dtype)
                known.add(target, values, off)
                fine_errors[..., down::2, right::2] = off
            coarse, errors = fine, fine_errors
        return bits

    def _pass(
        self, known: Known, target: str, place: Place, values: Tensor, bits: dict[str, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Add the bits of one lattice, (3, B, h, w); returns its errors of the same shape."""
        rows, windows = slice(0, values.shape[2]), self.windows[target]
        fit = LumaFit(torch, known.planes, target, bits=8)
        flat = tuple(values.reshape(CHANNELS, -1))
        errors: tuple[Tensor, ...] = ()
        for channel, kind in enumerate(KINDS):
            if channel == 0:
                step = luma_step(known, windows, fit, place=place, rows=rows)
            else:
                step = chroma_step(known, windows, flat[:channel], errors, place=place, rows=rows)
            output = self._run(kind + target, step.features, dtype)
            distance = flat[channel] - step.initial
            errors += (self._cost(channel, place.level, bits, distance, output, step.k),)
            known.add_values(target, values[: channel + 1])
        limited: Tensor = place.limited(torch, torch.stack(errors))
        return limited.view_as(values)

    def _run(self, name: str, features: Tensor, dtype: torch.dtype) -> Tensor:
        network = self.networks[name]
        assert isinstance(network, TrainableNetwork)
        output: Tensor = network(features.to(dtype))
        return output

    def _cost(
        self, channel: int, level: int, bits: dict[str, Tensor], distance: Tensor, output: Tensor, k: Tensor
    ) -> Tensor:
        """Add the bits of one step; returns its symbols."""
        eighths = floor_through((output[0] * torch.exp2(k.float()) + 4) * 2.0**-3).clamp(-MEAN_LIMIT, MEAN_LIMIT)
        scale = (output[1] + 4 * (STEPS_PER_OCTAVE * k + FIRST_SCALE) + 2) * 0.25
        scale = floor_through(scale.clamp(0, SCALES - 1))
        name = KINDS[channel] + str(level)
        cost = self.mixture.bits(channel, distance - eighths / PHASES, scale).sum()
        bits[name] = bits[name] + cost if name in bits else cost
        symbols: Tensor = distance - ((eighths.detach().int() + 4) >> 3)
        return symbols.to(torch.int16)

    def released(self, *, origin: str = "") -> LosslessModel:
        """The integers: networks, and tables as the mixture says."""
        networks = {
            name: network.released() for name, network in self.networks.items() if isinstance(network, TrainableNetwork)
        }
        banks = tuple(self.mixture.tables(channel) for channel in range(CHANNELS))
        return LosslessModel(config=self.config.windows, networks=networks, banks=banks, origin=origin)
