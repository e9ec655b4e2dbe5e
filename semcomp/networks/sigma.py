"""The sigma path chooses the probability table of every element of y from z_hat. It is exact on every machine.

    z_hat  B H h/64 w/64, integers in [-127, 127]
    3x3 neighbours side by side -> 9H values, pointwise integer layer, >> 4, clip to 0..255
    pointwise integer layer -> 16 M values, pixel shuffle by 4, + bias of the quality, >> 10, clip to 0..63
    index  B M h/16 w/16, integers 0..63

Weights are int8, biases int32, sums integers in float32. Sums stay below 2^24 (`bound_of_sums`), so float32 holds them
exactly: the order of summation, the number of threads, the backend and the memory layout change nothing. The layers are
matrix products, because a library may compute a 3x3 convolution by Winograd or FFT, which is not exact.

Training rounds these weights and activations with straight-through gradients from its first step. It therefore computes
the integers that are released.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.networks.fused import from_patches, shuffle_order
from semcomp.networks.rate_table import QUALITIES, RateTable
from semcomp.networks.rounding import bound, floor, round_half_even
from semcomp.types import Z_LIMIT as Z_LIMIT

SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 256.0
LOG_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
SHIFT1, SHIFT2 = 4, 10
WEIGHT_LIMIT = 127
BIAS_LIMIT = 1 << 21

# Integer units of the trained, real-valued parameters: a hidden activation of 32 stands for 1.0, an output of
# 2^SHIFT2 for one step of the table, that is for LOG_STEP of log sigma.
_UNIT1 = 32 << SHIFT1
_UNIT2 = (1 << SHIFT2) / (32 * LOG_STEP)
_BIAS2 = (1 << SHIFT2) / LOG_STEP


def scale_table() -> Tensor:
    """The standard deviation of each table number: 64 values, log-spaced from 0.11 to 256."""
    return SCALE_MIN * torch.exp(LOG_STEP * torch.arange(SCALES, dtype=torch.float64)).float()


class Intervals(NamedTuple):
    """The intervals that round to 0, 1, 2 and so on, under every Gaussian of the tables, float64."""

    sigma: Tensor
    """(64, 1)"""
    size: Tensor
    """The integers, (1, 1024)."""
    lower: Tensor
    """Lower ends in standard deviations, (64, 1024)."""
    upper: Tensor
    """Upper ends."""
    mass: Tensor
    """Probabilities."""


def intervals(largest: int) -> Intervals:
    """The intervals of 0 to `largest`."""
    sigma, size = scale_table().double()[:, None], torch.arange(largest + 1, dtype=torch.float64)[None]
    upper, lower = (size + 0.5) / sigma, (size - 0.5) / sigma
    mass = 0.5 * (torch.erfc(lower / math.sqrt(2)) - torch.erfc(upper / math.sqrt(2)))
    return Intervals(sigma, size, lower, upper, mass)


def density(value: Tensor) -> Tensor:
    """The standard normal density."""
    return torch.exp(-0.5 * value.square()) / math.sqrt(2 * math.pi)


def neighbours(z_hat: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every position as channels, (B, H, h, w) -> (B, 9H, h, w). Zeros surround the grid."""
    height, width = z_hat.shape[-2:]
    padded = F.pad(z_hat, (1, 1, 1, 1))
    return torch.cat([padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)], 1)


def _matmul(weight: Tensor, value: Tensor) -> Tensor:
    batch, _, height, width = value.shape
    return torch.matmul(weight, value.flatten(2)).reshape(batch, -1, height, width)


def _aligned_matmul(weight: Tensor, value: Tensor) -> Tensor:
    """`_matmul` with few positions padded to a multiple of 16. MKL takes longer for 9 than for 16."""
    batch, _, height, width = value.shape
    count = height * width
    columns = F.pad(value.flatten(2), (0, -count % 16 if count < 64 else 0))
    return torch.matmul(weight, columns)[..., :count].reshape(batch, -1, height, width)


def table_index(z_hat: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """The whole path on integer-valued tensors of one float type.

    Args:
        z_hat: (B, H, h, w).
        weight1: (K, 9H).
        bias1: (B, K, 1, 1).
        weight2: (16 M, K), ordered for a pixel shuffle by 4.
        bias2: (B, M, 1, 1).

    Returns:
        Table numbers 0..63, (B, M, 4h, 4w).
    """
    return index_of(table_sums(z_hat, weight1, bias1, weight2, bias2))


def table_sums(z_hat: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """The sums of `table_index` before the last shift, integers below 2^24; channels-last."""
    hidden = floor((_matmul(weight1, neighbours(z_hat)) + bias1) * 2.0**-SHIFT1).clamp(0, 255)
    sums = F.linear(hidden.permute(0, 2, 3, 1), shuffle_order(weight2, 4)).permute(0, 3, 1, 2)
    return from_patches(sums, 4) + bias2


def index_of(sums: Tensor) -> Tensor:
    """Table numbers 0..63 of sums."""
    return bound(floor(sums * 2.0**-SHIFT2), 0, SCALES - 1)


def rows_of_nodes(nodes: int) -> Tensor:
    """Rows of released biases, one for each quality, at which the nodes of a rate table are.

    Raises:
        ValueError: The nodes do not fall on whole qualities.
    """
    if (QUALITIES - 1) % (nodes - 1):
        raise ValueError(f"the biases of {nodes} nodes cannot be read off {QUALITIES} qualities")
    return torch.arange(0, QUALITIES, (QUALITIES - 1) // (nodes - 1))


def clip_z(z: Tensor) -> Tensor:
    """Round z to z_hat: the nearest integer in [-127, 127]."""
    return bound(round_half_even(z), -Z_LIMIT, Z_LIMIT)


@dataclass(frozen=True, kw_only=True)
class IntegerSigma:
    """The released sigma path: int8 weights, int32 biases, one bias per quality. It decides bits."""

    weight1: Tensor
    """int8 (K, 9H)"""
    bias1: Tensor
    """int32 (100, K)"""
    weight2: Tensor
    """int8 (16 M, K)"""
    bias2: Tensor
    """int32 (100, M)"""

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "IntegerSigma":
        """Copy the integers to a device, and to another type if one is given."""
        return IntegerSigma(**{name: value.to(device, dtype) for name, value in vars(self).items()})

    def bound_of_sums(self) -> int:
        """Largest magnitude that a sum can reach. It must be below 2^24 for float32 to be exact."""
        first = self.weight1.long().abs().sum(1).max() * Z_LIMIT + self.bias1.long().abs().max()
        second = self.weight2.long().abs().sum(1).max() * 255 + self.bias2.long().abs().max()
        return int(max(first, second))

    def index(self, z_hat: Tensor, quality: int) -> Tensor:
        """Table numbers int8 (1, M, 4h, 4w) from z_hat (1, H, h, w), integer-valued float32 in [-127, 127].

        It computes what `table_index` computes. The pixel shuffle comes last, when a number takes one byte, which saves
        memory.
        """
        bias1, bias2 = self.bias1[quality - 1].float(), self.bias2[quality - 1].float().repeat_interleave(16)
        hidden = _aligned_matmul(self.weight1.float(), neighbours(z_hat.float())).add_(bias1[:, None, None])
        hidden = hidden.mul_(2.0**-SHIFT1).floor_().clamp_(0, 255)
        sums = _aligned_matmul(self.weight2.float(), hidden).add_(bias2[:, None, None])
        index = sums.mul_(2.0**-SHIFT2).floor_().clamp_(0, SCALES - 1).to(torch.int8)
        # F.pixel_shuffle(index, 4) in two steps, which copy longer runs of memory.
        height, width = index.shape[2:]
        lines = index.view(-1, 4, 4, height * width).transpose(2, 3).contiguous()  # M, row of 4, position, column of 4
        return lines.view(-1, 4, height, 4 * width).transpose(1, 2).reshape(1, -1, 4 * height, 4 * width)

    def sums(self, z_hat: Tensor, quality: int) -> Tensor:
        """What `index` is taken from, before the last shift: integers below 2^24, float32 (1, M, 4h, 4w)."""
        biases = (self.bias1[quality - 1 : quality], self.bias2[quality - 1 : quality])
        bias1, bias2 = (bias.float()[:, :, None, None] for bias in biases)
        return table_sums(z_hat.float(), self.weight1.float(), bias1, self.weight2.float(), bias2)

    def index_numpy(self, z_hat: NDArray[Any], quality: int) -> NDArray[np.int64]:
        """`index` in int64 numpy, (H, h, w) -> (M, 4h, 4w), for checks."""
        index: NDArray[np.int64] = np.clip(self.sums_numpy(z_hat, quality) >> SHIFT2, 0, SCALES - 1)
        return index

    def sums_numpy(self, z_hat: NDArray[Any], quality: int) -> NDArray[np.int64]:
        """`sums` in int64 numpy, (H, h, w) -> (M, 4h, 4w), for checks."""
        height, width = z_hat.shape[1:]
        padded = np.pad(z_hat.astype(np.int64), ((0, 0), (1, 1), (1, 1)))
        around = np.concatenate([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)])
        weight1, weight2 = self.weight1.numpy().astype(np.int64), self.weight2.numpy().astype(np.int64)
        bias1, bias2 = (b[quality - 1].numpy().astype(np.int64) for b in (self.bias1, self.bias2))
        hidden = weight1 @ around.reshape(len(around), -1) + bias1[:, None]
        hidden = np.clip(hidden >> SHIFT1, 0, 255)
        sums = (weight2 @ hidden).reshape(-1, 4, 4, height, width).transpose(0, 3, 1, 4, 2)
        biased: NDArray[np.int64] = sums.reshape(-1, 4 * height, 4 * width) + bias2[:, None, None]
        return biased


class SigmaPath(nn.Module):
    """The trainable sigma path. Its parameters are real-valued; every use rounds them to the integers of a release."""

    def __init__(self, *, hyper: int, hidden: int, latents: int, nodes: int, log_sigma: Tensor):
        """`log_sigma` (nodes, M) initialises log sigma of each channel."""
        super().__init__()
        assert 9 * hyper * WEIGHT_LIMIT * Z_LIMIT + BIAS_LIMIT < 1 << 24, "the first sum would not be exact"
        assert hidden * WEIGHT_LIMIT * 255 + BIAS_LIMIT < 1 << 24, "the second sum would not be exact"
        self.weight1 = nn.Parameter(torch.randn(hidden, 9 * hyper) * 0.03)
        self.weight2 = nn.Parameter(torch.randn(16 * latents, hidden) * 0.02)
        self.bias1 = RateTable(nodes, hidden, init=1.0)
        self.bias2 = RateTable(nodes, latents, init=log_sigma - math.log(SCALE_MIN))

    def _integers(self, quality: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        def rounded(value: Tensor, unit: float, limit: int) -> Tensor:
            return round_half_even(bound(value * unit, -limit, limit))

        return (
            rounded(self.weight1, _UNIT1, WEIGHT_LIMIT),
            rounded(self.bias1(quality), _UNIT1, BIAS_LIMIT),
            rounded(self.weight2, _UNIT2, WEIGHT_LIMIT),
            rounded(self.bias2(quality), _BIAS2, BIAS_LIMIT),
        )

    def forward(self, z_hat: Tensor, quality: Tensor) -> Tensor:
        """z_hat (B, H, h, w), quality (B,) -> table numbers (B, M, 4h, 4w); never under autocast."""
        return index_of(self.sums(z_hat, quality))

    def sums(self, z_hat: Tensor, quality: Tensor) -> Tensor:
        """What `forward` takes the table numbers from: (B, M, 4h, 4w), integers."""
        with torch.autocast(z_hat.device.type, enabled=False):
            return table_sums(z_hat.float(), *self._integers(quality))

    @torch.no_grad()
    def released(self) -> IntegerSigma:
        """The integers of a release, with the biases of all qualities."""
        weight1, bias1, weight2, bias2 = self._integers(torch.arange(1, QUALITIES + 1, device=self.weight1.device))
        path = IntegerSigma(
            weight1=weight1.to("cpu", torch.int8),
            bias1=bias1.flatten(1).to("cpu", torch.int32),
            weight2=weight2.to("cpu", torch.int8),
            bias2=bias2.flatten(1).to("cpu", torch.int32),
        )
        assert path.bound_of_sums() < 1 << 24
        return path

    @torch.no_grad()
    def load_released(self, path: IntegerSigma) -> None:
        """Load released integers for further training.

        Raises:
            ValueError: The rate nodes do not fall on whole qualities.
        """
        rows = rows_of_nodes(self.bias1.weight.shape[0])
        self.weight1.copy_(path.weight1.float() / _UNIT1)
        self.weight2.copy_(path.weight2.float() / _UNIT2)
        self.bias1.weight.copy_(path.bias1[rows].float() / _UNIT1)
        self.bias2.weight.copy_(path.bias2[rows].float() / _BIAS2)
