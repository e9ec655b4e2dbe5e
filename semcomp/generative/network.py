"""Generator G: decoded latents, and what is known of the picture besides -> a picture that looks real.

    y_hat  B M H/16 W/16, zero where nothing was coded
    guide  B K+1 H/8 W/8, for each class the part of the cell that it covers; the last channel is 1 where no map is
    keep   B 1 H/16 W/16, 1 where y_hat was coded
    fill       latents from map, mask and the latents around them, which take the place of those that were not coded
    the synthesis' layers, with noise, modulation and further blocks behind its blocks at 1/16 and 1/8
    x_hat  B 3 H W, RGB, about [0, 1], not clipped

One network serves global and selective compression (Agustsson et al. 2019), with a label map and without. It is the
synthesis and a few layers more, all of which begin at zero: an untrained generator is the synthesis it was given. The
map and the mask enter as a scale and a shift of every feature (Park et al. 2019, SPADE; without its normalisation,
which would look at a whole picture), the noise by one learned scale a channel (Karras et al. 2019). Where nothing was
coded the synthesis alone would begin with grey: the fill gives it the colours and the coarse shapes that the map and
the neighbourhood make likely.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.generative import guide
from semcomp.networks.blocks import Block, Pointwise, activation_
from semcomp.networks.synthesis import Synthesis, compand


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes of the network. The sizes of its synthesis must be the codec's."""

    classes: int
    """K, of the label maps that guide it."""
    latents: int = 320
    c16: int = 256
    c8: int = 96
    c4: int = 32
    blocks16: int = 2
    blocks8: int = 2
    nodes: int = 12
    more16: int = 0
    """Blocks at 1/16 beyond the synthesis'."""
    more8: int = 3
    """Blocks at 1/8 beyond the synthesis'."""
    more4: int = 1
    """Blocks at 1/4, where the synthesis has none."""
    guide: int = 64
    """Hidden channels of a modulation."""
    fill: int = 128
    """Channels of the fill."""
    blocks_fill: int = 3


class Noise(nn.Module):
    """Adds noise of one learned scale a channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, value: Tensor, noise: Tensor) -> Tensor:
        return value + self.scale * noise


class Modulation(nn.Module):
    """A scale and a shift of every feature at every position, from map and mask. Reaches one position to each side."""

    def __init__(self, conditions: int, hidden: int, channels: int):
        super().__init__()
        self.entry = Pointwise(conditions, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = Pointwise(hidden, 2 * channels)
        _zero(self.project)

    def forward(self, value: Tensor, condition: Tensor) -> Tensor:
        hidden = activation_(self.depthwise(activation_(self.entry(condition))))
        scale, shift = self.project(hidden).chunk(2, 1)
        modulated: Tensor = value * (1 + scale) + shift
        return modulated


class Fill(nn.Module):
    """Latents for what was not coded: (B, M, h, w), condition (B, K+2, h, w), keep -> the latents with it, float32."""

    def __init__(self, latents: int, conditions: int, hidden: int, blocks: int):
        super().__init__()
        self.entry = Pointwise(latents + conditions, hidden)
        self.blocks = nn.Sequential(*[Block(hidden, kernel=5) for _ in range(blocks)])
        self.project = Pointwise(hidden, latents)
        self.reach = 2 * blocks
        _zero(self.project)

    def forward(self, y_hat: Tensor, condition: Tensor, keep: Tensor) -> Tensor:
        features = self.blocks(self.entry(torch.cat([compand(y_hat), condition], 1)))
        filled: Tensor = y_hat + (1 - keep) * self.project(activation_(features)).float()
        return filled


class Generator(nn.Module):
    """G. y_hat (B, M, h, w), quality (B,), guide (B, K+1, 2h, 2w), keep (B, 1, h, w), noise -> x_hat, float32."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = c = config
        self.synthesis = Synthesis(
            latents=c.latents, c16=c.c16, c8=c.c8, c4=c.c4, blocks16=c.blocks16, blocks8=c.blocks8, nodes=c.nodes
        )
        self.noise16, self.noise8 = Noise(c.c16), Noise(c.c8)
        self.modulation16 = Modulation(c.classes + 2, c.guide, c.c16)
        self.modulation8 = Modulation(c.classes + 2, c.guide, c.c8)
        self.fill = Fill(c.latents, c.classes + 2, c.fill, c.blocks_fill)
        self.more16 = nn.Sequential(*[Block(c.c16) for _ in range(c.more16)])
        self.more8 = nn.Sequential(*[Block(c.c8) for _ in range(c.more8)])
        self.more4 = nn.Sequential(*[Block(c.c4) for _ in range(c.more4)])
        for block in (*self.more16, *self.more8, *self.more4):
            _zero(block.merge)
            _zero(block.project)
        finer = (2 * (c.blocks8 + c.more8 + 1) + c.more4 + 3) // 4
        self.reach = self.fill.reach + c.blocks16 + c.more16 + 1 + finer
        """Positions around its own that decide a 16x16 patch of pixels."""

    def forward(
        self, y_hat: Tensor, quality: Tensor, guide: Tensor, keep: Tensor, noise: tuple[Tensor, Tensor]
    ) -> Tensor:
        """`noise` holds planes (1 or B, C16, h, w) and (1 or B, C8, 2h, 2w), see `draw_noise`."""
        condition16 = self.coarse(guide, keep)
        condition8 = torch.cat([guide, F.interpolate(keep, scale_factor=2, mode="nearest")], 1)
        s, y_hat = self.synthesis, self.fill(y_hat, condition16, keep)
        features = self.noise16(s.blocks16(s.begin(y_hat, quality)), noise[0])  # B C16 H/16 W/16
        features = self.more16(self.modulation16(features, condition16))
        features = self.noise8(s.blocks8(s.up8(features)), noise[1])  # B C8 H/8 W/8
        features = self.more8(self.modulation8(features, condition8))
        return s.finish(y_hat, features, refine=self.more4)

    @staticmethod
    def coarse(guide: Tensor, keep: Tensor) -> Tensor:
        """The condition at 1/16: (B, K+2, h, w)."""
        return torch.cat([F.avg_pool2d(guide, 2), keep], 1)

    def draw_noise(self, batch: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Standard normal planes for `batch` pictures of rows x columns positions, where the weights are.

        They are training's, by torch's global seed; a decoder's come from noise.py.
        """
        device, c = self.noise16.scale.device, self.config
        coarse = torch.randn(batch, c.c16, rows, columns, device=device)
        return coarse, torch.randn(batch, c.c8, 2 * rows, 2 * columns, device=device)


def _zero(layer: Pointwise) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def guide_planes(label_map: Tensor | None, *, classes: int, rows: int, columns: int, batch: int = 1) -> Tensor:
    """The `guide` of a generator for each of some label maps int64 (B, H, W), float32 (B, K+1, 2 rows, 2 columns).

    None is `batch` pictures without a map; see guide.py.
    """
    maps = [None] * batch if label_map is None else list(label_map.numpy())
    planes = [guide.guide_planes(one, classes=classes, rows=rows, columns=columns) for one in maps]
    return torch.from_numpy(np.concatenate(planes))


@torch.no_grad()
def kmac_per_pixel(config: GeneratorConfig) -> float:
    """Thousands of multiply-adds a pixel, counted by running it on 256x256 pixels of no content."""
    from torch.utils.flop_counter import FlopCounterMode

    network, positions = Generator(config), 16
    y_hat = torch.zeros(1, config.latents, positions, positions)
    guide = guide_planes(None, classes=config.classes, rows=positions, columns=positions)
    keep = torch.ones(1, 1, positions, positions)
    noise = network.draw_noise(1, positions, positions)
    with FlopCounterMode(display=False) as counter:
        network(y_hat, torch.ones(1, dtype=torch.long), guide, keep, noise)
    return float(counter.get_total_flops()) / 2 / (16 * positions) ** 2 / 1000
