"""Trains one of the source's four coders.

    python -m train.thumbs configs/thumbs_fc_whole.yaml -o out/thumbs_fc_whole
    python -m train.thumbs --table out/thumbs_*

A run that was stopped goes on where it stopped. At its end it measures held.npy at 0.5, 1, 4 and 16 bits a pixel and
writes result.json. The second command prints the results of finished runs as a table.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.config import dump
from semcomp.imaging.metrics import psnr_db, ssim
from train.checkpoint import load_state, random_state, restore_random_state, save_state
from train.command_line import read_config
from train.thumbs_coders import Coder, CoderConfig

RATES = (0.5, 1.0, 4.0, 16.0)
"""Bits a pixel of the source's table."""


@dataclass(frozen=True, kw_only=True)
class ThumbsConfig:
    """One run."""

    name: str
    """Name of the run in its result."""
    data: str = "out/thumbs"
    """Folder that train.thumbs_data wrote."""
    seed: int = 1
    steps: int = 600
    batch: int = 32
    """Thumbnails a step; a patch-wise coder sees all sixteen patches of each."""
    rate: float = 1e-3
    """Adam's learning rate, which falls to zero along a cosine."""
    save_every: int = 50
    coder: CoderConfig = field(default_factory=CoderConfig)


def to_patches(x: Tensor, side: int) -> Tensor:
    """(B, 3, 32, 32) -> (B * (32 / side)^2, 3, side, side)."""
    n = 32 // side
    return x.view(-1, 3, n, side, n, side).permute(0, 2, 4, 1, 3, 5).reshape(-1, 3, side, side)


def from_patches(x: Tensor, side: int) -> Tensor:
    """Inverse of to_patches."""
    n = 32 // side
    return x.view(-1, n, n, 3, side, side).permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, 32, 32)


def as_input(pixels: NDArray[Any], side: int) -> Tensor:
    """uint8 (B, 32, 32, 3) -> patches or wholes in [-1, 1]."""
    return to_patches(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1, side)


def measure(coder: Coder, pixels: NDArray[Any]) -> list[dict[str, float]]:
    """Mean SSIM and PSNR of thumbnails at each rate."""
    coder.eval()
    with torch.no_grad():
        outputs = coder.decode_at(as_input(pixels, coder.config.side))
    rows = []
    for rate, output in zip(coder.rates, outputs, strict=True):
        whole = from_patches(output, coder.config.side)
        decoded = ((whole.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        pairs = list(zip(pixels, decoded, strict=True))
        quality = {"ssim": np.mean([ssim(a, b) for a, b in pairs]), "psnr": np.mean([psnr_db(a, b) for a, b in pairs])}
        rows.append({"bpp": rate, "bytes": rate * 128, **{name: round(float(v), 4) for name, v in quality.items()}})
    return rows


def train(config: ThumbsConfig, output: Path) -> Coder:
    """Train to the last step, from the state in `output` where there is one."""
    torch.manual_seed(config.seed)
    coder = Coder(config.coder, RATES)
    optimizer = torch.optim.Adam(coder.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    pixels = np.load(Path(config.data) / "train.npy", mmap_mode="r")
    state_file, start = output / "state.safetensors", 0
    if state_file.exists():
        state = load_state(state_file)
        coder.load_state_dict(state["coder"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        restore_random_state(state["random"])
        start = int(state["step"])
    for step in range(start, config.steps):
        rows = np.random.default_rng((config.seed, step)).integers(0, len(pixels), config.batch)
        loss = coder.loss(as_input(pixels[np.sort(rows)], config.coder.side))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            print(f"{time.strftime('%H:%M:%S')} step {step + 1} loss {float(loss.detach()):.4f}", flush=True)
            parts: dict[str, Any] = {"coder": coder, "optimizer": optimizer, "schedule": schedule}
            states = {name: part.state_dict() for name, part in parts.items()}
            save_state(state_file, {"step": step + 1, "random": random_state(), **states})
    return coder


def as_table(folders: Sequence[Path]) -> str:
    """Markdown of SSIM and PSNR at every rate, one row a run; a run without a result is left out."""
    lines = ["| coder | steps | parameters | " + " | ".join(f"{rate:g} bpp" for rate in RATES) + " |"]
    lines.append("|" + "---|" * (3 + len(RATES)))
    for file in (folder / "result.json" for folder in folders):
        if not file.exists():
            continue
        run = json.loads(file.read_text(encoding="utf-8"))
        cells = " | ".join(f"{row['ssim']:.4f}, {row['psnr']:.2f} dB" for row in run["rates"])
        lines.append(f"| {run['name']} | {run['steps']} | {run['parameters']:,} | {cells} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("-o", "--output", type=Path, help="folder for state and result")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FOLDER", help="print the results of these runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the file")
    options = parser.parse_args(arguments)
    if options.table:
        print(as_table(options.table))
        return
    if options.config is None or options.output is None:
        parser.error("give a configuration and -o FOLDER, or --table FOLDER ...")
    config = read_config(parser, options, ThumbsConfig)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "config.yaml").write_text(dump(config), encoding="utf-8")
    coder = train(config, options.output)
    count = sum(p.numel() for p in coder.parameters())
    rows = measure(coder, np.load(Path(config.data) / "held.npy"))
    result = {"name": config.name, "steps": config.steps, "parameters": count, "rates": rows}
    (options.output / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
