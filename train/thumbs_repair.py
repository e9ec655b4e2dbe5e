"""Fits the repair of short thumbnail codes to what real codes show.

    python -m train.thumbs_repair configs/thumbs_repair.yaml -o out/thumbs_repair

train.thumbs_pixels trains shaping and repair through an imitation, which knows no code that ends inside a pass. Here
shaping stays as it is, thumbnails are coded at random lengths, and repair goes on learning. It writes pixels.npz.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semcomp.thumbs.pixels import LEVELS
from semcomp.thumbs.tables import ThumbTables, parse
from semcomp.thumbs.thumb import code_canvas, decode_planes
from train.checkpoint import load_state
from train.command_line import read_config
from train.thumbs_pixels import Blocks, similarity
from train.thumbs_softcode import LEVELS as TRAINED


@dataclass(frozen=True, kw_only=True)
class RepairConfig:
    """One run."""

    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    pixels: str = "out/thumbs_pixels"
    """Folder that train.thumbs_pixels wrote."""
    tables: str = "out/thumbs.safetensors"
    """File that train.thumbs_export wrote of these networks and of the context model fitted to them."""
    thumbnails: int = 12_000
    """How many are coded, each at one length."""
    shortest: int = 14
    longest: int = 170
    """Bytes of the codes, drawn evenly on a logarithmic scale."""
    steps: int = 3000
    batch: int = 16
    rate: float = 1e-3
    fidelity: float = 10.0
    """Weight of the squared error (pixels in 0 to 1) beside 1 - SSIM."""
    held: int = 400
    """Codes that are measured and not learned."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What codes show before repair, (N, 3, 32, 32) around 0, how far they were read (N,), and the originals."""

    shown: Tensor
    level: Tensor
    original: Tensor


def coded(config: RepairConfig, tables: ThumbTables) -> Examples:
    """Real codes of training thumbnails at random lengths."""
    data = np.load(Path(config.data) / "train.npy", mmap_mode="r")
    rng = np.random.default_rng(11)
    rows = rng.permutation(len(data))[: config.thumbnails]
    sizes = np.exp(rng.uniform(np.log(config.shortest), np.log(config.longest), len(rows))).round().astype(int)
    shown = np.empty((len(rows), 32, 32, 3), np.float16)
    level = np.empty(len(rows), np.int64)
    for number, (row, size) in enumerate(zip(rows, sizes.tolist(), strict=True)):
        planes, level[number] = decode_planes(code_canvas(data[row], None, size, tables=tables), tables)
        shown[number] = planes[..., :3]
        if (number + 1) % 2000 == 0:
            print(f"{time.strftime('%H:%M:%S')} coded {number + 1:,}", flush=True)
    return Examples(
        shown=torch.from_numpy(shown).permute(0, 3, 1, 2),
        level=torch.from_numpy(level).clamp(TRAINED[0], TRAINED[-1]),
        original=torch.from_numpy(data[rows]).permute(0, 3, 1, 2),
    )


def fit(config: RepairConfig, network: Blocks, examples: Examples) -> None:
    """Train the network; the measured codes are the last ones."""
    torch.manual_seed(5)
    optimizer = torch.optim.Adam(network.parameters(), config.rate)
    learned = len(examples.level) - config.held
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rate * 0.5 * (1 + np.cos(np.pi * step / config.steps)) + 1e-6
        rows = torch.randint(0, learned, (config.batch,))
        alike, error = measure(network, examples, rows, turn=step % 4)
        loss = 1 - alike + config.fidelity * error
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0 or step + 1 == config.steps:
            with torch.no_grad():
                alike, error = measure(network, examples, torch.arange(learned, len(examples.level)))
            print(f"{time.strftime('%H:%M:%S')} step {step + 1} mse {error:.5f} ssim {alike:.5f}", flush=True)


def measure(network: Blocks, examples: Examples, rows: Tensor, *, turn: int = 0) -> tuple[Tensor, Tensor]:
    """Similarity and squared error of some repaired codes; `turn` mirrors (1, 3) and transposes (2, 3)."""
    x, y = examples.shown[rows].float(), examples.original[rows].float() - 128
    x, y = (x.flip(3), y.flip(3)) if turn % 2 else (x, y)
    x, y = (x.mT, y.mT) if turn > 1 else (x, y)
    repaired, original = (x + network(x, examples.level[rows]) + 128) / 255, (y + 128) / 255
    return similarity(repaired, original), F.mse_loss(repaired, original)


def fitted(config: RepairConfig) -> dict[str, NDArray[Any]]:
    """Integer weights of both networks, after the fit."""
    folder = Path(config.pixels)
    state = load_state(folder / "state.safetensors")["network"]
    weights = {name.removeprefix("repair."): value for name, value in state.items() if name.startswith("repair.")}
    depth = sum(name.startswith("convolutions.") for name in weights)
    network = Blocks(len(weights["convolutions.0.weight"]), depth, LEVELS)
    network.load_state_dict(weights)
    fit(config, network, coded(config, parse(Path(config.tables).read_bytes(), name=config.tables)))
    with np.load(folder / "pixels.npz") as file:
        return dict(file) | network.rounded("repair")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the result")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    config = read_config(parser, options, RepairConfig)
    options.output.mkdir(parents=True, exist_ok=True)
    np.savez(options.output / "pixels.npz", **fitted(config))


if __name__ == "__main__":
    main()
