"""The segmenter: latents -> class scores at a quarter of the picture's resolution.

stem     B C H/16 W/16 ─ block ──────────────────────────── + ─ block ─ shuffle ─► 1/4 ─ depthwise ─► logits
                            └─ 1/32: blocks, context ─ shuffle ─┘
logits   B K H/4 W/4
"""

from dataclasses import dataclass

from torch import Tensor, nn

from heads import backbone
from heads.layers import Block, Context, pad_to, stem
from semcomp.networks.blocks import Down, Pointwise, Up, activation_
from semcomp.semantics.upsample import FINE


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """Sizes of the network."""

    classes: int = 2
    latents: int = 320
    """M of the codec."""
    nodes: int = 12
    """Rate nodes of the stem's scale and shift."""
    fine: tuple[int, ...] = (16, 36)
    """Channels of the stem's blocks, each at half the grid of the one before; the last is at 1/8."""
    width16: int = 128
    blocks16: tuple[int, ...] = (0, 1)
    """Number of blocks at 1/16, before and after the coarse grid."""
    width32: int = 256
    blocks32: tuple[int, ...] = (1, 1)
    """Number of blocks at 1/32, before and after the context."""
    width4: int = 24
    rank: int | None = None
    """Channels in which the two matrices meet that unfold latents; None for one matrix."""
    companded: bool = True
    """Read latents through a square root, as the codec's own networks do; else as they are."""
    source: str = "latents"
    """latents, or pixels for a network to compare with."""
    backbone: str | None = None
    """efficientnet-lite2 for its stages at 1/16 and 1/32, before the blocks around the context. `width16` and `width32`
    are then 120 and 352, and the first number of `blocks16` counts the stem's: an adapter's, or with source "pixels"
    blocks of 88 channels."""
    adapter: int = 256
    """Channels of the blocks that make of latents what a backbone reads. `fine`, `rank` and `companded` are then not
    used."""

    def __post_init__(self) -> None:
        if self.backbone is not None:
            backbone.check(self.backbone, (self.width16, self.width32))


class SegmenterNetwork(nn.Module):
    """y_hat (B, M, h, w), quality (B,) -> logits (B, K, 4h, 4w). With source "pixels", x (B, 3, H, W) instead."""

    def __init__(self, config: SegmenterConfig):
        super().__init__()
        self.config = c = config
        before16, after16 = c.blocks16
        before32, after32 = c.blocks32
        reads = backbone.READS if c.backbone else c.width16
        self.stem = stem(
            c.source,
            latents=c.latents,
            channels=reads,
            widths=c.fine,
            nodes=c.nodes,
            companded=c.companded,
            rank=c.rank,
            adapter=c.adapter if c.backbone else None,
            blocks=before16 if c.backbone else 0,
        )
        around: list[nn.Module] = [
            *[Block(c.width32) for _ in range(before32)],
            Context(c.width32),
            *[Block(c.width32) for _ in range(after32)],
        ]
        self.around: nn.Module = nn.Identity()
        if c.backbone:
            self.before = nn.Sequential(*backbone.stages16())
            self.down, *deep = backbone.stages32()
            self.coarse, self.around = nn.Sequential(*deep), nn.Sequential(*around)
        else:
            self.before = nn.Sequential(*[Block(c.width16) for _ in range(before16)])
            self.down, self.coarse = Down(c.width16, c.width32), nn.Sequential(*around)
        self.up16 = Up(c.width32, c.width16, 2)
        self.after = nn.Sequential(*[Block(c.width16) for _ in range(after16)])
        self.norm = nn.BatchNorm2d(c.width16)
        self.up4 = Up(c.width16, c.width4, 16 // FINE)
        self.depthwise = nn.Conv2d(c.width4, c.width4, 3, padding=1, groups=c.width4)
        self.mix = Pointwise(c.width4, c.width4)
        self.logits = Pointwise(c.width4, c.classes)

    def forward(self, value: Tensor, quality: Tensor) -> Tensor:
        return self._grids(self.stem(value, quality))[0]

    def last_layers(self) -> list[nn.Module]:
        """List the layers that learn first after a start from a trunk."""
        return [self.after, self.norm, self.up4, self.depthwise, self.mix, self.logits]

    def features(self, value: Tensor, quality: Tensor) -> Tensor:
        """Compute the mean over the coarse grid: (B, C)."""
        fine = self.before(self.stem(value, quality))
        features: Tensor = self.around(self.coarse(self.down(pad_to(fine, 2)))).mean((2, 3))
        return features

    @property
    def feature_width(self) -> int:
        """Number of features."""
        return self.config.width32

    def with_features(self, value: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits and the features (B, C) in one run."""
        logits, _, coarse = self._grids(self.stem(value, quality))
        return logits, coarse.mean((2, 3))

    @property
    def grid_width(self) -> int:
        """Channels of the grid that `after_stem` returns."""
        return self.config.width32

    def after_stem(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Run the rest of the network on what the stem gives (B, C, h, w).

        Returns:
            The logits, and the features at 1/32 (B, C, h/2, w/2) that they come from, which a teacher may guide.
        """
        return self._grids(fine)[:2]

    def taught(self) -> list[nn.Module]:
        """List the layers of the backbone, from the first to the last."""
        layers = [*self.before, self.down, *self.coarse]
        return [layer for layer in layers if isinstance(layer, backbone.InvertedResidual)]

    def _grids(self, fine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits, and the grid at 1/32 without and with what is around each position."""
        fine = self.before(fine)
        rows, columns = fine.shape[2:]
        guided = self.coarse(self.down(pad_to(fine, 2)))
        coarse = self.around(guided)
        value = self.after(fine + self.up16(coarse)[..., :rows, :columns])
        value = self.up4(self.norm(value))
        return self.logits(value + self.mix(activation_(self.depthwise(value)))), guided, coarse
