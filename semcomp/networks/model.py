"""The codec network: its configuration, its parts, and the two passes that training, encoder and decoder share.

Shapes: x B 3 H W with H and W multiples of 64; y B M H/16 W/16; z B Z H/64 W/64.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from semcomp.networks.analysis import Analysis
from semcomp.networks.centroid import Centroid
from semcomp.networks.checkerboard import checkerboard, quarter_mask, quarters
from semcomp.networks.hyperprior import HyperAnalysis, MeanPath, QuarterMeans
from semcomp.networks.rate_table import QUALITIES, RateTable, lmbda_of
from semcomp.networks.refine import ScaleRefiner
from semcomp.networks.sigma import SigmaPath
from semcomp.networks.synthesis import Synthesis
from semcomp.pipeline.passes import FOUR
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
    refine_width: int = 0
    """Hidden channels of the refinement of tables by the passes before (semcomp/networks/refine.py); 0 for none. A
    release has it with four passes."""
    passes: int = 2
    """Passes in which the mean is refined: 2 (checkerboard) or 4 (quadtree)."""
    latents_low: int = 0
    """Channels of y that exist at qualities below `latents_all_from`; 0 for all."""
    latents_all_from: int = 61
    analysis_rate: bool = False
    """Tell the analysis the quality, at 1/16. Then one analysis no longer serves every quality."""
    centroid: bool = False
    """Decode a symbol towards the centroid of its interval instead of to its middle (semcomp/networks/centroid.py)."""
    width: bool = False
    """Let z choose the quantisation width of every element, as a float."""
    synthesis_scales: bool = False
    """Scale every residual branch of the synthesis by a vector that the quality chooses."""
    synthesis_filters4: int = 0
    """Depthwise 3x3 layers at 1/4, which see beyond the 16x16 patch."""
    kernel16: int = 3
    """Depthwise kernel at 1/16, of analysis, synthesis and the context of the mean path."""
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
        if self.passes not in (2, 4):
            raise ValueError(f"passes must be 2 or 4, not {self.passes}")
        if self.latents_low > self.latents:
            raise ValueError(f"latents_low must be at most latents, {self.latents}, not {self.latents_low}")

    def only_trained(self) -> list[str]:
        """Fields with a value that encoder and decoder do not support yet. They exist for training runs."""
        unsupported = ("latents_low", "analysis_rate", "width")
        return [name for name in unsupported if getattr(self, name) != getattr(CodecConfig, name)]

    def stored(self) -> dict[str, Any]:
        """The fields as a release stores and hashes them.

        Fields that were added later are left out at their default, so that the ids of earlier releases stay.
        """
        values = asdict(self)
        return {
            name: value for name, value in values.items() if name not in _LATER or value != getattr(CodecConfig, name)
        }


_LATER = (
    "refine_width",
    "passes",
    "latents_low",
    "latents_all_from",
    "analysis_rate",
    "centroid",
    "width",
    "synthesis_scales",
    "synthesis_filters4",
    "kernel16",
)


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
            nodes=c.nodes if c.analysis_rate else 0,
            kernel16=c.kernel16,
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
        self.refiner: ScaleRefiner | None = None
        if c.refine_width:
            self.refiner = ScaleRefiner(
                latents=c.latents, hidden=c.refine_width, nodes=c.nodes, passes=c.passes, sigma_hidden=c.entropy_width
            )
        self.mean_path = MeanPath(
            latents=c.latents,
            width=c.entropy_width,
            hyper=c.hyper,
            nodes=c.nodes,
            passes=c.passes,
            widths=c.width,
            kernel16=c.kernel16,
        )
        self.centroid = Centroid(nodes=c.nodes) if c.centroid else None
        self.synthesis = Synthesis(
            latents=c.latents,
            c16=c.synthesis_c16,
            c8=c.synthesis_c8,
            c4=c.synthesis_c4,
            blocks16=c.synthesis_blocks16,
            blocks8=c.synthesis_blocks8,
            nodes=c.nodes,
            scales=c.synthesis_scales,
            filters4=c.synthesis_filters4,
            kernel16=c.kernel16,
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

    def order(self, shape: torch.Size, *, device: torch.device) -> Tensor:
        """The pass of every element, 0 to `passes` - 1: uint8 (1, M, h, w)."""
        if self.config.passes == 4:
            return quarters(shape, device=device)
        return (~checkerboard(shape, device=device)).to(torch.uint8)

    def exists(self, quality: Tensor) -> Tensor | None:
        """Which channels of y exist at a quality: bool (B, M, 1, 1), or None where all do."""
        c = self.config
        if not c.latents_low:
            return None
        always = torch.arange(c.latents, device=quality.device) < c.latents_low
        return (always | (quality[:, None] >= c.latents_all_from))[:, :, None, None]

    def two_passes(
        self,
        z_hat: Tensor,
        quality: Tensor,
        residual: Callable[[Tensor, Tensor], Tensor],
        keep: Tensor | None = None,
        mean_path: MeanPath | None = None,
        gains: tuple[Tensor, Tensor] | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Both checkerboard passes: y_hat (B, M, h, w), after the inverse gain.

        `residual(mean, mask)` returns the decoded residual of the elements in `mask` around a mean that has the gain
        applied, and anything elsewhere: it quantizes (encoder, training) or hands out what was read (decoder).
        Elements that are not coded have residual zero, on every side. Where `keep` (B, 1, h, w), bool, is false, y_hat
        is zero for both passes. `mean_path` and `gains`, the gain and its inverse, stand in for the model's own,
        and so do `features`, which the mean path takes from z_hat.
        """
        gain, inverse_gain = gains or (self.gain(quality), self.inverse_gain(quality))
        path = self.mean_path if mean_path is None else mean_path
        if features is None:
            features = path.features(z_hat, quality)
        if self.config.passes == 4:
            return self._four_passes(features, residual, keep, path, (gain, inverse_gain))
        mean = path.first(features) * gain
        even = checkerboard(mean.shape, device=mean.device)
        share = even.to(mean.dtype)  # by products: torch.where takes longer
        decoded = mean + residual(mean, even)
        y_hat_even = decoded * inverse_gain * share
        if keep is not None:
            y_hat_even = torch.where(keep, y_hat_even, 0.0)
        mean2 = path.second(features, y_hat_even) * gain
        decoded2 = mean2 + residual(mean2, ~even)
        y_hat = torch.addcmul(y_hat_even, decoded2 * inverse_gain, 1 - share)
        return y_hat if keep is None else torch.where(keep, y_hat, 0.0)

    def _four_passes(
        self,
        features: Tensor,
        residual: Callable[[Tensor, Tensor], Tensor],
        keep: Tensor | None,
        path: MeanPath,
        gains: tuple[Tensor, Tensor],
    ) -> Tensor:
        """`two_passes` over the four groups of `quarters`, with gradients. `QuarterMeans` is faster without them."""
        gain, inverse_gain = gains
        y_hat: Tensor | None = None
        for number in range(FOUR):
            mean = path.nth(features, y_hat, number) * gain
            mask = quarter_mask(mean.shape, number, device=mean.device)
            part = (mean + residual(mean, mask)) * inverse_gain * mask.to(mean.dtype)
            if keep is not None:
                part = torch.where(keep, part, 0.0)
            y_hat = part if y_hat is None else y_hat + part
        assert y_hat is not None
        return y_hat


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
    means = model.two_passes if config.passes == 2 else QuarterMeans(model.mean_path)
    gains = model.gain(quality), model.inverse_gain(quality)
    parts = {
        "analysis": lambda: model.analysis(x, quality if config.analysis_rate else None),
        "hyper": lambda: model.hyper_analysis(y, quality),
        "sigma": lambda: model.sigma_path(z, quality),
        "mean": lambda: means(z, quality, lambda mean, place: mean, gains=gains),
        "synthesis": lambda: model.synthesis(y, quality),
    }
    refiner = model.refiner
    if refiner is not None:
        numbers = range(1, config.passes)
        parts["refine"] = lambda: [refiner(y, y, quality, number) for number in numbers]
    counts = {}
    for name, run in parts.items():
        with FlopCounterMode(display=False) as counter:
            run()  # type: ignore[no-untyped-call]
        counts[name] = counter.get_total_flops() / 2 / side**2 / 1000
    return counts
