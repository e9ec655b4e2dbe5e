"""What both heads begin with: a stem that reads latents (or, for comparison, pixels), and the block they are made of.

y_hat  B M H/16 W/16, after the inverse gain
stem   B C H/16 W/16, a learned scale and shift for each rate: one head serves every quality
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.warp import warped
from semcomp.networks.blocks import Down, Pointwise, Up, activation_, sum_
from semcomp.networks.rate_table import RateTable
from semcomp.networks.synthesis import compand

MIDDLE = 0.5
"""Taken off pixels of 0..1."""


class Block(nn.Module):
    """Depthwise convolution, normalisation, pointwise MLP, residual (Liu et al. 2022, with batch norm)."""

    def __init__(self, channels: int, *, kernel: int = 5, expansion: int = 3):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels, scale=0.3)

    def forward(self, value: Tensor) -> Tensor:
        return sum_(value, self.project(activation_(self.expand(self.norm(self.depthwise(value))))))


class Context(nn.Module):
    """Depthwise convolutions of several dilations beside each other, merged (after Chen et al. 2017, ASPP)."""

    def __init__(self, channels: int, *, dilations: tuple[int, ...] = (1, 2, 4, 8)):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=d, dilation=d, groups=channels) for d in dilations
        )
        self.norm = nn.BatchNorm2d(channels)
        self.merge = Pointwise(channels, channels)

    def forward(self, value: Tensor) -> Tensor:
        total = self.branches[0](value)
        for branch in self.branches[1:]:
            total = sum_(total, branch(value))
        return sum_(value, self.merge(activation_(self.norm(total))))


def descent(widths: Sequence[int], channels: int, blocks: int = 0) -> nn.Sequential:
    """A block of each width, each on half the grid of the one before, and then `channels` on half the last grid, with
    `blocks` more."""
    steps = zip(widths, (*widths[1:], channels), strict=True)
    layers = [layer for width, after in steps for layer in (Block(width), Down(width, after))]
    return nn.Sequential(*layers, *[Block(channels) for _ in range(blocks)])


class LatentStem(nn.Module):
    """y_hat (B, M, h, w), quality (B,) -> (B, C, h, w).

    Unfolds the latents to a grid that is 2 ** len(widths) times finer, and comes down again. On this grid, a feature is
    equal anywhere in the 16x16 pixels of a position. stem_unfolding.py says how the unfolding is learned; only while it
    learns can it see crops at `places` (warp.draw). With a `rank`, its matrix is the product of two matrices that meet
    in `rank` channels.
    """

    def __init__(
        self,
        latents: int,
        channels: int,
        *,
        widths: Sequence[int],
        nodes: int = 12,
        companded: bool = True,
        rank: int | None = None,
    ):
        super().__init__()
        most = min(latents, widths[0] * 4 ** len(widths))
        if rank is not None and not 0 < rank <= most:
            raise ValueError(f"rank is 1 to {most}, not {rank}: a product of two matrices has no more than the smaller")
        self.companded = companded
        self.reduce: nn.Module = Pointwise(latents, rank) if rank else nn.Identity()
        self.unfold: nn.Module = Up(rank or latents, widths[0], 2 ** len(widths))
        self.rate = RateTable(nodes, 2 * widths[0])
        self.descent = descent(widths, channels)

    def forward(self, y_hat: Tensor, quality: Tensor, places: Tensor | None = None) -> Tensor:
        reduced = self.reduce(self.prepared(y_hat))
        value = self.unfold(reduced) if places is None else self.unfold(reduced, places)
        scale, shift = self.rate(quality).to(value.dtype).chunk(2, 1)
        result: Tensor = self.descent(torch.addcmul(value + shift, value, scale))
        return result

    def prepared(self, y_hat: Tensor) -> Tensor:
        """What is reduced and unfolded."""
        return compand(y_hat) if self.companded else y_hat


class Adapter(nn.Module):
    """y_hat (B, M, h, w), quality (B,) -> (B, C, h, w): what a backbone reads, made of companded latents.

    Blocks at 1/16, with a learned scale and shift for each rate before them. The last layer gives channels of about
    unit variance, which `spread` and `mean` (C,) bring to what the backbone reads.
    """

    spread: Tensor
    mean: Tensor

    def __init__(self, latents: int, channels: int, *, width: int, blocks: int, nodes: int = 12):
        super().__init__()
        self.enter: nn.Module = Pointwise(latents, width)
        self.rate: nn.Module = RateTable(nodes, 2 * width)
        self.blocks = nn.Sequential(*[Block(width, expansion=2) for _ in range(blocks)])
        self.leave = Pointwise(width, channels)
        self.register_buffer("spread", torch.ones(channels))
        self.register_buffer("mean", torch.zeros(channels))

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        value = self.enter(compand(y_hat))
        scale, shift = self.rate(quality).to(value.dtype).chunk(2, 1)
        found: Tensor = self.leave(self.blocks(torch.addcmul(value + shift, value, scale))).float()
        return torch.addcmul(self.mean[:, None, None], found, self.spread[:, None, None])


class PixelStem(nn.Module):
    """x (B, 3, H, W) in [0, 1] -> (B, C, H/16, W/16), for networks that see pixels. Quality is ignored.

    With `places` (warp.draw) it sees the crops there.
    """

    def __init__(self, channels: int, *, widths: Sequence[int], blocks: int = 0):
        super().__init__()
        side = 16 >> len(widths)
        self.patches = nn.Conv2d(3, widths[0], side, stride=side)
        self.descent = descent(widths, channels, blocks)

    def forward(self, x: Tensor, quality: Tensor, places: Tensor | None = None) -> Tensor:
        if places is not None:
            with torch.autocast(x.device.type, enabled=False):  # pixels move in full precision
                x = warped(x, places)
        value: Tensor = self.descent(self.patches(pad_to(x, 16) - MIDDLE))
        return value


def stem(
    source: str,
    *,
    latents: int,
    channels: int,
    widths: Sequence[int],
    nodes: int,
    companded: bool = True,
    rank: int | None = None,
    adapter: int | None = None,
    blocks: int = 0,
) -> nn.Module:
    """The stem of a network that reads `latents` or `pixels`, with a block of each width at 1/4, 1/8 or both, and
    `blocks` at 1/16. For latents with a width `adapter`, these alone."""
    if source == "latents" and adapter:
        return Adapter(latents, channels, width=adapter, blocks=blocks, nodes=nodes)
    if source == "latents":
        return LatentStem(latents, channels, widths=widths, nodes=nodes, companded=companded, rank=rank)
    if source == "pixels":
        return PixelStem(channels, widths=widths, blocks=blocks)
    raise ValueError(f"source is latents or pixels, not {source!r}")


def pad_to(value: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples: (B, C, h, w) -> (B, C, h', w')."""
    bottom, right = -value.shape[2] % multiple, -value.shape[3] % multiple
    return F.pad(value, (0, right, 0, bottom), mode="replicate") if bottom or right else value


@torch.no_grad()
def count(network: nn.Module, *, source: str, latents: int) -> dict[str, float]:
    """Millions of parameters, and thousands of multiply-adds a pixel of the picture, counted by running it."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 256
    value = torch.zeros(1, latents, side // 16, side // 16) if source == "latents" else torch.zeros(1, 3, side, side)
    training = network.training
    with FlopCounterMode(display=False) as counter:
        network.eval()(value, torch.ones(1, dtype=torch.long))
    network.train(training)
    return {
        "parameters_m": sum(p.numel() for p in network.parameters()) / 1e6,
        "kmac_per_px": counter.get_total_flops() / 2 / side**2 / 1000,
    }
