"""Trains the codec: python -m train.codec configs/codec_base.yaml

One model for every rate: each crop of a batch draws its own quality. Everything that a run needs stands in its YAML
file, every value can be set on the command line, and a run that was stopped goes on where it stopped.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from lightning.fabric import Fabric

from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.rate_table import QUALITIES
from train.checkpoint import load_state, random_state, restore_random_state, save_state
from train.log import Log
from train.loop import begin, make_parser, part_done, run_to_the_end, say_where
from train.objective import Objective
from train.optim import OptimConfig, build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.photos import Photos, find_photos
from train.validate import Validation
from train.warm_start import start_from


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is trained on."""

    photos: tuple[str, ...] = ("data/photos",)
    """Folders of photos, searched with their subfolders."""
    limit: int | None = None
    """Take only so many photos."""
    crop: int = 256
    """Side of a crop, a multiple of 64."""
    batch: int = 8
    """Crops a step and device."""
    halve: float = 0.2
    """Part of the crops that are shown at half their resolution."""

    def __post_init__(self) -> None:
        if self.crop % 64:
            raise ValueError(f"data.crop must be a multiple of 64, not {self.crop}")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The line that is written while training."""

    photos: tuple[str, ...] = ()
    """Folders of lossless photos; none, no validation."""
    every: int = 5
    """Take every fifth of them."""
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
    """From this part of the run on, the rate is that of rounded symbols instead of noisy ones (soft, then hard:
    Guo et al. 2021); 1 never. The released run began at 0.75 and lost by it: while the learning rate fell to its end,
    z grew from .015 to .024 bpp, and BD-rate went from -55.3 to -54.8 %."""
    skip_below: int = 4
    """Elements whose table number is smaller are never coded: their sigma is below 0.18."""
    seed: int = 0
    precision: str = "bf16-mixed"
    """Lightning Fabric's name: bf16-mixed or 32-true."""
    compile: bool = True
    """torch.compile, on CUDA only: on two CPU cores it was slower than eager (0.44 s a step and more, against 0.36)."""
    save_minutes: float = 5.0
    start_from: str | None = None
    """Another run's state.safetensors, or released weights by name or path, to start from."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give the length of the run as either minutes or steps")


class Trainer:
    """State of a run, and its loop."""

    def __init__(self, config: RunConfig, folder: Path, *, quiet: bool = False):
        self.config, self.folder, self.quiet = config, folder, quiet
        torch.manual_seed(config.seed)
        self.fabric = Fabric(precision=config.precision)
        self.fabric.launch()
        self.device = self.fabric.device
        cuda = self.device.type == "cuda"
        self.photos = Photos(
            find_photos(config.data.photos)[: config.data.limit],
            smallest=config.data.crop,
            device=self.device,
            quiet=quiet,
        )
        self.objective = Objective(CodecModel(config.codec), skip_below=config.skip_below)
        if config.start_from:
            start_from(self.objective, config.start_from)
        self.objective.to(self.device, memory_format=torch.channels_last)
        self.average = moving_average(self.objective, config.optim)
        self.optimizers = build_optimizers(self.objective, config.optim)
        module = torch.compile(self.objective) if cuda and config.compile else self.objective
        self.wrapped, *self.wrapped_optimizers = self.fabric.setup(module, *self.optimizers)
        self.sampler = torch.Generator().manual_seed(config.seed * 1000 + 1 + self.fabric.global_rank)
        self.step, self.seconds, self.validated = 0, 0.0, 0.0

    @property
    def progress(self) -> float:
        """0..1 of the whole run."""
        return part_done(step=self.step, seconds=self.seconds, steps=self.config.steps, minutes=self.config.minutes)

    def save(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "objective": self.objective.state_dict(),
                "average": self.average.module.state_dict(),
                "averaged": int(self.average.n_averaged),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "sampler": self.sampler.get_state(),
                "random": random_state(),
                "step": self.step,
                "seconds": self.seconds,
                "validated": self.validated,
            }
            save_state(self.folder / "state.safetensors", state)

    def resume(self) -> None:
        """Continue exactly where `save` was called. ValueError if nothing was saved."""
        path = self.folder / "state.safetensors"
        if not path.exists():
            raise ValueError(f"nothing to resume: there is no {path}")
        state = load_state(path)
        self.objective.load_state_dict(state["objective"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            keep_layout(optimizer)
        self.sampler.set_state(state["sampler"])
        restore_random_state(state["random"])
        self.step, self.seconds, self.validated = state["step"], state["seconds"], state["validated"]

    def train_step(self) -> dict[str, float]:
        """One batch. Returns the figures of the log."""
        config = self.config
        factor = rate_factor(config.optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        x = self.photos.batch(config.data.batch, config.data.crop, halve=config.data.halve, generator=self.sampler)
        quality = torch.randint(1, QUALITIES + 1, (config.data.batch,), generator=self.sampler).to(self.device)
        measured = self.wrapped(x, quality, self.progress >= config.rounded_from)
        loss = self.objective.loss(measured, quality)
        self.fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), config.optim.clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient is {float(norm)} at step {self.step}; lower optim.lr")
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
        """Train to the end, or until the time is up or a signal asks to stop. True at the end of the run."""
        validation = None
        v = self.config.validation
        if v.photos and self.fabric.is_global_zero:
            validation = Validation(v.photos, every=v.every, qualities=v.qualities)

        def after_step(log: Log) -> None:
            due = self.seconds - self.validated >= 60 * v.minutes or self.progress >= 1
            if validation and due:
                self.validated = self.seconds
                log.write({"step": self.step, "minutes": round(self.seconds / 60, 2), **self.validate(validation)})

        return run_to_the_end(
            self, save_minutes=self.config.save_minutes, max_minutes=max_minutes, after_step=after_step
        )

    def validate(self, validation: Validation) -> dict[str, object]:
        return validation.run(self.average.module, device=self.device)


def main(arguments: list[str] | None = None) -> int:
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
