"""The codec network: its configuration, its parts, and the two passes that training, encoder and decoder share.

Shapes: x B 3 H W with H and W multiples of 64; y B M H/16 W/16; z B Z H/64 W/64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semcomp.networks.analysis import Analysis
from semcomp.networks.checkerboard import checkerboard
from semcomp.networks.hyperprior import HyperAnalysis, MeanPath
from semcomp.networks.rate_table import QUALITIES, RateTable, lmbda_of
from semcomp.networks.sigma import SigmaPath
from semcomp.networks.synthesis import Synthesis
from semcomp.types import STRIDE_Y as STRIDE_Y
from semcomp.types import STRIDE_Z as STRIDE_Z


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """Sizes of the networks, and the range of rates."""

    latents: int = 320
    """M, channels of y. The energy outside the DCT basis limits PSNR: 256 of the 768 dimensions of a patch reach 41 dB
    on average and 30 dB on the hardest validation photo, 320 dimensions reach 44 and 33 dB."""
    hyper: int = 96
    """Z, channels of z."""
    analysis_c8: int = 128
    analysis_blocks8: int = 2
    analysis_c16: int = 256
    analysis_blocks16: int = 2
    synthesis_c16: int = 256
    synthesis_blocks16: int = 2
    synthesis_c8: int = 96
    synthesis_blocks8: int = 2
    synthesis_c4: int = 32
    entropy_width: int = 192
    """Channels of the hyper analysis, of the mean path, and of the sigma path's hidden layer."""
    nodes: int = 12
    """Number of rate nodes. Each has a gain, a rate vector and a prior of z."""
    lmbda_min: float = 0.0003
    """lmbda of quality 1, for MSE on the 0-255 scale."""
    lmbda_max: float = 0.3
    """lmbda of quality 100."""

    def __post_init__(self) -> None:
        if not 0 < self.lmbda_min < self.lmbda_max:
            raise ValueError(f"0 < lmbda_min < lmbda_max, not {self.lmbda_min} and {self.lmbda_max}")
        if self.nodes < 2:
            raise ValueError(f"nodes must be at least 2, not {self.nodes}")


class CodecModel(nn.Module):
    """All networks of the codec, without probability tables."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = c = config
        self.analysis = Analysis(
            c8=c.analysis_c8,
            c16=c.analysis_c16,
            latents=c.latents,
            blocks8=c.analysis_blocks8,
            blocks16=c.analysis_blocks16,
        )
        self.hyper_analysis = HyperAnalysis(latents=c.latents, width=c.entropy_width, hyper=c.hyper, nodes=c.nodes)
        log_gain = self._theoretical_log_gain()
        self.sigma_path = SigmaPath(
            hyper=c.hyper,
            hidden=c.entropy_width,
            latents=c.latents,
            nodes=c.nodes,
            log_sigma=self._first_guess_of_log_sigma(log_gain),
        )
        self.mean_path = MeanPath(latents=c.latents, width=c.entropy_width, hyper=c.hyper, nodes=c.nodes)
        self.synthesis = Synthesis(
            latents=c.latents,
            c16=c.synthesis_c16,
            c8=c.synthesis_c8,
            c4=c.synthesis_c4,
            blocks16=c.synthesis_blocks16,
            blocks8=c.synthesis_blocks8,
            nodes=c.nodes,
        )
        self.log_gain = RateTable(c.nodes, c.latents, init=log_gain[:, None])
        self.log_inverse_gain = RateTable(c.nodes, c.latents, init=-log_gain[:, None])

    def _theoretical_log_gain(self) -> Tensor:
        """Initial log gain (nodes,). High-rate theory: the best step is sqrt(12 * 2.16 / lmbda) on the 0-255 scale."""
        quality = torch.linspace(1, QUALITIES, self.config.nodes)
        lmbda = lmbda_of(quality, self.config.lmbda_min, self.config.lmbda_max)
        return torch.log(255 / torch.sqrt(12 * 2.16 / lmbda))

    def _first_guess_of_log_sigma(self, log_gain: Tensor) -> Tensor:
        """Initial log sigma (nodes, M). Channels are ordered by frequency, and a photo's spectrum falls with it."""
        rank = torch.arange(self.config.latents) + 1.0
        log_sigma = math.log(1.5) - 0.8 * torch.log(rank) + log_gain[:, None]
        return log_sigma.clamp(math.log(0.15), math.log(100))

    def lmbda(self, quality: Tensor) -> Tensor:
        """Lagrange multiplier (B,) of a quality (B,), for MSE on the 0-255 scale."""
        return lmbda_of(quality, self.config.lmbda_min, self.config.lmbda_max)

    def gain(self, quality: Tensor) -> Tensor:
        """Factor of y before quantization, (B, M, 1, 1)."""
        return torch.exp(self.log_gain(quality))

    def inverse_gain(self, quality: Tensor) -> Tensor:
        """Factor of the quantized y, (B, M, 1, 1). It is learned, and is not exactly 1 / gain."""
        return torch.exp(self.log_inverse_gain(quality))

    def two_passes(
        self,
        z_hat: Tensor,
        quality: Tensor,
        residual: Callable[[Tensor, Tensor], Tensor],
        keep: Tensor | None = None,
        mean_path: MeanPath | None = None,
        gains: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Run both checkerboard passes.

        Args:
            z_hat: Decoded hyper latents (B, Z, h/4, w/4).
            quality: 1..100, (B,).
            residual: `residual(mean, mask)` returns the decoded residual of the elements in `mask` around a mean that
                has the gain applied. It quantizes in training and in the encoder, and returns what was read in the
                decoder. Elements that are not coded have a residual of zero. Elements outside `mask` may be anything.
            keep: bool (B, 1, h, w). Where it is false, y_hat is zero in both passes.
            mean_path: Replaces the model's own mean path.
            gains: Gain and inverse gain, which replace the model's own.

        Returns:
            y_hat (B, M, h, w), after the inverse gain.
        """
        gain, inverse_gain = gains or (self.gain(quality), self.inverse_gain(quality))
        path = self.mean_path if mean_path is None else mean_path
        features = path.features(z_hat, quality)
        mean = path.first(features) * gain
        even = checkerboard(mean.shape, device=mean.device)
        share = even.to(mean.dtype)  # by products: torch.where takes four times as long
        decoded = mean + residual(mean, even)
        y_hat_even = decoded * inverse_gain * share
        if keep is not None:
            y_hat_even = torch.where(keep, y_hat_even, 0.0)
        mean2 = path.second(features, y_hat_even) * gain
        decoded2 = mean2 + residual(mean2, ~even)
        y_hat = torch.addcmul(y_hat_even, decoded2 * inverse_gain, 1 - share)
        return y_hat if keep is None else torch.where(keep, y_hat, 0.0)


@torch.no_grad()
def kmac_per_pixel(config: CodecConfig) -> dict[str, float]:
    """Thousands of multiply-adds per pixel by part, counted on an empty 256x256 image."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 256
    model = CodecModel(config)
    x = torch.zeros(1, 3, side, side)
    y = torch.zeros(1, config.latents, side // STRIDE_Y, side // STRIDE_Y)
    z = torch.zeros(1, config.hyper, side // STRIDE_Z, side // STRIDE_Z)
    quality = torch.ones(1, dtype=torch.long)
    parts = {
        "analysis": lambda: model.analysis(x),
        "hyper": lambda: model.hyper_analysis(y, quality),
        "sigma": lambda: model.sigma_path(z, quality),
        "mean": lambda: model.two_passes(z, quality, lambda mean, mask: mean),
        "synthesis": lambda: model.synthesis(y, quality),
    }
    counts = {}
    for name, run in parts.items():
        with FlopCounterMode(display=False) as counter:
            run()  # type: ignore[no-untyped-call]
        counts[name] = counter.get_total_flops() / 2 / side**2 / 1000
    return counts
