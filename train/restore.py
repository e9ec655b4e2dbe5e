"""Trains the restorer of JPEG or JPEG 2000 files: python -m train.restore configs/restore.yaml

The loss is the mean of log(mean squared error) over crops, which is PSNR up to a factor: crops of all qualities count
equally. The average of the weights is what is validated and released.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.jpeg.standard import CHROMA, LUMA, at_quality
from semcomp.restoration.jpeg2000 import stored_of_pixels
from semcomp.restoration.network import Restorer, RestorerConfig, StoredPlanes
from semcomp.restoration.restorer_file import TrainedRestorer, save_restorer
from train.checkpoint import load_state
from train.command_line import begin, make_parser, say_where
from train.log import Log
from train.lossless import validation_crops
from train.optim import OptimConfig, build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.restore_photos import PAIRS, RestoreDataConfig, as_tensor, compress, decompress, shown, through_jpeg2000
from train.trainer import BaseTrainer, averaged, clip_gradient

QUALITIES = (10, 20, 30, 40, 75, 92)
"""Qualities of the validation, all 4:2:0."""
RATES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Bits a pixel of the validation with JPEG 2000."""


@dataclass(frozen=True, kw_only=True)
class RestoreRunConfig:
    """A whole run."""

    name: str
    """The run's folder below runs/."""
    network: RestorerConfig = field(default_factory=RestorerConfig)
    data: RestoreDataConfig = field(default_factory=RestoreDataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    steps: int = 100_000
    """Length of the run. It may be changed when a run is resumed."""
    validation: tuple[str, ...] = ()
    """Folders of lossless photos."""
    validation_every: int = 5
    """Take every fifth of them, and of each the middle 256x256 pixels."""
    validation_steps: int = 1000
    """Steps between two validations."""
    bfloat16: bool = True
    """Multiply in bfloat16."""
    seed: int = 0
    save_minutes: float = 5.0
    start_from: str | None = None
    """The state.safetensors of another run whose network has the same sizes, or fewer blocks."""


def start_from(network: Restorer, weights: Mapping[str, Tensor]) -> None:
    """Takes over the weights of a network that may have fewer blocks. Blocks that it lacks add nothing at first.

    Args:
        network: The network that is going to learn.
        weights: The state of one that has learned.

    Raises:
        RuntimeError: The networks differ in more than the number of blocks.
    """
    merged = dict(weights)
    for name, value in network.state_dict().items():
        if name.startswith("step_scales."):
            merged[name] = torch.cat([weights[name], torch.zeros_like(value[len(weights[name]) :])])
        elif name not in weights:
            # The last layers of a block's two branches are merge and project.
            merged[name] = torch.zeros_like(value) if name.split(".")[-2] in ("merge", "project") else value
    network.load_state_dict(merged)


class RestoreTrainer(BaseTrainer):
    """Trains the restorer."""

    figures = ("loss", "gain_db")

    def __init__(self, config: RestoreRunConfig, folder: Path, *, quiet: bool = False):
        super().__init__(folder, steps=config.steps, save_minutes=config.save_minutes, quiet=quiet)
        torch.manual_seed(config.seed)
        self.config = config
        self.pairs = PAIRS[config.data.codec](config.data, folder)
        self.network = Restorer(config.network)
        self.network.narrow = config.bfloat16
        if config.start_from:
            start_from(self.network, load_state(Path(config.start_from))["average"])
        self.average = moving_average(self.network, config.optim)
        self.optimizers = build_optimizers(self.network, config.optim)
        self.processor_seconds, self.validated = 0.0, 0

    def save(self) -> None:
        super().save()
        minutes = self.processor_seconds / 60
        origin = f"python -m train.restore, {self.step} steps, {minutes:.0f} minutes of one core"
        released = TrainedRestorer(averaged(self.average, Restorer), origin=origin, codec=self.config.data.codec)
        save_restorer(released, self.folder / "restorer.safetensors")

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": averaged(self.average, Restorer).state_dict(),
            "averaged": int(self.average.n_averaged),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "processor_seconds": self.processor_seconds,
            "validated": self.validated,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        averaged(self.average, Restorer).load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
            keep_layout(optimizer)
        self.processor_seconds, self.validated = state["processor_seconds"], state["validated"]

    def train_step(self) -> dict[str, float]:
        """One batch. Returns the figures of the log."""
        began, optim = time.process_time(), self.config.optim
        factor = rate_factor(optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        stored, clean = self.pairs.batch(self.config.seed * 1_000_000_007 + self.step)
        errors = mean_squares(shown(self.network(stored)), clean)
        loss = (errors + 0.5).log().mean()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        norm = clip_gradient(self.network.parameters(), optim.clip, step=self.step)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update_parameters(self.network)
        with torch.no_grad():
            before = mean_squares(self.plain(stored), clean)
        self.step += 1
        self.processor_seconds += time.process_time() - began
        gain = 10 * (before.clamp(min=0.05) / errors.detach().clamp(min=0.05)).log10().mean()
        return {
            "step": self.step,
            "loss": loss.item(),
            "gain_db": gain.item(),
            "norm": norm.item(),
            "lr_factor": factor,
            "processor_minutes": self.processor_seconds / 60,
        }

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean gain over a plain decoder in dB of RGB, for each of QUALITIES or RATES."""
        network, gains = averaged(self.average, Restorer).eval(), {}
        crops = validation_crops(self.config.validation, every=self.config.validation_every)
        clean = as_tensor(crops)
        for setting, stored in _validation_files(crops, clean, self.config.data.codec):
            errors = mean_squares(shown(network(stored)).round(), clean)
            before = mean_squares(self.plain(stored), clean)
            gains[f"gain_{setting:g}"] = round(10 * (before / errors).log10().mean().item(), 3)
        return gains

    def plain(self, stored: StoredPlanes) -> Tensor:
        """What a plain decoder shows."""
        return decompress(stored, whole_planes=self.config.data.codec == "jpeg")

    def after_step(self, log: Log) -> None:
        due = self.step - self.validated >= self.config.validation_steps or self.progress >= 1
        if self.config.validation and due:
            self.validated = self.step
            row = {"step": self.step, "processor_minutes": round(self.processor_seconds / 60, 2), **self.validate()}
            log.file.write(json.dumps(row) + "\n")
            log.file.flush()
            if not self.quiet:
                print(row, file=sys.stderr)


def _validation_files(
    crops: Sequence[NDArray[np.uint8]], clean: Tensor, codec: str
) -> Iterator[tuple[float, StoredPlanes]]:
    """What the files of crops tell, at each setting."""
    if codec == "jpeg2000":
        for rate in RATES:
            files = [through_jpeg2000(crop, float(np.log(rate))) for crop in crops]
            bpp = torch.tensor([bpp for _, bpp in files])
            yield rate, stored_of_pixels(as_tensor([pixels for pixels, _ in files]), bpp)
        return
    for quality in QUALITIES:
        table = np.stack([at_quality(base, quality) for base in (LUMA, CHROMA, CHROMA)])
        tables = torch.from_numpy(table.astype(np.float32)).expand(len(crops), -1, -1)
        yield quality, compress(clean, tables, (2, 2))


def mean_squares(pixels: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of each picture, (B,)."""
    return (pixels - clean).square().mean((1, 2, 3))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = make_parser(
        "restore",
        __doc__,
        "examples:\n  python -m train.restore configs/restore.yaml --set data.exact=[~/png]\n"
        "  python -m train.restore configs/restore.yaml --resume\n"
        "the average is kept in runs/<name>/restorer.safetensors: semcomp restore photo.jpg --weights THAT",
    )
    options = parser.parse_args(arguments)
    trainer = begin(
        parser, options, RestoreRunConfig, lambda config, folder: RestoreTrainer(config, folder, quiet=options.quiet)
    )
    done = trainer.run(max_minutes=options.max_minutes)
    say_where(trainer, done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
