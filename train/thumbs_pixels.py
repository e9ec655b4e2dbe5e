"""Trains the network that repairs decoded thumbnails.

    python -m train.thumbs_pixels configs/thumbs_pixels.yaml -o out/thumbs_pixels

Training thumbnails are cut as codes of random lengths cut them, and the network learns to undo the loss. A run that was
stopped goes on where it stopped. It writes pixels.npz.
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

from semcomp.config import load
from semcomp.thumbs.context import TOP
from semcomp.thumbs.pixels import LEVELS, SCALE, UNIT
from semcomp.thumbs.transform import inverse
from train.checkpoint import load_state, save_state
from train.thumbs_context import read_code
from train.thumbs_export import LIFT
from train.thumbs_simulation import coefficients


@dataclass(frozen=True, kw_only=True)
class PixelsConfig:
    """One run."""

    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    code: str = "out/thumbs_code/code.npz"
    """File that train.thumbs_context wrote."""
    samples: int = 12_000
    """Thumbnails that are cut once each."""
    steps: int = 900
    batch: int = 16
    rate: float = 3e-3
    width: int = 24
    depth: int = 4
    """Convolutions."""
    fidelity: float = 30.0
    """Weight of the squared error (pixels in 0 to 1) beside 1 - SSIM."""
    save_every: int = 100


class Repair(nn.Module):
    """3x3 convolutions on 2x2 blocks: (B, 12, 16, 16) and levels (B,) -> residual of the same shape."""

    def __init__(self, width: int, depth: int):
        super().__init__()
        sizes = [12] + [width] * (depth - 1) + [12]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in itertools.pairwise(sizes))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(LEVELS, b)) for b in sizes[1:])
        nn.init.zeros_(self.convolutions[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            x = convolution(x) + bias[level][:, :, None, None]
            if number + 1 < len(self.convolutions):
                x = x.relu()
        return x

    def rounded(self) -> dict[str, NDArray[Any]]:
        """Integer weights in the order of semcomp.thumbs.pixels, int16 and int32."""
        arrays = {}
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            weight = cast(Tensor, convolution.weight).detach().double().permute(2, 3, 1, 0).flatten(0, 2)
            value = 128 * UNIT * SCALE * bias.detach().double() + SCALE / 2
            arrays[f"pixels{number}.weight"] = torch.round(weight * SCALE).clamp(-32768, 32767).short().numpy()
            arrays[f"pixels{number}.bias"] = torch.round(value).int().numpy()
        return arrays


def cut(values: NDArray[Any], prior: NDArray[Any], rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coefficients times 256 as codes of random lengths tell them, and the level of each code.

    The walk is imitated without its context model, which costs a hundredth of the time: what is likely by the prior
    and some noise is told down to a random plane, and a random share of it one plane further.
    """
    count = len(values)
    plane = rng.integers(4, TOP - 2, count)[:, None, None, None]
    share = rng.random((count, 1, 1, 1))
    size, likely = np.abs(values), prior + rng.normal(0, 10, values.shape)
    further = share > 0.15 + 0.7 * (16 * plane + 8 - likely) / 48  # the likely ones are told first
    last = np.where(further, plane, plane + 1)
    told = (size >= 1 << last) & (likely >= 16 * last - 34)
    width = 1 << last
    low = size // width * width
    middle = np.where(low == width, 0.44, 0.48)
    shown = np.where(told, np.sign(values) * 256 * (low + middle * width), 0)
    level = 2 * (TOP - 1 - plane) + (share > 0.6)
    return shown, level[:, 0, 0, 0]


def make_samples(config: PixelsConfig) -> dict[str, NDArray[Any]]:
    """Decoded canvases int16 in 1/4 levels, their originals and how far each code was read."""
    weights, tables = read_code(Path(config.code))
    pixels = np.load(Path(config.data) / "train.npy", mmap_mode="r")
    rng = np.random.default_rng(5)
    rows = np.sort(rng.choice(len(pixels), config.samples, replace=False))
    original = pixels[rows]
    shown, level = cut(coefficients(original, weights), tables.context.prior[:3], rng)
    pairs = zip(shown, LIFT[level], strict=True)
    canvases = np.stack([inverse(values / 256, weights, float(lift)) for values, lift in pairs])
    decoded = np.clip(np.rint(canvases * UNIT), -4096, 4095).astype(np.int16)
    return {"decoded": decoded, "original": original, "level": level}


def blocks(x: Tensor) -> Tensor:
    """(B, 32, 32, 3) -> (B, 12, 16, 16) with channels (row, column, colour)."""
    return x.view(-1, 16, 2, 16, 2, 3).permute(0, 2, 4, 5, 1, 3).reshape(-1, 12, 16, 16)


def planes(x: Tensor) -> Tensor:
    """(B, 12, 16, 16) -> (B, 3, 32, 32)."""
    return x.view(-1, 2, 2, 3, 16, 16).permute(0, 3, 4, 1, 5, 2).reshape(-1, 3, 32, 32)


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of (B, 3, 32, 32) in [0, 1], as semcomp.metrics defines it."""
    steps = torch.arange(11) - 5
    window = torch.exp(-(steps**2) / 4.5)
    window = (window / window.sum()).view(1, 1, 11, 1)
    parts = torch.cat([x, y, x * x, y * y, x * y]).flatten(0, 1)[:, None]
    means = F.conv2d(F.conv2d(parts, window), window.mT).chunk(5)
    mx, my = means[0], means[1]
    vx, vy, vxy = means[2] - mx * mx, means[3] - my * my, means[4] - mx * my
    structure = (2 * vxy + 9e-4) / (vx + vy + 9e-4)
    return (structure * (2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)).mean()


def train(config: PixelsConfig, samples: dict[str, NDArray[Any]], output: Path) -> Repair:
    """Train to the last step, from the state in `output` where there is one."""
    torch.manual_seed(2)
    network = Repair(config.width, config.depth)
    optimizer = torch.optim.Adam(network.parameters(), config.rate)
    state_file, start = output / "state.safetensors", 0
    if state_file.exists():
        state = load_state(state_file)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    decoded, original = torch.from_numpy(samples["decoded"]), torch.from_numpy(samples["original"])
    level = torch.from_numpy(samples["level"])
    mean = torch.zeros(3)
    for step in range(start, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rate * 0.5 * (1 + np.cos(np.pi * step / config.steps)) + 1e-6
        rows = torch.from_numpy(np.random.default_rng((3, step)).integers(0, len(decoded), config.batch))
        x = decoded[rows].float() / (128 * UNIT)
        target = original[rows].float() / 255
        if step % 2:
            x, target = x.flip(2), target.flip(2)
        if step % 4 > 1:
            x, target = x.transpose(1, 2), target.transpose(1, 2)
        x = blocks(x)
        shown = planes(x + network(x, level[rows])) * (128 / 255) + 128 / 255
        y = target.permute(0, 3, 1, 2)
        error, alike = F.mse_loss(shown, y), similarity(shown, y)
        loss = config.fidelity * error + 1 - alike
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        now = torch.stack([loss, error, alike]).detach()
        mean = now if step == start else 0.98 * mean + 0.02 * now
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            text = " ".join(
                f"{name} {value:.5f}" for name, value in zip(("loss", "mse", "ssim"), mean.tolist(), strict=True)
            )
            print(f"{time.strftime('%H:%M:%S')} step {step + 1} {text}", flush=True)
            save_state(
                state_file, {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            )
            np.savez(output / "pixels.npz", **network.rounded())
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for state and result")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    config = load(PixelsConfig, options.config, overrides=options.set)
    options.output.mkdir(parents=True, exist_ok=True)
    samples = make_samples(config)
    print(f"{len(samples['level'])} samples", flush=True)
    train(config, samples, options.output)


if __name__ == "__main__":
    main()
