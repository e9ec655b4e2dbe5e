"""The networks around the entropy coder: the hyper analysis, and the mean path with its two checkerboard passes.

    y * gain  B M H/16 W/16 ──► hyper analysis ──► z  B Z H/64 W/64        (encoder only)
    z_hat ──► features  B F H/16 W/16 ──► first pass:  mean of the even elements
                                     └──► second pass: mean of the odd ones, which also sees the even ones decoded

The mean is a float and decides no bit. A symbol is round(y - mean), and the exact sigma path chooses the zero-mean
table that codes it. Element (c, i, j) is even where c + i + j is even. The second pass therefore sees the four
neighbours of an element in its channel, and half of the channels at its position (checkerboard context of He et
al. 2021).
"""

from torch import Tensor, nn

from semcomp.networks.blocks import Block, Down, Pointwise, Up, activation
from semcomp.networks.rate_table import RateTable
from semcomp.networks.synthesis import compand


class HyperAnalysis(nn.Module):
    """h_a: y * gain (B, M, h, w), quality (B,) -> z (B, Z, h/4, w/4), not yet rounded. h and w are multiples of 4."""

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
        z: Tensor = self.head(features)
        return z


class MeanPath(nn.Module):
    """Predicts the mean of y, before the gain, from z_hat and from the even elements of y_hat."""

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
        features: Tensor = self.block1(self.up(activation(self.entry(z_hat) + self.rate(quality))))
        return features

    def first(self, features: Tensor) -> Tensor:
        """Mean of the even elements, (B, M, h, w). The values at odd elements have no meaning."""
        mean: Tensor = self.head1(activation(features)).float()
        return mean

    def second(self, features: Tensor, y_hat_even: Tensor) -> Tensor:
        """Mean of the odd elements, (B, M, h, w). `y_hat_even` is y_hat with zeros at the odd elements."""
        context = self.block2(features + self.context(compand(y_hat_even)))
        mean: Tensor = self.head2(activation(context)).float()
        return mean
