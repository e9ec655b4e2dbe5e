"""Planes and their 8x8 blocks of DCT coefficients, in torch.

Planes are (B, H, W) with level shift removed, -128..127. Blocks are (B, rows, columns, 64), in rows of the 8x8 block
(not zigzag), with JPEG's scale: the DC coefficient is 8 times the mean. One plane has 8 rows x 8 columns pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.imaging.transforms import TO_RGB, TO_YCC, square_dct

SIDE = 8
"""Pixels on the side of a block."""
COEFFICIENTS = SIDE * SIDE
WINDOW = 16
"""Pixels on the side of a window: a block and half a block around it."""


_MATRIX = torch.from_numpy(square_dct(SIDE, SIDE))
_WINDOWS = {kept: torch.from_numpy(square_dct(WINDOW, kept)).view(-1, 1, WINDOW, WINDOW) for kept in (SIDE, WINDOW)}
_TO_YCC, _TO_RGB = torch.from_numpy(TO_YCC).float(), torch.from_numpy(TO_RGB).float()


def to_blocks(planes: Tensor) -> Tensor:
    """(B, H, W) pixels -> (B, H/8, W/8, 64) pixels of each block."""
    batch, height, width = planes.shape
    rows = planes.reshape(batch, height // SIDE, SIDE, width // SIDE, SIDE)
    return rows.transpose(2, 3).reshape(batch, height // SIDE, width // SIDE, COEFFICIENTS)


def from_blocks(blocks: Tensor) -> Tensor:
    """The inverse of `to_blocks`."""
    batch, rows, columns, _ = blocks.shape
    pixels = blocks.reshape(batch, rows, columns, SIDE, SIDE).transpose(2, 3)
    return pixels.reshape(batch, SIDE * rows, SIDE * columns)


def forward_dct(planes: Tensor) -> Tensor:
    """(B, H, W) pixels -> (B, H/8, W/8, 64) coefficients."""
    return to_blocks(planes) @ _MATRIX.T.to(planes.device)


def inverse_dct(blocks: Tensor) -> Tensor:
    """(B, rows, columns, 64) coefficients -> (B, 8 rows, 8 columns) pixels."""
    return from_blocks(blocks @ _MATRIX.to(blocks.device))


def window_dct(planes: Tensor, kept: int) -> Tensor:
    """Coefficients of the windows around all blocks: (B, H, W) -> (B, H/8, W/8, kept * kept). `kept` is 8 or 16."""
    margin = (WINDOW - SIDE) // 2
    padded = F.pad(planes[:, None], (margin, margin, margin, margin), mode="replicate")
    return F.conv2d(padded, _WINDOWS[kept].to(planes.device), stride=SIDE).permute(0, 2, 3, 1)


def enlarge(planes: Tensor, factors: tuple[int, int]) -> Tensor:
    """Upsample planes smoothly by (vertical, horizontal) factors: a triangle filter, as decoders of JPEG use."""
    if factors == (1, 1):
        return planes
    scales = (float(factors[0]), float(factors[1]))
    return F.interpolate(planes[:, None], scale_factor=scales, mode="bilinear", align_corners=False)[:, 0]


def shrink(planes: Tensor, factors: tuple[int, int]) -> Tensor:
    """Downsample planes by (vertical, horizontal) factors: each value is a mean, as encoders of JPEG make it."""
    return planes if factors == (1, 1) else F.avg_pool2d(planes[:, None], factors)[:, 0]


def repeat(planes: Tensor, factors: tuple[int, int]) -> Tensor:
    """Upsample planes by copying each value. `shrink` inverts it exactly."""
    for axis, factor in zip((1, 2), factors, strict=True):
        if factor > 1:
            planes = planes.repeat_interleave(factor, axis)
    return planes


def rgb_to_planes(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..255 -> Y - 128, Cb - 128, Cr - 128 of JFIF, (B, 3, H, W), not rounded."""
    planes = torch.einsum("oc,bchw->bohw", _TO_YCC.to(rgb.device), rgb)
    return torch.cat([planes[:, :1] - 128, planes[:, 1:]], 1)


def planes_to_rgb(planes: Tensor) -> Tensor:
    """The inverse of `rgb_to_planes`, neither rounded nor clipped."""
    return torch.einsum("oc,bchw->bohw", _TO_RGB.to(planes.device), planes) + 128
