"""Analysis transform g_a: image -> latents y.

    x  B 3 H W, RGB in [0, 1], H and W multiples of 16
    ├─ linear:   16x16 patches -> M, initialised as a DCT of decorrelated colour (always float32)
    └─ network:  8x8 patches -> C8, blocks at 1/8, stride 2 -> C16, blocks at 1/16 -> M
    y  B M H/16 W/16 = linear + network

The analysis does not depend on the quality: its result is quantized at any of them.
"""

import math

import torch
from torch import Tensor, nn

from semcomp.networks.blocks import Block, Down, Pointwise, activation

PATCH = 16


def dct_basis(channels: int) -> Tensor:
    """Orthonormal 16x16 DCT-II of decorrelated colour, lowest frequencies first: (channels, 3, 16, 16).

    Two thirds of the channels are luma. The others are shared by two chroma planes.
    """
    step = torch.arange(PATCH, dtype=torch.float64)
    cosine = math.sqrt(2 / PATCH) * torch.cos(math.pi * (2 * step[None] + 1) * step[:, None] / (2 * PATCH))
    cosine[0] /= math.sqrt(2)
    colour = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    colour /= colour.norm(dim=1, keepdim=True)
    order = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
    luma = min(len(order), channels - channels // 3)
    blue, red = (channels - luma + 1) // 2, (channels - luma) // 2
    wanted = [(0, f) for f in order[:luma]] + [(1, f) for f in order[:blue]] + [(2, f) for f in order[:red]]
    wanted.sort(key=lambda c: (c[1][0] ** 2 + c[1][1] ** 2, c))
    rows = [torch.einsum("c,i,j->cij", colour[c], cosine[u], cosine[v]) for c, (u, v) in wanted]
    return torch.stack(rows).float()


class Analysis(nn.Module):
    """g_a. (B, 3, H, W) in [0, 1] -> y (B, M, H/16, W/16), float32."""

    def __init__(self, *, c8: int, c16: int, latents: int, blocks8: int, blocks16: int):
        super().__init__()
        self.reach = PATCH * (blocks16 + (blocks8 + 1) // 2)
        """Receptive field: a latent depends on its 16x16 patch and on this many pixels around it."""
        self.linear = nn.Conv2d(3, latents, PATCH, stride=PATCH, bias=False)
        self.linear.weight.data = dct_basis(latents)
        self.patches = nn.Conv2d(3, c8, 8, stride=8)
        self.blocks8 = nn.Sequential(*[Block(c8) for _ in range(blocks8)])
        self.down = Down(c8, c16)
        self.blocks16 = nn.Sequential(*[Block(c16) for _ in range(blocks16)])
        self.head = Pointwise(c16, latents, scale=0.05)

    def forward(self, x: Tensor) -> Tensor:
        x = x - 0.5
        features = self.blocks8(self.patches(x))  # B C8 H/8 W/8
        features = self.blocks16(self.down(features))  # B C16 H/16 W/16
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.linear(x.float()) + self.head(activation(features.float()))
            return y
