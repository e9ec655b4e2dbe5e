"""Rate and distortion in training.

The likelihoods are CompressAI's. They train the networks; nothing that encodes or decodes imports them. Export replaces
them by integer tables.
"""

from typing import NamedTuple

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from semcomp.networks.model import CodecModel
from semcomp.networks.rate_table import prior_node
from semcomp.networks.rounding import round_half_even
from semcomp.networks.sigma import LOG_STEP, SCALE_MIN, clip_z, scale_table

LIKELIHOOD_FLOOR = 1e-9


class PriorBank(EntropyBottleneck):  # type: ignore[misc]
    """A factorized prior of z (Ballé et al. 2018) for each rate node, evaluated for a batch of mixed nodes at once."""

    def __init__(self, channels: int, nodes: int):
        super().__init__(channels * nodes, init_scale=2)
        self.nodes = nodes
        self.quantiles.requires_grad_(False)
        self._chosen: Tensor | None = None

    def _logits_cumulative(self, inputs: Tensor, stop_gradient: bool) -> Tensor:
        assert not stop_gradient
        logits = inputs
        for layer, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            logits = torch.baddbmm(self._pick(bias), nn.functional.softplus(self._pick(matrix)), logits)
            if layer < len(self.filters):
                logits = logits + torch.tanh(self._pick(self.factors[layer])) * torch.tanh(logits)
        return logits

    def _pick(self, parameter: Tensor) -> Tensor:
        chosen: Tensor = parameter.unflatten(0, (self.nodes, -1))[self._chosen]
        return chosen.flatten(0, 1)

    def forward(self, z: Tensor, node: Tensor) -> Tensor:
        """z (B, Z, h, w), noisy or rounded, node (B,) -> likelihoods of the same shape."""
        self._chosen = node
        likelihood: Tensor = self._likelihood(z.flatten(2).flatten(0, 1)[:, None])[0]
        return likelihood.reshape(z.shape)


class Measured(NamedTuple):
    """Rate and distortion of each image of a batch, (B,)."""

    bpp_y: Tensor
    bpp_z: Tensor
    mse: Tensor
    """Mean squared error on the 0-255 scale."""


class Coded(NamedTuple):
    """The latents of a batch between analysis and synthesis, (B, M, h, w) except z."""

    y_scaled: Tensor
    """y after the gain; 0 where nothing is kept."""
    mean: Tensor
    """The mean that is subtracted before rounding, with the gain applied."""
    index: Tensor  # type: ignore[assignment]
    """Table numbers."""
    z: Tensor
    """z, (B, Z, h/4, w/4), not rounded."""
    y_hat: Tensor
    """y_hat after the inverse gain."""


class Objective(nn.Module):
    """Codec plus likelihoods: (x, quality) -> rate and distortion of each sample."""

    def __init__(self, codec: CodecModel, *, skip_below: int):
        super().__init__()
        self.codec = codec
        self.prior = PriorBank(codec.config.hyper, codec.config.nodes)
        self.gaussian = GaussianConditional(scale_table().tolist())
        self.skip_below = skip_below

    def forward(self, x: Tensor, quality: Tensor, rounded: bool = False) -> Measured:
        """Rate and distortion of a batch: `measure` without the latents."""
        return self.measure(x, quality, rounded)[0]

    def encode(self, x: Tensor, quality: Tensor, keep: Tensor | None = None) -> Coded:
        """x (B, 3, H, W) in [0, 1], quality (B,) int64, keep bool (B, 1, H/16, W/16) or None -> latents, rounded."""
        codec = self.codec
        y_scaled = codec.analysis(x) * codec.gain(quality)
        if keep is not None:
            y_scaled = torch.where(keep, y_scaled, 0.0)
        z = codec.hyper_analysis(y_scaled, quality).float()
        z_hat = clip_z(z)
        index = codec.sigma_path(z_hat, quality)
        coded = index >= self.skip_below
        if keep is not None:
            coded = coded & keep

        mean = torch.zeros_like(y_scaled)

        def residual(part: Tensor, mask: Tensor) -> Tensor:
            nonlocal mean
            mean = torch.where(mask, part, mean)
            return torch.where(mask & coded, round_half_even(y_scaled - part), 0.0)

        y_hat = codec.two_passes(z_hat, quality, residual, keep)
        return Coded(y_scaled, mean, index, z, y_hat)

    def measure(
        self, x: Tensor, quality: Tensor, rounded: bool = False, keep: Tensor | None = None
    ) -> tuple[Measured, Tensor]:
        """Rate and distortion of a batch, and y_hat (B, M, H/16, W/16). Shapes are as for `encode`.

        The rate counts values with additive noise (Ballé et al. 2017), or the integers themselves with `rounded`.
        The reconstruction always sees rounded values. With `keep`, elements outside cost nothing, and the distortion
        counts only what is kept.
        """
        codec = self.codec
        y_scaled, mean, index, z, y_hat = self.encode(x, quality, keep)
        x_hat = codec.synthesis(y_hat, quality)

        with torch.autocast(x.device.type, enabled=False):
            y_rate = self._for_rate(y_scaled - mean, rounded)
            sigma = SCALE_MIN * torch.exp(LOG_STEP * index)
            likelihood_y = self.gaussian._likelihood(y_rate, sigma)
            likelihood_z = self.prior(self._for_rate(z, rounded), prior_node(quality, codec.config.nodes))
            error = (x_hat - x).square().mean(1, keepdim=True) * 255**2
            if keep is None:
                mse = error.mean((1, 2, 3))
            else:
                shown = keep.float().repeat_interleave(16, 2).repeat_interleave(16, 3)
                mse = (error * shown).sum((1, 2, 3)) / shown.sum((1, 2, 3)).clamp_min(1)
                likelihood_y = torch.where(keep, likelihood_y, 1.0)
        pixels = x.shape[-2] * x.shape[-1]
        return Measured(self._bits(likelihood_y) / pixels, self._bits(likelihood_z) / pixels, mse), y_hat

    @staticmethod
    def _for_rate(value: Tensor, rounded: bool) -> Tensor:
        return round_half_even(value) if rounded else value + torch.rand_like(value) - 0.5

    @staticmethod
    def _bits(likelihood: Tensor) -> Tensor:
        return -torch.log2(likelihood.clamp_min(LIKELIHOOD_FLOOR)).sum((1, 2, 3))

    def loss(self, measured: Measured, quality: Tensor) -> Tensor:
        """Mean over the batch of (R + lmbda D) / sqrt(lmbda): no rate dominates the others."""
        lmbda = self.codec.lmbda(quality)
        return ((measured.bpp_y + measured.bpp_z + lmbda * measured.mse) / lmbda.sqrt()).mean()
