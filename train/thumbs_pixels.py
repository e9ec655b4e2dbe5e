"""Trains the network that repairs decoded thumbnails: python -m train.thumbs_pixels configs/thumbs_pixels.yaml -o out/thumbs_pixels

Training thumbnails are coded with the released walk and cut at random lengths; the network learns to undo the loss.
It writes samples.npz, which a second run reuses, and pixels.npz.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.config import load
from semcomp.thumbs.bitcoder import BitDecoder, BitEncoder
from semcomp.thumbs.pixels import LEVELS, SCALE, UNIT
from semcomp.thumbs.transform import forward, inverse
from semcomp.thumbs.walk import Walk
from train.checkpoint import load_state, save_state
from train.thumbs_context import read_code


@dataclass(frozen=True, kw_only=True)
class PixelsConfig:
    """One run."""

    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    code: str = "out/thumbs_code/code.npz"
    """File that train.thumbs_context wrote."""
    samples: int = 6000
    """Coded thumbnails, each cut at two lengths."""
    shortest: int = 6
    longest: int = 600
    """Bytes of a cut, drawn evenly in logarithm."""
    steps: int = 3000
    batch: int = 32
    rate: float = 2e-3
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
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(LEVELS, b)) for b in sizes[1:])
        nn.init.zeros_(self.convolutions[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            x = convolution(x) + bias[level][:, :, None, None]
            if number + 1 < len(self.convolutions):
                x = x.relu()
        return x

    def rounded(self) -> dict[str, np.ndarray]:
        """Integer weights in the order of semcomp.thumbs.pixels, int16 and int32."""
        arrays = {}
        for number, (convolution, bias) in enumerate(zip(self.convolutions, self.biases, strict=True)):
            weight = convolution.weight.detach().double().permute(2, 3, 1, 0).flatten(0, 2)
            value = 128 * UNIT * SCALE * bias.detach().double() + SCALE / 2
            arrays[f"pixels{number}.weight"] = torch.round(weight * SCALE).clamp(-32768, 32767).short().numpy()
            arrays[f"pixels{number}.bias"] = torch.round(value).int().numpy()
        return arrays


def make_samples(config: PixelsConfig) -> dict[str, np.ndarray]:
    """Decoded canvases int16 in 1/4 levels, their originals and how far each code was read."""
    weights, tables = read_code(Path(config.code))
    pixels = np.load(Path(config.data) / "train.npy", mmap_mode="r")
    rng = np.random.default_rng(5)
    rows = np.sort(rng.choice(len(pixels), config.samples, replace=False))
    decoded, levels = [], []
    for row in rows:
        cuts = np.exp(rng.uniform(np.log(config.shortest), np.log(config.longest), 2)).astype(int)
        encoder = BitEncoder(int(cuts.max()))
        Walk(tables, 3, forward(np.asarray(pixels[row]), None, weights)).run(encoder)
        code = encoder.finish()
        for cut in cuts:
            walk = Walk(tables, 3)
            walk.run(BitDecoder(code[:cut]))
            canvas = inverse(walk.shown() / 256, weights)
            decoded.append(np.clip(np.rint(canvas * UNIT), -4096, 4095).astype(np.int16))
            levels.append(walk.level)
    return {"decoded": np.stack(decoded), "original": pixels[np.repeat(rows, 2)], "level": np.array(levels)}


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


def train(config: PixelsConfig, samples: dict[str, np.ndarray], output: Path) -> Repair:
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
            text = " ".join(f"{name} {value:.5f}" for name, value in zip(("loss", "mse", "ssim"), mean.tolist(), strict=True))
            print(f"{time.strftime('%H:%M:%S')} step {step + 1} {text}", flush=True)
            save_state(
                state_file, {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            )
            np.savez(output / "pixels.npz", **network.rounded())
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for samples, state and result")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    config = load(PixelsConfig, options.config, overrides=options.set)
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "samples.npz"
    if not file.exists():
        np.savez(file, **make_samples(config))
    with np.load(file) as stored:
        samples = dict(stored)
    print(f"{len(samples['level'])} samples", flush=True)
    train(config, samples, options.output)


if __name__ == "__main__":
    main()
