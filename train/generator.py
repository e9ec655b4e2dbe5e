"""Trains a generator: python -m train.generator configs/generator_street.yaml

It starts as the released synthesis. On low qualities and on images that are kept only in part, it learns to make what
is missing look real. Its loss is a squared error, a perceptual distance, and the verdict of a discriminator that knows
latents, map and mask (Agustsson et al. 2019; Mentzer et al. 2020, HiFiC; Muckley et al. 2023, MS-ILLM). The encoder
stays unless `moves: analysis` lets it learn along. Everything that decodes faithfully stays in either case.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heads.depthwise import quick_depthwise
from heads.find_dataset import find_dataset
from semcomp.codec.release import load_release, save_release
from semcomp.generative.generator_file import TrainedGenerator, save_generator
from semcomp.generative.network import Generator
from semcomp.generative.render import feather
from train.adversary import Adversary, Rendered
from train.checkpoint import random_state, restore_random_state
from train.command_line import begin, make_parser, say_where
from train.conditions import DrawConfig, Sample, draw
from train.contact_sheet import colours_of, mask_of, to_uint8, write_sheet
from train.crops import Crops, LabelledConfig
from train.export import with_analysis
from train.generator_config import RunConfig
from train.generator_export import card, released
from train.generator_loss import GeneratorLoss
from train.generator_networks import frozen_objective, new_discriminator, new_generator
from train.log import Log
from train.optim import build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.perceptual import find_distance
from train.semantic_loss import Meaning
from train.trainer import BaseTrainer, averaged, channels_last, clip_gradient


class Trainer(BaseTrainer):
    """Trains a generator against its adversary."""

    figures = ("loss", "psnr_db", "perceptual", "adversarial", "discriminator")

    def __init__(self, config: RunConfig, folder: Path, *, quiet: bool = False):
        super().__init__(
            folder, steps=config.steps, minutes=config.minutes, save_minutes=config.save_minutes, quiet=quiet
        )
        self.config = config
        torch.manual_seed(config.seed)
        self.device = torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dataset = find_dataset("segment", config.data)
        labelled = LabelledConfig(data=config.data, batch=config.batch)
        self.crops = Crops(self.dataset, labelled, seed=config.seed * 100 + 1)
        self.release = load_release(config.start_from)
        self.objective = frozen_objective(config, self.release, self.device)
        self.generator = new_generator(config, self.objective, self.dataset.classes)
        discriminator = new_discriminator(config, self.objective, self.dataset.classes)
        for network in (self.generator, discriminator):
            channels_last(network, self.device)
        self.adversary = Adversary(discriminator, lr=config.discriminator_lr, beyond=config.loss.adversarial_beyond)
        self.average = moving_average(self.generator, config.optim)
        self.optimizers = build_optimizers(self.generator, config.optim)
        if config.moves == "analysis":
            self.objective.codec.analysis.requires_grad_(True)
            self.optimizers += build_optimizers(self.objective.codec.analysis, config.optim)
        self.filler = torch.optim.AdamW(self.generator.fill.parameters(), lr=config.fill_lr, weight_decay=0.0)
        meaning = Meaning(config.semantic, self.dataset, self.device) if config.semantic else None
        self.loss = GeneratorLoss(
            config, distance=find_distance(config.perceptual, device=self.device), meaning=meaning
        )
        self.sampler = torch.Generator().manual_seed(config.seed * 1000 + 1)
        self.sheet_at = 0.0

    def state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "average": averaged(self.average, Generator).state_dict(),
            "averaged": int(self.average.n_averaged),
            "discriminator": self.adversary.network.state_dict(),
            "analysis": self.objective.codec.analysis.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._all_optimizers()],
            "sampler": self.sampler.get_state(),
            "crops": self.crops.rng.bit_generator.state,
            "sheet_at": self.sheet_at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        averaged(self.average, Generator).load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.adversary.network.load_state_dict(state["discriminator"])
        self.objective.codec.analysis.load_state_dict(state["analysis"])
        for optimizer, saved in zip(self._all_optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            keep_layout(optimizer)
        self.sampler.set_state(state["sampler"])
        self.crops.rng.bit_generator.state = state["crops"]
        self.sheet_at = state["sheet_at"]

    def save(self) -> None:
        """Writes the state, the generator's file, and with `moves: analysis` the codec's."""
        super().save()
        self.export(self.folder / "generator.safetensors")

    def _all_optimizers(self) -> list[torch.optim.Optimizer]:
        return [*self.optimizers, self.adversary.optimizer, self.filler]

    def _autocast(self) -> AbstractContextManager[object]:
        if not self.config.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _quick(self) -> AbstractContextManager[object]:
        if self.device.type == "cuda":
            return nullcontext()
        return quick_depthwise(self.generator, self.objective.codec)

    def _draw(self, config: DrawConfig) -> Sample:
        """The next batch, under conditions that are drawn as `config` says."""
        x, label_map = self.crops.batch()
        classes = len(self.dataset.classes)
        return draw(x, label_map, classes=classes, config=config, generator=self.sampler).to(self.device)

    def train_step(self) -> dict[str, float]:
        config = self.config
        if self.step < config.fill_steps:
            return self._fill_step()
        self.generator.fill.requires_grad_(config.fill_steps == 0)
        factor = rate_factor(config.optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        self.adversary.set_rate(factor)
        sample = self._draw(config.draw)
        with self._quick(), self._autocast():
            y_hat, rate = self._encode(sample)
            rendered = self._render(self.generator, sample, y_hat)
            loss, row = self.loss(rendered, self.adversary, progress=self.progress)
            loss = loss + config.loss.rate * rate
        loss.backward()
        moving = [p for p in (*self.generator.parameters(), *self.objective.parameters()) if p.requires_grad]
        norm = clip_gradient(moving, config.optim.clip, step=self.step)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.generator)
        row["discriminator"] = self.adversary.teach(rendered.detached(), autocast=self._autocast())
        self.step += 1
        return {"step": self.step, "loss": loss.item(), "norm": norm.item(), "lr_factor": factor, **row}

    def _fill_step(self) -> dict[str, float]:
        """One batch for the fill alone, of crops that are all kept in part."""
        config = self.config
        factor = 1 - self.step / config.fill_steps
        for group in self.filler.param_groups:
            group["lr"] = config.fill_lr * factor
        sample = self._draw(replace(config.draw, selective=1.0))
        keep = sample.keep.float()
        with self._quick(), self._autocast():
            with torch.no_grad():
                wanted = self.objective.codec.analysis(sample.x).float()
                y_hat = self.objective.encode(sample.x, sample.quality, sample.keep).y_hat
            filled = self.generator.fill(y_hat, Generator.coarse(sample.guide, keep), keep)
            error = (filled - wanted).square().sum(1, keepdim=True)
            loss = (error * (1 - keep)).sum() / (1 - keep).sum().clamp_min(1)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.generator.fill.parameters(), config.optim.clip)
        self.filler.step()
        self.filler.zero_grad()
        self.average.update_parameters(self.generator)
        self.step += 1
        return {"step": self.step, "loss": loss.item(), "norm": norm.item(), "lr_factor": factor}

    def _encode(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """y_hat, and with `moves: analysis` the loss of the codec."""
        if self.config.moves == "analysis":
            measured, y_hat = self.objective.measure(sample.x, sample.quality, keep=sample.keep)
            return y_hat, self.objective.loss(measured, sample.quality)
        with torch.no_grad():
            coded = self.objective.encode(sample.x, sample.quality, sample.keep)
        return coded.y_hat, torch.zeros((), device=self.device)

    def _render(self, generator: Generator, sample: Sample, y_hat: Tensor) -> Rendered:
        """The generator's image, and what a decoder shows: the synthesis where something is kept."""
        keep = sample.keep.float()
        noise = generator.draw_noise(len(y_hat), *y_hat.shape[2:])
        made = generator(y_hat, sample.quality, sample.guide, keep, noise)
        if not sample.selective.any():
            return Rendered(sample, y_hat, made, made)
        with torch.no_grad():
            faithful = self.objective.codec.synthesis(y_hat, sample.quality)
            weight = feather(keep) * sample.selective[:, None, None, None]
        return Rendered(sample, y_hat, made, torch.lerp(made, faithful, weight))

    def after_step(self, log: Log) -> None:
        if self.seconds - self.sheet_at >= 60 * self.config.sheet_minutes or self.progress >= 1:
            self.sheet_at = self.seconds
            state = random_state()
            self.write_sheet()
            restore_random_state(state)

    @torch.no_grad()
    def write_sheet(self) -> None:
        """Draws the first crops of the validation images, under conditions that are equal on every sheet."""
        batch = self._validation_sample()
        with self._autocast():
            y_hat, _ = self._encode(batch)
            faithful = self.objective.codec.synthesis(y_hat, batch.quality)
            shown = self._render(averaged(self.average, Generator).eval(), batch, y_hat).shown
        columns = [
            *(to_uint8(value) for value in (batch.x, faithful, shown)),
            colours_of(batch.label_map, self.dataset.palette),
            mask_of(batch.keep),
        ]
        write_sheet(self.folder / "sheets" / f"{self.step:07d}.png", columns, batch.in_words())

    def _validation_sample(self) -> Sample:
        xs, maps = [], []
        count, entries = self.config.sheet_pictures, self.dataset.val
        for entry in entries[:: max(1, len(entries) // count)][:count]:
            crops = Crops(replace(self.dataset, train=(entry,)), LabelledConfig(data=self.config.data, batch=1), seed=0)
            x, label_map = crops.batch()
            xs.append(x)
            maps.append(label_map)
        classes, rng = len(self.dataset.classes), torch.Generator().manual_seed(0)
        sample = draw(torch.cat(xs), torch.cat(maps), classes=classes, config=self.config.draw, generator=rng)
        return sample.to(self.device)

    def export(self, path: Path) -> TrainedGenerator:
        """Writes the averaged generator in half precision, and with `moves: analysis` the codec beside it."""
        made = released(
            averaged(self.average, Generator),
            self.config,
            self.dataset,
            self.release,
            steps=self.step,
            seconds=self.seconds,
            perceptual=self.loss.distance.name,
        )
        save_generator(made, path)
        if self.config.moves == "analysis":
            analysis = self.objective.codec.analysis
            save_release(
                with_analysis(self.release, analysis, name=self.config.name, origin=made.info.origin),
                path.with_name("codec.safetensors"),
            )
        return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = make_parser(
        "generator",
        __doc__,
        "examples:\n  python -m train.generator configs/generator_street.yaml --max-minutes 60\n"
        "  python -m train.generator configs/generator_street.yaml --resume "
        "-o semcomp/weights/generator_street.safetensors",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the generator and its card here")
    options = parser.parse_args(arguments)
    trainer = begin(parser, options, RunConfig, lambda config, folder: Trainer(config, folder, quiet=options.quiet))
    done = trainer.run(max_minutes=options.max_minutes)
    for path in filter(None, (trainer.folder / "generator.safetensors", options.output)):
        made = trainer.export(path)
        path.with_suffix(".md").write_text(card(made, trainer.config, path), encoding="utf-8")
    say_where(trainer, done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
