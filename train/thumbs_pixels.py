"""Trains the two networks around short thumbnail codes: one shapes the canvas before, one repairs it behind.

    python -m train.thumbs_pixels configs/thumbs_pixels.yaml -o out/thumbs_pixels

Both learn together, through an imitation of the code, to lose little similarity for few bits. A run that was stopped
goes on where it stopped. It writes pixels.npz.
"""

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.thumbs.pixels import LEVELS, SCALE, UNIT
from train.checkpoint import load_state, save_state
from train.command_line import read_config
from train.thumbs_context import read_code
from train.thumbs_softcode import LEVELS as TRAINED
from train.thumbs_softcode import SoftCode, draw_level


@dataclass(frozen=True, kw_only=True)
class PixelsConfig:
    """One run."""

    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    code: str = "out/thumbs_code/code.npz"
    """File that train.thumbs_context wrote."""
    start: str = ""
    """State file of an earlier run whose networks this one goes on with, or nothing."""
    steps: int = 1500
    batch: int = 16
    rate: float = 2e-3
    width: int = 24
    depth: int = 4
    """Convolutions of each network."""
    fidelity: float = 10.0
    """Weight of the squared error (pixels in 0 to 1) beside 1 - SSIM."""
    bits: float = 0.72
    """Weight of the bits' logarithm beside the error's: how the error falls with the length of a code."""
    reflect: bool = False
    """Whether SSIM sees a reflected edge, so that all pixels count alike; otherwise its windows lie inside."""
    save_every: int = 100


class Blocks(nn.Module):
    """3x3 convolutions on 2x2 blocks: (B, 3, 32, 32) around 0 and levels (B,) -> residual of the same shape."""

    def __init__(self, width: int, depth: int, levels: int):
        super().__init__()
        sizes = [12] + [width] * (depth - 1) + [12]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in itertools.pairwise(sizes))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(levels, b)) for b in sizes[1:])
        nn.init.zeros_(self.convolutions[-1].weight)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor, level: Tensor) -> Tensor:
        x = F.pixel_unshuffle(pixels / 128, 2)
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            x = convolution(x) + bias[level][:, :, None, None]
            if number + 1 < len(self.convolutions):
                x = x.relu()
        return 128 * F.pixel_shuffle(x, 2)

    def rounded(self, name: str) -> dict[str, NDArray[Any]]:
        """Integer weights in the order of semcomp.thumbs.pixels, int16 and int32."""
        order = (
            torch.arange(12).view(3, 2, 2).permute(1, 2, 0).flatten()
        )  # (colour, row, column) -> (row, column, colour)
        rows = torch.arange(len(self.biases[0])).clamp(TRAINED[0], TRAINED[-1])  # others take over the nearest one
        arrays, last = {}, len(self.convolutions) - 1
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            weight, value = cast(Tensor, convolution.weight).detach().double(), bias.detach().double()[rows]
            weight = weight[:, order] if number == 0 else weight
            weight, value = (weight[order], value[:, order]) if number == last else (weight, value)
            flat = weight.permute(2, 3, 1, 0).flatten(0, 2)
            value = 128 * UNIT * SCALE * value + SCALE / 2
            arrays[f"{name}{number}.weight"] = torch.round(flat * SCALE).clamp(-32768, 32767).short().numpy()
            arrays[f"{name}{number}.bias"] = torch.round(value).int().numpy()
        return arrays


class Around(nn.Module):
    """Shaping, code and repair in one."""

    def __init__(self, config: PixelsConfig):
        super().__init__()
        self.shaping = Blocks(config.width, config.depth, LEVELS)
        self.repair = Blocks(config.width, config.depth, LEVELS)
        self.code = SoftCode(read_code(Path(config.code))[0])

    def forward(self, pixels: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """What is shown of pixels (B, 3, 32, 32) around 0, and the bits of each code."""
        rows = torch.full((len(pixels),), level)
        decoded, bits = self.code(pixels + self.shaping(pixels, rows), level)
        return decoded + self.repair(decoded, rows), bits


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of (B, 3, H, W) in [0, 1], as semcomp.imaging.metrics defines it."""
    steps = torch.arange(11) - 5
    window = torch.exp(-(steps**2) / 4.5)
    window = (window / window.sum()).view(1, 1, 11, 1)
    parts = torch.cat([x, y, x * x, y * y, x * y]).flatten(0, 1)[:, None]
    means = F.conv2d(F.conv2d(parts, window), window.mT).chunk(5)
    mx, my = means[0], means[1]
    vx, vy, vxy = means[2] - mx * mx, means[3] - my * my, means[4] - mx * my
    structure = (2 * vxy + 9e-4) / (vx + vy + 9e-4)
    return (structure * (2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)).mean()


def train(config: PixelsConfig, output: Path) -> Around:
    """Train to the last step, from the state in `output` where there is one."""
    torch.manual_seed(2)
    network = Around(config)
    optimizer = torch.optim.Adam(network.parameters(), config.rate)
    if config.start:
        network.load_state_dict(load_state(Path(config.start))["network"])
    state_file, start = output / "state.safetensors", 0
    if state_file.exists():
        state = load_state(state_file)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    data = np.load(Path(config.data) / "train.npy", mmap_mode="r")
    mean = torch.zeros(3)
    for step in range(start, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rate * 0.5 * (1 + np.cos(np.pi * step / config.steps)) + 1e-6
        rows = np.sort(np.random.default_rng((3, step)).integers(0, len(data), config.batch))
        pixels = torch.from_numpy(data[rows]).permute(0, 3, 1, 2).float() - 128
        pixels = pixels.flip(3) if step % 2 else pixels
        pixels = pixels.mT if step % 4 > 1 else pixels
        shown, bits = network(pixels, draw_level(step))
        x, y = (shown + 128) / 255, (pixels + 128) / 255
        error = F.mse_loss(x, y)
        if config.reflect:
            x, y = (F.pad(p, (5, 5, 5, 5), mode="reflect") for p in (x, y))
        alike = similarity(x, y)
        loss = (1 - alike + config.fidelity * error).log() + config.bits * bits.mean().log()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        now = torch.stack([loss, error, alike]).detach()
        mean = now if step == start else 0.98 * mean + 0.02 * now
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            named = zip(("loss", "mse", "ssim"), mean.tolist(), strict=True)
            text = " ".join(f"{name} {value:.5f}" for name, value in named)
            print(f"{time.strftime('%H:%M:%S')} step {step + 1} {text}", flush=True)
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            save_state(state_file, state)
            arrays = network.shaping.rounded("shaping") | network.repair.rounded("repair")
            np.savez(output / "pixels.npz", **arrays)
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for state and result")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    config = read_config(parser, options, PixelsConfig)
    options.output.mkdir(parents=True, exist_ok=True)
    train(config, options.output)


if __name__ == "__main__":
    main()
