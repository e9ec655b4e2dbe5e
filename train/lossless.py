"""Trains the lossless networks: python -m train.lossless configs/lossless.yaml

The run has two stages, as Schiopu and Munteanu (2020) train theirs: a long one at a constant learning rate, and a last
one in which the rate falls to nothing. The average of the weights is what is validated, with real files.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from heads.schedule import falling_rate
from semcomp.lossless.model import LosslessModel, save_model
from semcomp.lossless.stream import encode_lossless
from semcomp.networks.lossless import LosslessConfig
from train.checkpoint import load_state
from train.command_line import begin, make_parser, say_where
from train.log import Log
from train.lossless_objective import LosslessObjective
from train.lossless_photos import Crops, LosslessDataConfig
from train.optim import OptimConfig, moving_average
from train.photos import find_photos
from train.trainer import BaseTrainer, averaged, clip_gradient


@dataclass(frozen=True, kw_only=True)
class LosslessOptimConfig:
    """How parameters move."""

    lr: float = 2e-3
    """Adam's."""
    beta1: float = 0.9
    beta2: float = 0.98
    clip: float = 1.0
    """Largest norm of the gradient."""
    warmup_steps: int = 100
    second_stage: float = 0.7
    """The learning rate falls from this share of the run on. 1 keeps it."""
    last: float = 0.01
    """The last learning rate, as a share of the first."""
    ema: float = 0.998
    """Decay of the moving average of the weights."""


@dataclass(frozen=True, kw_only=True)
class LosslessRunConfig:
    """A whole run."""

    name: str
    """The run's folder below runs/."""
    network: LosslessConfig = field(default_factory=LosslessConfig)
    data: LosslessDataConfig = field(default_factory=LosslessDataConfig)
    optim: LosslessOptimConfig = field(default_factory=LosslessOptimConfig)
    steps: int = 100_000
    """Length of the run. It may be changed when a run is resumed, before its second stage begins."""
    validation: tuple[str, ...] = ()
    """Folders of lossless photos."""
    validation_every: int = 5
    """Take every fifth of them, and of each the middle 256x256 pixels."""
    validation_steps: int = 2000
    """Steps between two validations."""
    bfloat16: bool = True
    """Multiply in bfloat16."""
    seed: int = 0
    save_minutes: float = 5.0
    start_from: str | None = None
    """The state.safetensors of another run whose networks have the same sizes."""


class LosslessTrainer(BaseTrainer):
    """Trains the lossless networks."""

    figures = ("bpsp",)

    def __init__(self, config: LosslessRunConfig, folder: Path, *, quiet: bool = False):
        super().__init__(folder, steps=config.steps, save_minutes=config.save_minutes, quiet=quiet)
        torch.manual_seed(config.seed)
        self.config = config
        self.crops = Crops(config.data, folder)
        self.objective = LosslessObjective(config.network)
        if config.start_from:
            self.objective.load_state_dict(load_state(Path(config.start_from))["average"])
        self.average = moving_average(self.objective, OptimConfig(ema=config.optim.ema))
        self.optimizer = torch.optim.Adam(
            self.objective.parameters(), lr=config.optim.lr, betas=(config.optim.beta1, config.optim.beta2), fused=True
        )
        self.processor_seconds, self.validated = 0.0, 0
        self.levels = round(math.log2(config.data.crop)) - 3
        self.dtype = torch.bfloat16 if config.bfloat16 else torch.float32

    def save(self) -> None:
        super().save()
        save_model(self.folder / "model.safetensors", self.released())

    def state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "average": averaged(self.average, LosslessObjective).state_dict(),
            "averaged": int(self.average.n_averaged),
            "optimizer": self.optimizer.state_dict(),
            "processor_seconds": self.processor_seconds,
            "validated": self.validated,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.objective.load_state_dict(state["objective"])
        averaged(self.average, LosslessObjective).load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.processor_seconds, self.validated = state["processor_seconds"], state["validated"]

    def rate_factor(self) -> float:
        """Factor on the learning rate: a warm-up, a constant, and a half cosine in the second stage."""
        optim = self.config.optim
        return falling_rate(
            step=self.step,
            warmup_steps=optim.warmup_steps,
            progress=self.progress,
            hold=optim.second_stage,
            last=optim.last,
        )

    def train_step(self) -> dict[str, float]:
        """One batch. Returns the figures of the log."""
        began, optim = time.process_time(), self.config.optim
        factor = self.rate_factor()
        for group in self.optimizer.param_groups:
            group["lr"] = optim.lr * factor
        planes, differences = self.crops.batch(self.config.seed * 1_000_000_007 + self.step)
        bits = self.objective(planes, levels=self.levels, dtype=self.dtype, differences=differences)
        loss = torch.stack(list(bits.values())).sum() / planes.numel()
        self.optimizer.zero_grad()
        loss.backward()
        norm = clip_gradient(self.objective.parameters(), optim.clip, step=self.step)
        self.optimizer.step()
        self.average.update_parameters(self.objective)
        self.step += 1
        self.processor_seconds += time.process_time() - began
        finest = {name[:-1]: 4 * bits[name].item() / planes.numel() for name in ("luma0", "first0", "second0")}
        return {"step": self.step, "bpsp": loss.item(), "norm": norm.item(), "lr_factor": factor, **finest}

    def released(self) -> LosslessModel:
        """The average as integers."""
        minutes = self.processor_seconds / 60
        origin = f"python -m train.lossless, {self.step} steps, {minutes:.0f} minutes of one core"
        return averaged(self.average, LosslessObjective).released(origin=origin)

    def validate(self) -> float:
        """Bits per sub-pixel of real files of the validation photos' middles."""
        model, size, pixels = self.released(), 0, 0
        for crop in validation_crops(self.config.validation, every=self.config.validation_every):
            size += len(encode_lossless(crop, model=model))
            pixels += crop.size
        return 8 * size / pixels

    def after_step(self, log: Log) -> None:
        due = self.step - self.validated >= self.config.validation_steps or self.progress >= 1
        if self.config.validation and due:
            self.validated = self.step
            minutes = round(self.processor_seconds / 60, 2)
            row = {"step": self.step, "processor_minutes": minutes, "validation_bpsp": round(self.validate(), 4)}
            log.file.write(json.dumps(row) + "\n")
            log.file.flush()
            if not self.quiet:
                print(row, file=sys.stderr)


def validation_crops(folders: tuple[str, ...], *, every: int, side: int = 256) -> list[NDArray[np.uint8]]:
    """The middles of every n-th photo, n = `every`, uint8 (side, side, 3)."""
    crops = []
    for path in find_photos(folders)[2::every]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
        crops.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return crops


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = make_parser(
        "lossless",
        __doc__,
        "examples:\n  python -m train.lossless configs/lossless.yaml --set data.exact=[~/png]\n"
        "  python -m train.lossless configs/lossless.yaml --resume\n"
        "the average is kept in runs/<name>/model.safetensors, which semcomp.lossless reads",
    )
    options = parser.parse_args(arguments)
    trainer = begin(
        parser, options, LosslessRunConfig, lambda config, folder: LosslessTrainer(config, folder, quiet=options.quiet)
    )
    done = trainer.run(max_minutes=options.max_minutes)
    say_where(trainer, done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
