"""The networks around the entropy coder: the hyper analysis, and the mean path with its two checkerboard passes.

    y * gain  B M H/16 W/16 ──► hyper analysis ──► z  B Z H/64 W/64        (encoder only)
    z_hat ──► features  B F H/16 W/16 ──► first pass:  mean of the even elements
                                     └──► second pass: mean of the odd ones, which also sees the even ones decoded

`MeanPath` serves training and two passes, `QuarterMeans` the encoder and the decoder of four.

The mean is a float and decides no bit. A symbol is round(y - mean), and the exact sigma path chooses the zero-mean
table that codes it. Element (c, i, j) is even where c + i + j is even. The second pass therefore sees the four
neighbours of an element in its channel, and half of the channels at its position (checkerboard context of He et
al. 2021).
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.blocks import Block, Down, Pointwise, Up, activation, activation_
from semcomp.networks.rate_table import RateTable
from semcomp.networks.synthesis import compand
from semcomp.pipeline.passes import FOUR, Turn, turns

Residual = Callable[[Tensor, int], Sequence[Tensor]]
"""Maps the means of a pass, a quarter with the gain applied, and its number to residuals (a, b, P) for every group."""


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

    def __init__(
        self,
        *,
        latents: int,
        width: int,
        hyper: int,
        nodes: int,
        passes: int = 2,
        widths: bool = False,
        kernel16: int = 3,
    ):
        super().__init__()
        self.entry = nn.Conv2d(hyper, width, 3, padding=1)
        self.rate = RateTable(nodes, width)
        self.up = Up(width, width, 4)
        self.block1 = Block(width)
        self.head1 = Pointwise(width, latents, scale=0.05)
        self.context = Pointwise(latents, width)
        self.block2 = Block(width, kernel=kernel16)
        self.head2 = Pointwise(width, latents, scale=0.05)
        self.later = nn.ModuleList(Pointwise(width, latents, scale=0.05) for _ in range(passes - 2))
        self.step = nn.Parameter(torch.zeros(passes - 2, width)) if passes > 2 else None
        self.widths = Pointwise(width, latents, scale=0.05) if widths else None

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

    def nth(self, features: Tensor, y_hat: Tensor | None, number: int) -> Tensor:
        """Mean for pass `number` of four, (B, M, h, w). `y_hat` holds the passes before, and zeros elsewhere."""
        if y_hat is None:
            return self.first(features)
        context = features + self.context(compand(y_hat))
        if number >= 2:
            assert self.step is not None
            context = context + self.step[number - 2, :, None, None]
        head = self.head2 if number == 1 else self.later[number - 2]
        mean: Tensor = head(activation(self.block2(context))).float()
        return mean

    def fineness(self, features: Tensor) -> Tensor:
        """Factor on the gain of every element, from 1/2 to 2: (B, M, h, w)."""
        assert self.widths is not None
        factor: Tensor = torch.exp(math.log(2) * torch.tanh(self.widths(activation(features)).float()))
        return factor


class QuarterMeans(nn.Module):
    """The four passes of a `MeanPath` over one picture, for inference. It multiplies only what a pass needs.

    Channel c belongs to group c mod 4. A pass decodes each group at one place of every 2x2 block of positions
    (semcomp/pipeline/passes.py), which is a quarter of the elements:

        quarter    4 a b P    by group; a = h / 2 times b = w / 2 positions at its place; P = ceil(M / 4) channels

    Where 4 does not divide M, the last channel of some groups is padding. `MeanPath.nth` multiplies all groups at all
    positions, and the latents of all passes before. Here a pass multiplies its own quarter, and adds what it has
    decoded to the context of the passes after it. The results differ by the rounding of sums. The path's
    convolutions are shared.
    """

    heads: Tensor
    """Weights of the heads, (4 passes, 4 groups, F, P)."""
    head_bias: Tensor
    context: Tensor
    """Weights of the context, (4 groups, P, F)."""
    step: Tensor
    """What the context of the next pass gains beside the latents, (3, 1, 1, F)."""

    def __init__(self, path: MeanPath):
        super().__init__()
        assert path.step is not None
        self.entry, self.rate, self.up = path.entry, path.rate, path.up
        self.block1, self.block2 = path.block1, path.block2
        heads = [path.head1, path.head2, *path.later]
        self.latents = len(path.head1.weight)
        with torch.no_grad():
            steps = torch.cat([path.context.bias[None], F.pad(path.step, (0, 0, 1, 0)).diff(dim=0)])
            parts = {
                "heads": torch.stack([by_group(head.weight).mT for head in heads]),
                "head_bias": torch.stack([by_group(head.bias[:, None]).mT for head in heads]),
                "context": by_group(path.context.weight.T),
                "step": steps[:, None, None],
            }
        for name, value in parts.items():
            self.register_buffer(name, value.detach().contiguous(), persistent=False)

    def forward(
        self,
        z_hat: Tensor,
        quality: Tensor,
        residual: Residual,
        keep: Tensor | None = None,
        *,
        gains: tuple[Tensor, Tensor],
    ) -> Tensor:
        """y_hat (1, M, h, w), channels-last: `CodecModel.two_passes` with residuals by quarters."""
        seen = self.block1(self.up(activation(self.entry(z_hat) + self.rate(quality))))  # 1 F h w
        gain, inverse_gain = (by_group(value[0, :, 0]).mT[:, None] for value in gains)  # 4 1 1 P
        y_hat = torch.empty(1, *seen.shape[-2:], self.latents, device=seen.device).permute(0, 3, 1, 2)
        for number in range(FOUR):
            hidden = activation_(_at_places(self.block2(seen) if number else seen, number))
            mean = _multiplied(hidden, self.heads[number], self.head_bias[number]).float().mul_(gain)
            for own, read in zip(mean, residual(mean, number), strict=True):
                own += read
            decoded = mean.mul_(inverse_gain)
            if keep is not None:
                decoded.masked_fill_(~_at_places(keep, number), 0.0)
            added = _multiplied(compand(decoded), self.context, self.step[number]) if number < FOUR - 1 else None
            for group, (channels, rows, columns) in enumerate(_groups(number)):
                mine = y_hat[0, channels, rows, columns].permute(1, 2, 0)
                mine.copy_(decoded[group, ..., : mine.shape[-1]])
                if added is not None:
                    seen[..., rows, columns] += added[group].permute(2, 0, 1)
        return y_hat


def by_group(values: Tensor) -> Tensor:
    """(M, ...) -> (4, P, ...). Zeros are added where 4 does not divide M."""
    missing = -len(values) % FOUR
    if missing:
        values = torch.cat([values, values.new_zeros(missing, *values.shape[1:])])
    groups: Tensor = values.unflatten(0, (-1, FOUR)).transpose(0, 1)
    return groups


def read_quarters(points: Tensor) -> Residual:
    """Residuals of a decoder.

    Args:
        points: What symbols decode to, around their means, (M, h, w); h and w are even.
    """
    planes = by_group(points).unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # 4 P a 2 b 2
    quarters = planes.permute(0, 3, 5, 2, 4, 1).contiguous()  # 4 2 2 a b P

    def residual(mean: Tensor, number: int) -> list[Tensor]:
        return [quarters[channels.start, rows.start, columns.start] for channels, rows, columns in _groups(number)]

    return residual


@lru_cache(maxsize=FOUR)
def _groups(number: int) -> list[Turn]:
    """`turns` of a pass, in the order of the groups."""
    return sorted(turns(FOUR, number), key=lambda turn: turn[0].start)


def _at_places(plane: Tensor, number: int) -> Tensor:
    """A plane (1, C, h, w) at the place of every group in a pass: a new tensor (4, a, b, C)."""
    by_position = plane[0].permute(1, 2, 0)
    return torch.stack([by_position[rows, columns] for _, rows, columns in _groups(number)])


def _multiplied(quarter: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(4, a, b, in), weights (4, in, out) and a bias (4 or 1, 1, out) -> (4, a, b, out)."""
    product: Tensor = torch.baddbmm(bias, quarter.flatten(1, 2), weight).unflatten(1, quarter.shape[1:3])
    return product
