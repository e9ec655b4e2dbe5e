"""What surrounds the coder: the hyper analysis, and the mean path with its two checkerboard passes.

    y, scaled by the gain  B M H/16 W/16 ──► hyper analysis ──► z  B Z H/64 W/64        (encoder only)
    z_hat ──► features  B F H/16 W/16 ──► first pass:  mean of the even elements
                                     └──► second pass: mean of the odd ones, which also sees the even ones decoded

The mean is float and decides no bit: a symbol is round(y - mean), coded with a zero-mean table that the exact
sigma path chose. Element (c, i, j) is even when c + i + j is, so the second pass sees all four neighbours of an
element in its own channel and half of the channels at its own place (after He et al. 2021, checkerboard context).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from semcomp.blocks import Block, Down, Pointwise, Up, activation
from semcomp.quantize import RateTable
from semcomp.synthesis import compand

KEPT = 1 << 20
"""Elements of the largest checkerboard that is kept: bytes."""


class HyperAnalysis(nn.Module):
    """h_a. y times gain (B, M, h, w), h and w multiples of 4, quality (B,) -> z (B, Z, h/4, w/4), not rounded."""

    def __init__(self, *, latents: int, width: int, hyper: int, nodes: int):
        super().__init__()
        self.entry = Pointwise(latents, width)
        self.rate = RateTable(nodes, width)
        self.down1 = Down(width, width)
        self.block = Block(width)
        self.down2 = Down(width, width)
        self.head = Pointwise(width, hyper)

    def forward(self, y_scaled: Tensor, quality: Tensor) -> Tensor:
        features = activation(self.entry(compand(y_scaled, scale=1.0)) + self.rate(quality))
        features = self.block(self.down1(features))     # B width h/2 w/2
        features = activation(self.down2(features))     # B width h/4 w/4
        return self.head(features)


class MeanPath(nn.Module):
    """z_hat and the first half of y_hat -> the mean of y, before the gain."""

    def __init__(
        self, *, latents: int, width: int, hyper: int, nodes: int, passes: int = 2, widths: bool = False
    ):
        super().__init__()
        self.entry = nn.Conv2d(hyper, width, 3, padding=1)
        self.rate = RateTable(nodes, width)
        self.up = Up(width, width, 4)
        self.block1 = Block(width)
        self.head1 = Pointwise(width, latents, scale=0.05)
        self.context = Pointwise(latents, width)
        self.block2 = Block(width)
        self.head2 = Pointwise(width, latents, scale=0.05)
        self.later = nn.ModuleList(Pointwise(width, latents, scale=0.05) for _ in range(passes - 2))
        self.step = nn.Parameter(torch.zeros(passes - 2, width)) if passes > 2 else None
        self.widths = Pointwise(width, latents, scale=0.05) if widths else None

    def features(self, z_hat: Tensor, quality: Tensor) -> Tensor:
        """z_hat (B, Z, h/4, w/4) -> (B, F, h, w)."""
        return self.block1(self.up(activation(self.entry(z_hat) + self.rate(quality))))

    def first(self, features: Tensor) -> Tensor:
        """Mean of the even elements (B, M, h, w); its odd elements mean nothing."""
        return self.head1(activation(features)).float()

    def second(self, features: Tensor, y_hat_even: Tensor) -> Tensor:
        """Mean of the odd elements (B, M, h, w), given y_hat with its odd elements set to zero."""
        context = self.block2(features + self.context(compand(y_hat_even)))
        return self.head2(activation(context)).float()


    def nth(self, features: Tensor, y_hat: Tensor | None, number: int) -> Tensor:
        """Mean for pass `number` of four, given y_hat of the passes before, zero elsewhere."""
        if y_hat is None:
            return self.first(features)
        context = features + self.context(compand(y_hat))
        if number >= 2:
            assert self.step is not None
            context = context + self.step[number - 2, :, None, None]
        head = self.head2 if number == 1 else self.later[number - 2]
        mean: Tensor = head(activation(self.block2(context)))
        return mean.float()

    def fineness(self, features: Tensor) -> Tensor:
        """Factor on the gain of every element, from 1/2 to 2: (B, M, h, w)."""
        assert self.widths is not None
        factor: Tensor = torch.exp(math.log(2) * torch.tanh(self.widths(activation(features)).float()))
        return factor


def quarters(shape: torch.Size, *, device: torch.device) -> Tensor:
    """The pass of every element, 0..3: uint8 (1, M, h, w), channels-last.

    Within a channel the diagonal neighbours of pass 0 follow in pass 1, then the two others; the channels at one place
    take turns.
    """
    return _kept_quarters(torch.Size(shape[-3:]), device)


@lru_cache(maxsize=8)
def _kept_quarters(shape: torch.Size, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        channel, row, column = (torch.arange(size, device=device) for size in shape)
        place = torch.tensor([[0, 2], [3, 1]], device=device)[row[:, None] % 2, column[None] % 2]
        return ((place[..., None] + channel) % 4).to(torch.uint8).permute(2, 0, 1)[None]


def even_elements(shape: torch.Size, *, device: torch.device) -> Tensor:
    """The checkerboard: bool (1, M, h, w), channels-last, true where c + i + j is even."""
    channel, row, column = (torch.arange(size, device=device) % 2 for size in shape[-3:])
    ways = torch.stack([channel == 0, channel == 1])            # 2 M: where row + column is even, and where it is odd
    return ways[row[:, None] ^ column].permute(2, 0, 1)[None]


@lru_cache(maxsize=8)
def _kept_checkerboard(shape: torch.Size, device: torch.device) -> Tensor:
    with torch.inference_mode(False):       # training may be the next to use it
        return even_elements(shape, device=device)


def checkerboard(shape: torch.Size, *, device: torch.device) -> Tensor:
    """`even_elements`, not to be written to: those of the last few small grids are kept."""
    return _kept_checkerboard(shape[-3:], device) if shape[-3:].numel() <= KEPT else even_elements(shape, device=device)
