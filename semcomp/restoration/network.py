"""The network that restores the coefficients of JPEG files, and the cell in which its answer stays.

    B  pictures       R, C  rows and columns of luma's 8x8 blocks
    coefficients of luma and of both chroma planes, enlarged to luma's grid, and of the windows of 16x16 pixels
    around the blocks                                                                              (B, R, C, 578)
      ─ stem ─► trunk (B, K, R, C) ─ blocks, scaled by the quantisation tables ─► head ─► corrections (B, R, C, 192)

A JPEG file tells of every coefficient the cell that it was in: within half a step of the stored value. The correction
is clipped to the cell (Projection onto it: Zakhor 1992), so the answer is one of the pictures that the file was made
of. A chroma plane that was subsampled is corrected at luma's resolution: its means are then moved into their cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semcomp.jpeg.layout import MARGIN
from semcomp.networks.blocks import Block, Pointwise, activation, activation_
from semcomp.restoration.transform import (
    COEFFICIENTS,
    SIDE,
    WINDOW,
    enlarge,
    forward_dct,
    inverse_dct,
    repeat,
    shrink,
    window_dct,
)

PLANES = 3
FEATURES = PLANES * COEFFICIENTS + WINDOW * WINDOW + 2 * COEFFICIENTS + 2
"""Input channels: coefficients of the blocks, of luma's windows and of both chroma windows (the lowest quarter), and
where in its chroma block a luma block is."""
CONDITIONS = PLANES * COEFFICIENTS + 3
"""Conditions: the logarithm of every step, the logarithms of the subsampling factors, and whether there is colour."""


@dataclass(frozen=True, kw_only=True)
class RestorerConfig:
    """Sizes of the network."""

    channels: int = 160
    """Channels of the trunk."""
    blocks: int = 4
    """Blocks of the trunk."""
    kernel: int = 3
    """Side of the depthwise kernels, in 8x8 blocks."""
    condition: int = 128
    """Hidden units of the network that reads the quantisation tables."""

    def __post_init__(self) -> None:
        if min(self.channels, self.blocks, self.condition) < 1 or self.kernel % 2 != 1:
            raise ValueError(f"channels, blocks and condition must be positive and kernel odd, not {self}")


@dataclass(frozen=True, kw_only=True)
class StoredPlanes:
    """What files of one size and one subsampling tell of their pictures."""

    coefficients: tuple[Tensor, ...]
    """Stored values times steps, (B, rows, columns, 64), of luma alone or of luma, Cb and Cr."""
    steps: Tensor
    """Quantisation steps, (B, 1 or 3, 64)."""
    factors: tuple[int, int] = (1, 1)
    """How many (rows, columns) of luma share one value of chroma."""

    @property
    def is_grey(self) -> bool:
        return len(self.coefficients) == 1

    def limits(self, plane: int) -> Tensor:
        """Largest corrections of the coefficients of a plane, (B, 1, 1, 64)."""
        steps = self.steps[:, plane, None, None]
        return steps / 2 - (steps / 8).clamp(max=MARGIN)


def typical_sizes(side: int, kept: int) -> tuple[Tensor, Tensor]:
    """Standard deviations of the lowest coefficients of photos, luma's and chroma's, (kept * kept,) each.

    They were measured with blocks of 8 on CID22's training part, then smoothed. The DC of a larger square is larger.
    """
    place = torch.arange(kept) * (SIDE / side)
    square = (place[:, None] ** 2 + place**2).reshape(-1)
    square[0] = 1
    luma, chroma = 128 * square**-0.79, 27 * square**-0.84
    luma[0], chroma[0] = 590 * side / SIDE, 115 * side / SIDE
    return luma, chroma


class Trunk(nn.Module):
    """All that grows with the picture: features (B, 578, R, C) -> answers (B, 192, R, C)."""

    def __init__(self, config: RestorerConfig):
        super().__init__()
        self.stem = Pointwise(FEATURES, config.channels)
        self.blocks = nn.ModuleList(Block(config.channels, kernel=config.kernel) for _ in range(config.blocks))
        self.head = Pointwise(config.channels, PLANES * COEFFICIENTS, scale=0.1)

    def forward(self, features: Tensor, scales: Sequence[Tensor]) -> Tensor:
        """`scales` are a shift of the trunk, then two factors less 1 for each block, (B, K) each."""
        stem = self.stem(features)
        shift, *factors = (scale[..., None, None].to(stem.dtype) for scale in scales)
        trunk = stem + shift
        for first, second, block in zip(factors[::2], factors[1::2], self.blocks, strict=True):
            trunk = block(trunk, (1 + first, 1 + second))
        answer: Tensor = self.head(activation_(trunk))
        return answer


class Restorer(nn.Module):
    """Corrects the coefficients of a picture. `forward` returns planes of pixels."""

    def __init__(self, config: RestorerConfig | None = None):
        super().__init__()
        self.config = config = config or RestorerConfig()
        outputs = PLANES * COEFFICIENTS
        self.sizes_out = (FEATURES, outputs, config.channels, *([config.channels] * (2 * config.blocks)))
        self.read_steps = nn.Linear(CONDITIONS, config.condition)
        self.step_scales = nn.Linear(config.condition, sum(self.sizes_out))
        nn.init.zeros_(self.step_scales.weight)
        nn.init.zeros_(self.step_scales.bias)
        self.trunk = Trunk(config)
        self.narrow = False
        """Whether the trunk multiplies in bfloat16."""
        self.typical: Tensor
        luma, chroma = typical_sizes(SIDE, SIDE)
        self.register_buffer("typical", torch.stack([luma, chroma, chroma]), persistent=False)
        self.windows: Tensor
        luma, chroma = typical_sizes(WINDOW, WINDOW)[0], typical_sizes(WINDOW, SIDE)[1]
        self.register_buffer("windows", torch.cat([luma, chroma, chroma]), persistent=False)

    @property
    def reach(self) -> int:
        """How far an answer sees, in 8x8 blocks: half a kernel for each block of the trunk, 1 for windows, 1 more."""
        return self.config.blocks * (self.config.kernel // 2) + 2

    def forward(self, stored: StoredPlanes, *, strength: float = 1.0) -> Tensor:
        """Restore pictures.

        Args:
            stored: What the files tell.
            strength: 0 leaves the stored values, 1 is the network's answer. Values between are between the two.

        Returns:
            (B, 1 or 3, 8 R, 8 C) planes at luma's resolution, -128..127 but for overshoot.
        """
        chroma = [enlarge(inverse_dct(c), stored.factors) for c in stored.coefficients[1:]]
        parts = self._parts(stored, [inverse_dct(stored.coefficients[0]), *chroma])
        corrections = self.corrections(*parts).unflatten(-1, (PLANES, COEFFICIENTS)).unbind(-2)
        luma = corrections[0].clamp(-stored.limits(0), stored.limits(0))
        planes = [inverse_dct(stored.coefficients[0] + strength * luma)]
        for plane, start in enumerate(chroma, 1):
            answer = start + inverse_dct(corrections[plane])
            if strength != 1:
                start = into_cell(start, stored, plane)
                answer = start + strength * (into_cell(answer, stored, plane) - start)
            planes.append(into_cell(answer, stored, plane))
        return torch.stack(planes, 1)

    def corrections(self, blocks: Tensor, windows: Tensor, places: Tensor, steps: Tensor, flags: Tensor) -> Tensor:
        """Run the network between the transforms. This is what an exported graph computes.

        Args:
            blocks: Coefficients of all planes on luma's grid, (B, R, C, 192). Grey pictures have zeros for chroma.
            windows: Coefficients of the windows, (B, R, C, 384).
            places: Where in its chroma block a luma block is, rows and columns, (B, R, C, 2).
            steps: (B, 3, 64). A plane that is missing has steps of 1.
            flags: log2 of the vertical and the horizontal factor of chroma, and 1 for colour, (B, 3).

        Returns:
            Corrections of the coefficients on luma's grid, not yet clipped, (B, R, C, 192).
        """
        logs = (steps.flatten(1).log2() - 4) / 3
        read = self.read_steps(torch.cat([logs, flags], 1))
        scales = self.step_scales(activation(read)).split(self.sizes_out, 1)
        spread = (self.typical**2 + (steps / 4) ** 2).sqrt().flatten(1)
        features = torch.cat([blocks / spread[:, None, None], windows / self.windows, places], -1)
        features = features * scales[0].exp()[:, None, None]
        with torch.autocast(features.device.type, dtype=torch.bfloat16, enabled=self.narrow):
            answer: Tensor = self.trunk(features.permute(0, 3, 1, 2), scales[2:])
        sizes = scales[1].exp() * self._uncertain(steps).flatten(1)
        scaled: Tensor = answer.permute(0, 2, 3, 1).float() * sizes[:, None, None]
        return scaled

    def _parts(self, stored: StoredPlanes, planes: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The arguments of `corrections`. `planes` are the stored planes at luma's resolution."""
        batch, rows, columns, _ = stored.coefficients[0].shape
        blocks = planes[0].new_zeros(batch, rows, columns, PLANES * COEFFICIENTS)
        windows = planes[0].new_zeros(batch, rows, columns, WINDOW * WINDOW + 2 * COEFFICIENTS)
        for number, plane in enumerate(planes):
            block = forward_dct(plane) if number else stored.coefficients[0]
            blocks[..., number * COEFFICIENTS : (number + 1) * COEFFICIENTS] = block
            at = WINDOW * WINDOW + (number - 1) * COEFFICIENTS if number else 0
            around = window_dct(plane, SIDE if number else WINDOW)
            windows[..., at : at + around.shape[-1]] = around
        places = planes[0].new_zeros(batch, rows, columns, 2)
        for axis, (size, factor) in enumerate(zip((rows, columns), stored.factors, strict=True)):
            place = torch.arange(size, device=places.device) % factor - (factor - 1) / 2
            places[..., axis] = place[:, None] if axis == 0 else place
        steps = stored.steps
        missing = PLANES - steps.shape[1]
        if missing:
            steps = torch.cat([steps, steps.new_ones(batch, missing, COEFFICIENTS)], 1)
        flags = steps.new_tensor([stored.factors[0], stored.factors[1], 1 + (not stored.is_grey)]).log2()
        return blocks, windows, places, steps, flags.expand(batch, -1)

    def _uncertain(self, steps: Tensor) -> Tensor:
        """Size of a correction, (B, 3, 64): half a step, or what a coefficient usually is where that is less."""
        half, usual = steps / 2, self.typical
        return half * usual / (half + usual)


def into_cell(plane: Tensor, stored: StoredPlanes, number: int) -> Tensor:
    """Move the means of a chroma plane into the cells of their coefficients; details below them stay.

    Args:
        plane: (B, H, W) at luma's resolution.
        stored: What the files tell.
        number: 1 for Cb, 2 for Cr.
    """
    means = forward_dct(shrink(plane, stored.factors))
    off = means - stored.coefficients[number]
    limit = stored.limits(number)
    return plane + repeat(inverse_dct(off.clamp(-limit, limit) - off), stored.factors)
