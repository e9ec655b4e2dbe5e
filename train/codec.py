"""Trains the codec: python -m train.codec configs/codec_base.yaml

One model serves every rate, because each crop of a batch draws its own quality. The YAML file holds everything that a
run needs, and every value can be set on the command line. A run that was stopped continues where it stopped.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.rate_table import QUALITIES
from semcomp.types import STRIDE_Z
from train import ranks
from train.command_line import begin, make_parser, say_where
from train.log import Log
from train.objective import Objective
from train.optim import OptimConfig, build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.photos import Mix, Photos, find_photos, tiles
from train.trainer import BaseTrainer, averaged, channels_last, clip_gradient
from train.validate import Validation
from train.warm_start import start_from


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The photos that the codec learns on, and how crops are cut."""

    photos: tuple[str, ...] = ("data/photos",)
    """Folders of photos, searched with their subfolders."""
    limit: int | None = None
    """Largest number of photos that are used."""
    crop: int = 256
    """Side of a crop, a multiple of 64."""
    batch: int = 8
    """Crops a step and device."""
    mix: Mix = field(default_factory=Mix)
    """What crops show."""
    small: float = 0.0
    """Share of the steps whose crops are cut into tiles of 64x64. Their z has one position, and no neighbours."""

    def __post_init__(self) -> None:
        if self.crop % 64:
            raise ValueError(f"data.crop must be a multiple of 64, not {self.crop}")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The line of rate and distortion that is written while training."""

    photos: tuple[str, ...] = ()
    """Folders of lossless photos. Without one there is no validation."""
    native: tuple[str, ...] = ()
    """Folders of lossless photos at native resolution. All of them are used, and their figures stay apart."""
    every: int = 5
    """Every fifth photo is used."""
    qualities: tuple[int, ...] = (1, 20, 40, 60, 80, 100)
    minutes: float = 10.0
    """Time between two lines."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. Its length is given in minutes or in steps."""

    name: str
    """The run's folder below runs/."""
    codec: CodecConfig = field(default_factory=CodecConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    minutes: float | None = None
    steps: int | None = None
    rounded_from: float = 1.0
    """Share of the run after which the rate counts rounded symbols instead of noisy ones (soft, then hard: Guo et al.
    2021). 1 means never. The released run used 0.75 and lost by it: while the learning rate fell to its end, z grew
    from 0.015 to 0.024 bpp, and BD-rate went from -55.3 to -54.8 %."""
    quantizer: str = "mixed"
    """Substitute for rounding (train/quantizers.py): mixed, noise, straight, dithered or soft."""
    skip_below: int = 4
    """Elements with a smaller table number are never coded. Their sigma is below 0.18."""
    seed: int = 0
    precision: str = "bf16-mixed"
    """Lightning Fabric's name: bf16-mixed or 32-true."""
    compile: bool = True
    """torch.compile, on CUDA only: on two CPU cores it was slower than eager."""
    devices: int | None = None
    """GPUs a machine, or processes on the CPU. None is every GPU, or one process on the CPU."""
    machines: int = 1
    """Machines that train together."""
    save_minutes: float = 5.0
    start_from: str | None = None
    """Another run's state.safetensors, or released weights by name or path, to start from."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give the length of the run as either minutes or steps")


class Trainer(BaseTrainer):
    """Trains a codec."""

    def __init__(self, config: RunConfig, folder: Path, *, quiet: bool = False):
        super().__init__(
            folder, steps=config.steps, minutes=config.minutes, save_minutes=config.save_minutes, quiet=quiet
        )
        self.config = config
        torch.manual_seed(config.seed)
        self.fabric = ranks.start(devices=config.devices, machines=config.machines, precision=config.precision)
        self.is_main = self.fabric.is_global_zero
        self.device = self.fabric.device
        cuda = self.device.type == "cuda"
        self.photos = Photos(
            find_photos(config.data.photos)[: config.data.limit],
            smallest=config.data.crop,
            device=self.device,
            quiet=quiet,
        )
        self.objective = Objective(CodecModel(config.codec), skip_below=config.skip_below, quantizer=config.quantizer)
        if config.start_from:
            start_from(self.objective, config.start_from)
        channels_last(self.objective, self.device)
        self.average = moving_average(self.objective, config.optim)
        self.optimizers = build_optimizers(self.objective, config.optim)
        module: Any = torch.compile(self.objective) if cuda and config.compile else self.objective
        self.wrapped, *self.wrapped_optimizers = self.fabric.setup(module, *self.optimizers)
        self.sampler = torch.Generator().manual_seed(ranks.seed_of_rank(config.seed, self.fabric.global_rank))
        if not self.is_main:
            torch.manual_seed(ranks.seed_of_rank(config.seed, self.fabric.global_rank))
        self.validated = 0.0
        self.validation: Validation | None = None

    def save(self) -> None:
        if self.is_main:
            super().save()
        else:
            ranks.save_rank(self.folder, self.fabric.global_rank, sampler=self.sampler, step=self.step)
        self.fabric.barrier()

    def resume(self) -> None:
        super().resume()
        if not self.is_main:
            ranks.restore_rank(
                self.folder, self.fabric.global_rank, sampler=self.sampler, step=self.step, seed=self.config.seed
            )

    def agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        return ranks.agreed(self.fabric, seconds=seconds, stop=stop)

    def state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "average": averaged(self.average, Objective).state_dict(),
            "averaged": int(self.average.n_averaged),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "sampler": self.sampler.get_state(),
            "validated": self.validated,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.objective.load_state_dict(state["objective"])
        averaged(self.average, Objective).load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            keep_layout(optimizer)
        self.sampler.set_state(state["sampler"])
        self.validated = state["validated"]

    def train_step(self) -> dict[str, float]:
        config = self.config
        factor = rate_factor(config.optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        x = self.photos.batch(config.data.batch, config.data.crop, mix=config.data.mix, generator=self.sampler)
        if config.data.small and torch.rand((), generator=self.sampler) < config.data.small:
            x = tiles(x, STRIDE_Z)
        quality = torch.randint(1, QUALITIES + 1, (len(x),), generator=self.sampler).to(self.device)
        self.objective.quantizer.progress = self.progress
        measured = self.wrapped(x, quality, self.progress >= config.rounded_from)
        loss = self.objective.loss(measured, quality)
        self.fabric.backward(loss)
        norm = clip_gradient(self.objective.parameters(), config.optim.clip, step=self.step)
        for optimizer in self.wrapped_optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.objective)
        self.step += 1
        with torch.no_grad():
            return {
                "step": self.step,
                "loss": loss.item(),
                "norm": norm.item(),
                "lr_factor": factor,
                "bpp": (measured.bpp_y + measured.bpp_z).mean().item(),
                "bpp_z": measured.bpp_z.mean().item(),
                "psnr_db": (10 * torch.log10(255**2 / measured.mse)).mean().item(),
            }

    def run(self, *, max_minutes: float | None = None) -> bool:
        v = self.config.validation
        if v.photos and self.is_main:
            self.validation = Validation(v.photos, every=v.every, qualities=v.qualities, native=v.native)
        return super().run(max_minutes=max_minutes)

    def after_step(self, log: Log) -> None:
        due = self.seconds - self.validated >= 60 * self.config.validation.minutes or self.progress >= 1
        if self.validation and due:
            self.validated = self.seconds
            row = self.validation.run(averaged(self.average, Objective), device=self.device)
            log.write({"step": self.step, "minutes": round(self.seconds / 60, 2), **row})


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = make_parser(
        "codec",
        __doc__,
        "examples:\n  python -m train.codec configs/codec_base.yaml --set data.photos=[~/photos]\n"
        "  python -m train.codec configs/codec_base.yaml --max-minutes 60\n"
        "  python -m train.codec configs/codec_base.yaml --resume\n"
        "afterwards:\n  python -m train.export runs/base semcomp/weights/base.safetensors",
    )
    options = parser.parse_args(arguments)
    trainer = begin(parser, options, RunConfig, lambda config, folder: Trainer(config, folder, quiet=options.quiet))
    done = trainer.run(max_minutes=options.max_minutes)
    say_where(trainer, done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
