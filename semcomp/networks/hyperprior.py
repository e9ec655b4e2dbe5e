"""What surrounds the coder: the hyper analysis, and the mean path with its two checkerboard passes.

    y, scaled by the gain  B M H/16 W/16 ──► hyper analysis ──► z  B Z H/64 W/64        (encoder only)
    z_hat ──► features  B F H/16 W/16 ──► first pass:  mean of the even elements
                                     └──► second pass: mean of the odd ones, which also sees the even ones decoded

The mean is float and decides no bit: a symbol is round(y - mean), coded with a zero-mean table that the exact
sigma path chose. Element (c, i, j) is even when c + i + j is, so the second pass sees all four neighbours of an
element in its own channel and half of the channels at its own place (after He et al. 2021, checkerboard context).
"""

from torch import Tensor, nn

from semcomp.networks.blocks import Block, Down, Pointwise, Up, activation
from semcomp.networks.rate_table import RateTable
from semcomp.networks.synthesis import compand


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
        features = self.block(self.down1(features))  # B width h/2 w/2
        features = activation(self.down2(features))  # B width h/4 w/4
        return self.head(features)


class MeanPath(nn.Module):
    """z_hat and the first half of y_hat -> the mean of y, before the gain."""

    def __init__(self, *, latents: int, width: int, hyper: int, nodes: int):
        super().__init__()
        self.entry = nn.Conv2d(hyper, width, 3, padding=1)
        self.rate = RateTable(nodes, width)
        self.up = Up(width, width, 4)
        self.block1 = Block(width)
        self.head1 = Pointwise(width, latents, scale=0.05)
        self.context = Pointwise(latents, width)
        self.block2 = Block(width)
        self.head2 = Pointwise(width, latents, scale=0.05)

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
