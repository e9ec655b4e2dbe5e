"""The sigma path with products of bytes, summed in 32-bit integers. It is several times as fast as float32.

A picture of 160x160 pixels has nine positions of z, so its run time is the time to read the weights, and bytes are a
quarter of float32. Table numbers are bytes too, four in an integer, so most of the pixel shuffle moves integers.

torch multiplies bytes with oneDNN, which is exact only on processors that sum four products at once (VNNI). Other
processors add pairs of products in 16 bits and saturate. `fastest` therefore tests the sums before it uses them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.networks.precision import sums_products_of_bytes
from semcomp.networks.sigma import SCALES, SHIFT1, SHIFT2, Z_LIMIT, IntegerSigma

MIDDLE = 128
"""Subtracted from an activation of 0..255, so that it fits a signed byte."""
_ALIGNED = 16
"""Positions are padded to a multiple of this number, which costs no time."""


class ByteSigma:
    """An `IntegerSigma` for little-endian CPUs."""

    def __init__(self, path: IntegerSigma):
        self.weight1, self.bias1 = path.weight1.cpu(), path.bias1.cpu() - (MIDDLE << SHIFT1)
        # Rows: column of the 4x4 block, channel, row of the block. Four equal parts give the four bytes of an integer.
        self.weight2 = path.weight2.cpu().view(-1, 4, 4, path.weight2.shape[1]).permute(2, 0, 1, 3).contiguous()
        self.weight2 = self.weight2.view(-1, path.weight2.shape[1])
        self.bias2 = path.bias2.cpu()
        self._missing = MIDDLE * self.weight2.sum(1, dtype=torch.int32).view(4, -1, 4)

    def index(self, z_hat: Tensor, quality: int) -> Tensor:
        """Table numbers, which are equal to what `IntegerSigma.index` returns."""
        height, width = z_hat.shape[2:]
        number = self._sums(z_hat, quality).bitwise_right_shift_(SHIFT2).clamp_(0, SCALES - 1)
        four = number[0].add_(number[1], alpha=1 << 8).add_(number[2], alpha=1 << 16).add_(number[3], alpha=1 << 24)
        lines = four[:, : height * width].view(-1, 4, height, width).transpose(1, 2).contiguous()
        return lines.view(1, -1, 4 * height, width).view(torch.int8)

    def sums(self, z_hat: Tensor, quality: int) -> Tensor:
        """What `IntegerSigma.sums` returns, int32 (1, M, 4h, 4w)."""
        height, width = z_hat.shape[2:]
        sums = self._sums(z_hat, quality)[..., : height * width].view(4, -1, 4, height, width)  # column, M, row
        return sums.permute(1, 3, 2, 4, 0).reshape(1, -1, 4 * height, 4 * width)

    def _sums(self, z_hat: Tensor, quality: int) -> Tensor:
        """The sums before the last shift, int32 (4, 4 M, N): column of the 4x4 block, channel and row, position."""
        hidden = torch._int_mm(self.weight1, _around(z_hat)).add_(self.bias1[quality - 1, :, None])
        hidden = hidden.bitwise_right_shift_(SHIFT1).clamp_(-MIDDLE, MIDDLE - 1).to(torch.int8)
        bias2 = (self._missing + self.bias2[quality - 1, :, None]).view(-1, 1)
        return torch._int_mm(self.weight2, hidden).add_(bias2).view(4, -1, hidden.shape[1])

    def exact(self) -> bool:
        """Whether this machine sums the extreme values of bytes correctly. Sums in 16 bits would fail there."""
        return sums_exactly((self.weight1, -Z_LIMIT, Z_LIMIT), (self.weight2, -MIDDLE, MIDDLE - 1))


def sums_exactly(*layers: tuple[Tensor, int, int]) -> bool:
    """Whether torch multiplies these weights, int8 (N, K), exactly with bytes that are the lowest or highest value."""
    for weight, low, high in layers:
        columns = torch.full((weight.shape[1], _ALIGNED), low, dtype=torch.int8)
        columns[:, ::2] = high
        columns[::2, _ALIGNED // 2 :] = low
        try:
            sums = torch._int_mm(weight, columns)
        except RuntimeError:  # this torch does not multiply bytes on the CPU, or not in this shape
            return False
        if not torch.equal(sums.float(), weight.float() @ columns.float()):
            return False
    return True


def _around(z_hat: Tensor) -> Tensor:
    """`sigma.neighbours` as columns, (1, H, h, w) -> int8 (9H, N). N is h * w padded to a multiple of 16."""
    channels, height, width = z_hat.shape[1:]
    padded = F.pad(z_hat[0].to(torch.int8), (1, 1, 1, 1))
    count = height * width
    columns = torch.zeros(9 * channels, count + -count % _ALIGNED, dtype=torch.int8)
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # H 3 3 h w
    columns[:, :count].view(3, 3, channels, height, width).copy_(windows.permute(1, 2, 0, 3, 4))
    return columns


@torch.inference_mode()
def fastest(path: IntegerSigma, device: torch.device) -> IntegerSigma | ByteSigma:
    """The form of the path that runs fastest on a device. Every form gives equal table numbers."""
    if device.type == "cpu" and sums_products_of_bytes():
        bytewise = ByteSigma(path)
        if bytewise.exact():
            return bytewise
    return path.to(device, torch.float32)  # converted once instead of for every file
