"""Synthesis transform g_s: decoded latents -> image.

y_hat  B M H/16 W/16, after the inverse gain
├─ linear:   M -> 16x16 patches, initialised as the transpose of the analysis' DCT (always float32)
└─ network:  companded y_hat -> C16 blocks at 1/16 -> C8 blocks at 1/8 -> pointwise renderer at 1/4
x_hat  B 3 H W, RGB, about [0, 1], not yet clipped
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.analysis import PATCH, dct_basis
from semcomp.networks.blocks import Block, Patches, Pointwise, Up, activation, activation_
from semcomp.networks.fused import compand_through, from_patches, shuffle_order, trains_here, wide_linear
from semcomp.networks.precision import stored_exactly, stored_fast
from semcomp.networks.rate_table import RateTable


def compand(value: Tensor, *, scale: float = 8.0) -> Tensor:
    """What the networks see of a linear coefficient: small ones at full size, large ones as their square root."""
    if value.requires_grad:
        return compand_through(value, scale)
    value = scale * value
    return value * value.abs().add_(1).rsqrt_()


class Synthesis(nn.Module):
    """g_s: y_hat (B, M, H/16, W/16), quality (B,) -> x_hat (B, 3, H, W), float32."""

    def __init__(
        self,
        *,
        latents: int,
        c16: int,
        c8: int,
        c4: int,
        blocks16: int,
        blocks8: int,
        nodes: int,
        scales: bool = False,
        filters4: int = 0,
        kernel16: int = 3,
    ):
        super().__init__()
        self.reach = blocks16 * (kernel16 // 2) + -(-(2 * blocks8 + filters4) // 4)
        """Receptive field: a 16x16 patch of pixels depends on its position of y_hat and on this many around it."""
        self.linear = Pointwise(latents, 3 * PATCH * PATCH)
        self.linear.weight.data = dct_basis(latents).flatten(1).T.contiguous()
        self.linear.bias.data.fill_(0.5)
        self.entry = Pointwise(latents, c16)
        self.rate = RateTable(nodes, c16)
        self.blocks16 = nn.Sequential(*[Block(c16, kernel=kernel16) for _ in range(blocks16)])
        self.up8 = Up(c16, c8, 2)
        self.blocks8 = nn.Sequential(*[Block(c8) for _ in range(blocks8)])
        self.up4 = Up(c8, c4, 2)
        self.expand = Pointwise(c4, 2 * c4)
        self.render = Up(2 * c4, 3, 4, scale=0.05)
        self.scales16 = RateTable(nodes, 2 * blocks16 * c16, init=1.0) if scales else None
        self.scales8 = RateTable(nodes, 2 * blocks8 * c8, init=1.0) if scales else None
        self.filters4 = nn.ModuleList(nn.Conv2d(c4, c4, 3, padding=1, groups=c4) for _ in range(filters4))

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        features = self.begin(y_hat, quality)
        features = _scaled(self.blocks16, features, self.scales16, quality)  # B C16 H/16 W/16
        features = _scaled(self.blocks8, self.up8(features), self.scales8, quality)  # B C8 H/8 W/8
        return self.finish(y_hat, features)  # B 3 H W

    def prepared(self, device: torch.device) -> "Synthesis":
        """A copy on a device for inference within `fast_pixels`. It gives the same images in less time."""
        copy = deepcopy(self)
        copy.set_submodule("render", Patches(self.render.conv, self.render.factor))
        fast = stored_fast(copy, device)
        fast.set_submodule("linear", stored_exactly(Patches(self.linear, PATCH), device))
        return fast

    def begin(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        """Input of the blocks at 1/16, (B, C16, H/16, W/16)."""
        features: Tensor = self.entry(compand(y_hat)) + self.rate(quality)
        return features

    def finish(self, y_hat: Tensor, features: Tensor, *, refine: nn.Module | None = None) -> Tensor:
        """x_hat (B, 3, H, W) from the output of the blocks at 1/8, (B, C8, H/8, W/8), and from the linear path.

        `refine` changes the features at 1/4 before they are rendered.
        """
        features = self.up4(features)  # B C4 H/4 W/4
        for layer in self.filters4:
            features = features + layer(activation(features))
        if refine is not None:
            features = refine(features)
        features = self.expand(activation_(features))  # B 2*C4 H/4 W/4
        detail = self.render(activation_(features))  # B 3 H W
        narrow = torch.is_autocast_enabled(y_hat.device.type)
        with torch.autocast(y_hat.device.type, enabled=False):
            x_hat: Tensor = self._linear(y_hat.float(), narrow=narrow) + detail.float()
            return x_hat

    def _linear(self, y_hat: Tensor, *, narrow: bool) -> Tensor:
        if not trains_here(self, y_hat):
            layer: nn.Module = self.get_submodule("linear")
            return layer(y_hat) if isinstance(layer, Patches) else F.pixel_shuffle(layer(y_hat), PATCH)
        weight, bias = shuffle_order(self.linear.weight, PATCH), shuffle_order(self.linear.bias, PATCH)
        return from_patches(wide_linear(y_hat, weight, bias, narrow=narrow), PATCH)


def _scaled(blocks: nn.Sequential, features: Tensor, table: RateTable | None, quality: Tensor) -> Tensor:
    """The blocks, their branches scaled by the quality's vectors where there is a table."""
    if table is None:
        result: Tensor = blocks(features)
        return result
    scales = table(quality).to(features.dtype).chunk(2 * len(blocks), 1)
    for number, block in enumerate(blocks):
        features = block(features, scales[2 * number : 2 * number + 2])
    return features
