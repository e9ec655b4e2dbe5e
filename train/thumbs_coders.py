"""Four coders of 32x32 thumbnails with binarised codes, after Toderici et al. 2016 (variable rate image compression).

Shapes: B batch, S side in pixels (32 whole, 8 patch-wise). x (B, 3, S, S) in [-1, 1]; one stage's code holds
0.5 bit a pixel: (B, S * S / 2) for fully connected coders and (B, 8, S / 4, S / 4) for convolutional ones.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KINDS = ("fc", "fc_residual", "conv_residual", "conv_lstm")
BITS_PER_PIXEL = 0.5
"""Rate of one stage."""


@dataclass(frozen=True, kw_only=True)
class CoderConfig:
    """Which coder is trained, and how wide it is."""

    kind: str = "fc_residual"
    """fc, fc_residual, conv_residual or conv_lstm."""
    side: int = 32
    """Side of what one code describes: 32 codes a whole thumbnail, 8 codes sixteen patches alone."""
    hidden: int = 512
    """Units of a hidden layer in the fully connected coders."""
    channels: int = 48
    """Channels of a hidden layer in the convolutional coders."""
    stages: int = 8
    """Stages that a training step unrolls. The coder `fc` has one stage whose code grows with the rate."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"coder.kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.side not in (8, 32):
            raise ValueError(f"coder.side must be 8 or 32, not {self.side}")


def binarize(x: Tensor, *, training: bool) -> Tensor:
    """Map tanh outputs to {-1, 1}: b(x) = x + eps while training, with E[b] = x; the sign otherwise.

    The gradient passes unchanged (Toderici et al. 2016, section 3.2).
    """
    if not training:
        return torch.where(x < 0, -1.0, 1.0)
    bits = torch.where(torch.rand_like(x) < (1 + x) / 2, 1.0, -1.0)
    return x + (bits - x).detach()


class FullyConnected(nn.Module):
    """One stage: pixels -> bits -> pixels, with one hidden tanh layer on each side."""

    def __init__(self, side: int, hidden: int, bits: int):
        super().__init__()
        pixels = 3 * side * side
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.Tanh(), nn.Linear(hidden, bits), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(bits, hidden), nn.Tanh(), nn.Linear(hidden, pixels))

    def forward(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        bits = binarize(self.encoder(x.flatten(1)), training=self.training)
        return self.decoder(bits).view_as(x), state


class Convolutional(nn.Module):
    """One stage with stride-2 convolutions and pixel shuffles."""

    def __init__(self, channels: int):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1), nn.Tanh(), nn.Conv2d(channels, channels, 3, 2, 1), nn.Tanh()
        )
        self.to_bits = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.Tanh())
        self.from_bits = nn.Conv2d(8, channels, 3, 1, 1)
        self.up = nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, 1, 1), nn.PixelShuffle(2), nn.Tanh())
        self.out = nn.Sequential(nn.Conv2d(channels // 2, 12, 3, 1, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        bits = binarize(self.to_bits(self.encoder(x)), training=self.training)
        return self.out(self.up(self.from_bits(bits).tanh())), state


class Memory(nn.Module):
    """Convolutional LSTM cell: input and state (B, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, 1, 1)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, cell = state or (torch.zeros_like(x), torch.zeros_like(x))
        keep, write, show, new = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(keep + 1) * cell + torch.sigmoid(write) * new.tanh()
        hidden = torch.sigmoid(show) * cell.tanh()
        return hidden, (hidden, cell)


class Recurrent(Convolutional):
    """The convolutional stage with one memory before the bits and one behind them."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.before, self.behind = Memory(channels), Memory(channels)

    def forward(self, x: Tensor, state: tuple[Any, Any] | None) -> tuple[Tensor, tuple[Any, Any]]:  # type: ignore[override]
        first, second = state or (None, None)
        hidden, first = self.before(self.encoder(x), first)
        bits = binarize(self.to_bits(hidden), training=self.training)
        hidden, second = self.behind(self.from_bits(bits).tanh(), second)
        return self.out(self.up(hidden)), (first, second)


class Coder(nn.Module):
    """Stages that code what the stages before left over. `fc` has no residual: it holds one network for each rate."""

    def __init__(self, config: CoderConfig, rates: tuple[float, ...]):
        super().__init__()
        self.config, self.rates = config, rates
        size = config.side**2
        if config.kind == "fc":
            nets = [FullyConnected(config.side, config.hidden, round(rate * size)) for rate in rates]
            self.single = nn.ModuleList(nets)
            return
        self.gain = nn.Parameter(torch.zeros(config.stages))
        fully = config.kind == "fc_residual"
        recurrent = config.kind == "conv_lstm"
        self.stage: nn.Module = (
            FullyConnected(config.side, config.hidden, round(BITS_PER_PIXEL * size))
            if fully
            else (Recurrent if recurrent else Convolutional)(config.channels)
        )

    def decode_stages(self, x: Tensor, count: int) -> list[Tensor]:
        """Sums of the first 1, 2 ... count outputs. All stages share weights, and a gain scales each residual."""
        total, state, sums = torch.zeros_like(x), None, []
        for number in range(count):
            last = self.config.stages - 1
            slope = self.gain[last] * max(number - last, 0) / max(last, 1)  # goes on beyond the trained stages
            gain = torch.exp(self.gain[min(number, last)] + slope)
            output, state = self.stage((x - total) * gain, state)
            total = total + output / gain
            sums.append(total)
        return sums

    def loss(self, x: Tensor) -> Tensor:
        """Mean absolute error over the stages (or rates), as the source trains."""
        if self.config.kind == "fc":
            outputs = [net(x, None)[0] for net in self.single]
        else:
            outputs = self.decode_stages(x, self.config.stages)
        return torch.stack([F.l1_loss(y, x) for y in outputs]).mean()

    def decode_at(self, x: Tensor) -> list[Tensor]:
        """What is decoded at each of the rates."""
        if self.config.kind == "fc":
            return [net(x, None)[0] for net in self.single]
        stages = [round(rate / BITS_PER_PIXEL) for rate in self.rates]
        sums = self.decode_stages(x, max(stages))
        return [sums[stage - 1] for stage in stages]
