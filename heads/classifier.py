"""The classifier: latents -> scores of a picture's classes.

stem     B C0 H/16 W/16
stages   blocks at 1/16, 1/32 and 1/64, each step a 2x2 convolution of stride 2
logits   B K, from the mean over the last grid
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heads import backbone
from heads.layers import Block, Context, pad_to, stem
from semcomp.networks.blocks import Down

PUBLISHED = 64
"""Positions of the last grid for which the backbone's classifier was published: 8x8 for 260x260 pixels."""


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Sizes of the network."""

    classes: int = 2
    latents: int = 320
    """M of the codec."""
    nodes: int = 12
    """Rate nodes of the stem's scale and shift."""
    fine: tuple[int, ...] = (24, 48)
    """Channels of the stem's blocks, each at half the grid of the one before; the last is at 1/8."""
    widths: tuple[int, ...] = (144, 256, 384)
    """Channels at 1/16, 1/32, 1/64."""
    blocks: tuple[int, ...] = (0, 2, 1)
    context: int | None = None
    """Number of blocks at 1/32 after which dilated convolutions look around, as in a segmenter; None for none."""
    dropout: float = 0.2
    rank: int | None = None
    """Channels in which the two matrices meet that unfold latents; None for one matrix."""
    companded: bool = True
    """Read latents through a square root, as the codec's own networks do; else as they are."""
    source: str = "latents"
    """latents, or pixels for a network to compare with."""
    backbone: str | None = None
    """efficientnet-lite2 for its stages. `widths` are then 120, 352 and, for its last layer too, 1280. The first number
    of `blocks` counts the stem's at 1/16: an adapter's, or with source "pixels" blocks of 88 channels."""
    adapter: int = 256
    """Channels of the blocks that make of latents what a backbone reads. `fine`, `rank` and `companded` are then not
    used."""
    spread: float = 0.0
    """Power of the number of positions, relative to PUBLISHED ones, that scores are multiplied by. What a picture shows
    fills a smaller share of a larger grid, and its mean says less of it."""

    def __post_init__(self) -> None:
        backbone.check(self.backbone, tuple(self.widths))
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError(f"widths and blocks are of equal length, two or more, not {self.widths} and {self.blocks}")


class ClassifierNetwork(nn.Module):
    """y_hat (B, M, h, w), quality (B,) -> logits (B, K). With source "pixels", x (B, 3, H, W) instead."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = c = config
        self.stem = stem(
            c.source,
            latents=c.latents,
            channels=backbone.READS if c.backbone else c.widths[0],
            widths=c.fine,
            nodes=c.nodes,
            companded=c.companded,
            rank=c.rank,
            adapter=c.adapter if c.backbone else None,
            blocks=c.blocks[0] if c.backbone else 0,
        )
        self.stages, self.downs = _taught(c) if c.backbone else _learning(c)
        self.norm = nn.Identity() if c.backbone else nn.BatchNorm2d(c.widths[-1])
        self.dropout = nn.Dropout(c.dropout)
        self.linear = nn.Linear(c.widths[-1], c.classes)

    def forward(self, value: Tensor, quality: Tensor) -> Tensor:
        return self.after_stem(self.stem(value, quality))[0]

    @property
    def feature_width(self) -> int:
        """Number of features."""
        return self.config.widths[-1]

    def with_features(self, value: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits and the features (B, C) in one run."""
        return self._answer(self._grids(self.stem(value, quality))[-1])

    @property
    def grid_width(self) -> int:
        """Channels of the grid that `after_stem` returns."""
        return self.config.widths[1]

    def after_stem(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Run the rest of the network on what the stem gives (B, C0, h, w).

        Returns:
            The logits, and the features at 1/32 (B, C1, h/2, w/2) that they come from, which a teacher may guide.
        """
        grids = self._grids(fine)
        return self._answer(grids[-1])[0], grids[0]

    def _answer(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """The scores and the features that the last grid gives."""
        features = self.norm(grid).mean((2, 3))
        scores = self.linear(self.dropout(features))
        if self.config.spread:
            positions = torch.ones_like(grid[:, :1], dtype=torch.float32).sum((2, 3))
            scores = scores * (positions / PUBLISHED).pow(self.config.spread)
        return scores, features

    def last_layers(self) -> list[nn.Module]:
        """List the layers that learn first after a start from a trunk."""
        return [self.norm, self.linear]

    def features(self, value: Tensor, quality: Tensor) -> Tensor:
        """Compute what the last layer reads: (B, C)."""
        features: Tensor = self.norm(self._grids(self.stem(value, quality))[-1]).mean((2, 3))
        return features

    def _grids(self, fine: Tensor) -> list[Tensor]:
        """What the stages give at 1/32 and coarser."""
        value, grids = self.stages[0](fine), []
        for down, stage in zip(self.downs, self.stages[1:], strict=True):
            halves = not isinstance(down, backbone.LastLayer)
            value = stage(down(pad_to(value, 2) if halves else value))
            grids.append(value)
        return grids

    def taught(self) -> list[nn.Module]:
        """List the layers of the backbone, from the first to the last."""
        layers = [*self.stages[0].children(), self.downs[0], *self.stages[1].children(), *self.downs[1:]]
        return [layer for layer in layers if isinstance(layer, backbone.InvertedResidual | backbone.LastLayer)]


def _learning(c: ClassifierConfig) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Stages, and what halves the grid between them."""
    stages, downs = nn.ModuleList(), nn.ModuleList()
    for number, (width, blocks) in enumerate(zip(c.widths, c.blocks, strict=True)):
        if number:
            downs.append(Down(c.widths[number - 1], width))
        layers: list[nn.Module] = [Block(width) for _ in range(blocks)]
        if number == 1 and c.context is not None:
            layers.insert(c.context, Context(width))
        stages.append(nn.Sequential(*layers))
    return stages, downs


def _taught(c: ClassifierConfig) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Stages of a backbone, and what halves the grid between them. Its last layer leaves the grid as it is."""
    down, *coarse = backbone.stages32()
    stages = [nn.Sequential(*backbone.stages16()), nn.Sequential(*coarse)]
    downs = [down]
    if len(c.widths) > 2:
        stages.append(nn.Sequential())
        downs.append(backbone.LastLayer())
    return nn.ModuleList(stages), nn.ModuleList(downs)
