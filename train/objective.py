"""Rate and distortion in training.

The likelihoods are CompressAI's. They train the networks; nothing that encodes or decodes imports them. Export replaces
them by integer tables.
"""

from typing import NamedTuple

import torch
from compressai.entropy_models import EntropyBottleneck
from torch import Tensor, nn

from semcomp.networks.model import CodecModel
from semcomp.networks.rate_table import prior_node
from semcomp.networks.refine import surprise
from semcomp.networks.rounding import round_half_even
from semcomp.networks.sigma import clip_z, index_of
from semcomp.pipeline.passes import FOUR
from train.fused import gaussian_bits, squared_error
from train.quantizers import Quantizer
from train.quarters import encode_quarters

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
    alive: Tensor | None
    """bool, broadcast over (B, M, h, w): elements that are coded at all. None for all elements."""


class Objective(nn.Module):
    """Codec plus likelihoods: (x, quality) -> rate and distortion of each sample."""

    def __init__(self, codec: CodecModel, *, skip_below: int, quantizer: str = "mixed"):
        super().__init__()
        self.codec = codec
        self.quantizer = Quantizer(quantizer)
        self.prior = PriorBank(codec.config.hyper, codec.config.nodes)
        c = codec.config
        plain = not (c.latents_low or c.width or c.centroid or c.latents % FOUR) and quantizer == "mixed"
        self._in_quarters = c.passes == FOUR and codec.refiner is not None and plain
        self.skip_below = skip_below

    def forward(self, x: Tensor, quality: Tensor, rounded: bool = False) -> Measured:
        """Rate and distortion of a batch: `measure` without the latents."""
        return self.measure(x, quality, rounded)[0]

    def encode(self, x: Tensor, quality: Tensor, keep: Tensor | None = None) -> Coded:
        """x (B, 3, H, W) in [0, 1], quality (B,) int64, keep bool (B, 1, H/16, W/16) or None -> latents, rounded."""
        codec = self.codec
        exists = codec.exists(quality)
        keep = exists if keep is None else keep if exists is None else keep & exists
        y_scaled, z, z_hat, sums = self._begin(x, quality, keep)
        index = index_of(sums)
        gains, features = (codec.gain(quality), codec.inverse_gain(quality)), None
        if codec.config.width:
            features = codec.mean_path.features(z_hat, quality)
            fineness = codec.mean_path.fineness(features)
            y_scaled = y_scaled * fineness
            gains = gains[0] * fineness, gains[1] / fineness
        kept = 1.0 if keep is None else keep.to(y_scaled.dtype)
        mean = torch.zeros_like(y_scaled)
        seen_symbols, seen, number = torch.zeros_like(y_scaled), torch.zeros_like(y_scaled), 0

        def residual(part: Tensor, mask: Tensor) -> Tensor:
            nonlocal index, mean, seen_symbols, seen, number
            share = mask.to(part.dtype)
            if codec.refiner is not None and number:
                signs = surprise(seen_symbols, index.detach(), self._coded(index) * seen * kept, seen)
                index = torch.lerp(index, index_of(codec.refiner(sums, signs, quality, number)), share)
            mean = torch.addcmul(mean, part, share)
            coded = self._coded(index) * share * kept
            symbols = self.quantizer(y_scaled, part, coded)
            seen_symbols, seen, number = seen_symbols + symbols.detach(), seen + share, number + 1
            points: Tensor = symbols if codec.centroid is None else codec.centroid(symbols, index.detach(), quality)
            return points

        y_hat = codec.two_passes(z_hat, quality, residual, keep, gains=gains, features=features)
        return Coded(y_scaled, mean, index, z, y_hat, keep)

    def _begin(self, x: Tensor, quality: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """y after the gain, z, z_hat, and the sums of the sigma path."""
        y_scaled = self._analyse(x, quality) * self.codec.gain(quality)
        if keep is not None:
            y_scaled = torch.where(keep, y_scaled, 0.0)
        z = self.codec.hyper_analysis(y_scaled, quality).float()
        z_hat = clip_z(z)
        return y_scaled, z, z_hat, self.codec.sigma_path.sums(z_hat, quality)

    def _analyse(self, x: Tensor, quality: Tensor) -> Tensor:
        y: Tensor = self.codec.analysis(x, quality if self.codec.config.analysis_rate else None)
        return y

    def _coded(self, index: Tensor) -> Tensor:
        """1.0 where an element is coded."""
        return (index.detach() >= self.skip_below).to(index.dtype)

    def measure(
        self, x: Tensor, quality: Tensor, rounded: bool = False, keep: Tensor | None = None
    ) -> tuple[Measured, Tensor]:
        """Rate and distortion of a batch, and y_hat (B, M, H/16, W/16). Shapes are as for `encode`.

        The rate counts values with additive noise (Ballé et al. 2017), or the integers themselves with `rounded`.
        The reconstruction always sees rounded values. With `keep`, elements outside cost nothing, and the distortion
        counts only what is kept.
        """
        codec = self.codec
        if keep is None and self._in_quarters:
            y_scaled, z, z_hat, sums = self._begin(x, quality, None)
            y_hat, residuals, indices = encode_quarters(self, y_scaled, z_hat, sums, quality)
            alive, batch = None, 1
        else:
            y_scaled, mean, index, z, y_hat, alive = self.encode(x, quality, keep)
            residuals, indices, batch = [y_scaled - mean], [index], 0
        x_hat = codec.synthesis(y_hat, quality)

        with torch.autocast(x.device.type, enabled=False):
            rounded = self.quantizer.rounds_rate(rounded)
            y_rates = [self._for_rate(residual, rounded) for residual in residuals]
            likelihood_z = self.prior(self._for_rate(z, rounded), prior_node(quality, codec.config.nodes))
            if alive is not None:
                # Where nothing is kept, the residual of zero costs nothing in the narrowest table.
                y_rates, indices = ([torch.where(alive, one, 0.0) for one in many] for many in (y_rates, indices))
            parts = [gaussian_bits(*pair, batch=batch) for pair in zip(y_rates, indices, strict=True)]
            bits = torch.stack(parts).sum(0)
            share = torch.ones_like(quality)
            if keep is not None:
                shown = keep.float().repeat_interleave(16, 2).repeat_interleave(16, 3)
                share = shown.mean((1, 2, 3)).clamp_min(1 / shown[0].numel())
                x_hat, x = x_hat * shown, x * shown
            mse = squared_error(x_hat, x) / share
        pixels = x.shape[-2] * x.shape[-1]
        return Measured(bits / pixels, self._bits(likelihood_z) / pixels, mse), y_hat

    def unquantized(self, x: Tensor, quality: Tensor) -> Tensor:
        """x_hat when nothing is rounded: what is lost here, the transform loses."""
        codec = self.codec
        y = self._analyse(x, quality) * codec.gain(quality) * codec.inverse_gain(quality)
        exists = codec.exists(quality)
        y = y if exists is None else torch.where(exists, y, 0.0)
        x_hat: Tensor = codec.synthesis(y, quality)
        return x_hat

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
