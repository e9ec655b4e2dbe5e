"""The sigma path by products of bytes, summed in 32-bit integers: what float32 computes, several times as fast.

A picture of 160x160 pixels has nine positions of z. Its products are a matter of how fast weights are read, and bytes
are a quarter of float32. Table numbers come out as bytes too, four in an integer, so that most of the pixel shuffle
moves integers.

torch multiplies bytes by oneDNN, which is exact only where the processor sums four products at once (VNNI). Elsewhere
it adds pairs of products in 16 bits, where they saturate. So `fastest` compares sums before it relies on them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.networks.precision import sums_products_of_bytes
from semcomp.networks.sigma import SCALES, SHIFT1, SHIFT2, Z_LIMIT, IntegerSigma

_MIDDLE = 128
"""Taken off an activation of 0..255, so that it is a byte with a sign."""
_ALIGNED = 16
"""Products of so many positions at a time take no longer than those of fewer."""


class ByteSigma:
    """An `IntegerSigma` on a CPU with little-endian integers, ready to run."""

    def __init__(self, path: IntegerSigma):
        self.weight1, self.bias1 = path.weight1.cpu(), path.bias1.cpu() - (_MIDDLE << SHIFT1)
        # Rows: column of the 4x4 block, channel, row of the block. Bytes of one integer lie in four equal parts.
        self.weight2 = path.weight2.cpu().view(-1, 4, 4, path.weight2.shape[1]).permute(2, 0, 1, 3).contiguous()
        self.weight2 = self.weight2.view(-1, path.weight2.shape[1])
        self.bias2 = path.bias2.cpu()
        self._missing = _MIDDLE * self.weight2.sum(1, dtype=torch.int32).view(4, -1, 4)

    def index(self, z_hat: Tensor, quality: int) -> Tensor:
        """What `IntegerSigma.index` returns."""
        height, width = z_hat.shape[2:]
        hidden = torch._int_mm(self.weight1, _around(z_hat)).add_(self.bias1[quality - 1, :, None])
        hidden = hidden.bitwise_right_shift_(SHIFT1).clamp_(-_MIDDLE, _MIDDLE - 1).to(torch.int8)
        bias2 = (self._missing + self.bias2[quality - 1, :, None]).view(-1, 1)
        sums = torch._int_mm(self.weight2, hidden).add_(bias2).bitwise_right_shift_(SHIFT2)
        number = sums.clamp_(0, SCALES - 1).view(4, -1, hidden.shape[1])
        four = number[0].add_(number[1], alpha=1 << 8).add_(number[2], alpha=1 << 16).add_(number[3], alpha=1 << 24)
        lines = four[:, : height * width].view(-1, 4, height, width).transpose(1, 2).contiguous()
        return lines.view(1, -1, 4 * height, width).view(torch.int8)

    def exact(self) -> bool:
        """Whether sums are right here at both ends of what bytes hold: that is where 16 bits do not suffice."""
        for weight, low, high in ((self.weight1, -Z_LIMIT, Z_LIMIT), (self.weight2, -_MIDDLE, _MIDDLE - 1)):
            columns = torch.full((weight.shape[1], _ALIGNED), low, dtype=torch.int8)
            columns[:, ::2] = high
            columns[::2, _ALIGNED // 2 :] = low
            try:
                sums = torch._int_mm(weight, columns)
            except RuntimeError:  # a torch that multiplies bytes elsewhere, or other shapes of them
                return False
            if not torch.equal(sums.float(), weight.float() @ columns.float()):
                return False
        return True


def _around(z_hat: Tensor) -> Tensor:
    """`sigma.neighbours` as columns, some of them empty: (1, H, h, w) -> int8 (9H, N), N at least h w."""
    channels, height, width = z_hat.shape[1:]
    padded = F.pad(z_hat[0].to(torch.int8), (1, 1, 1, 1))
    count = height * width
    columns = torch.zeros(9 * channels, count + -count % _ALIGNED, dtype=torch.int8)
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # H 3 3 h w
    columns[:, :count].view(3, 3, channels, height, width).copy_(windows.permute(1, 2, 0, 3, 4))
    return columns


@torch.inference_mode()
def fastest(path: IntegerSigma, device: torch.device) -> IntegerSigma | ByteSigma:
    """The path in the form that runs fastest on a device; the table numbers are the same."""
    if device.type == "cpu" and sums_products_of_bytes():
        bytewise = ByteSigma(path)
        if bytewise.exact():
            return bytewise
    return path.to(device, torch.float32)  # once, not for every file
