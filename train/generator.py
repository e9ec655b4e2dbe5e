"""Trains a generator: python -m train.generator configs/generator_street.yaml

It starts as the released synthesis and learns, on low qualities and on pictures of which only a part is kept, to make
what is missing look real: squared error, a perceptual distance, and a discriminator that knows latents, map and mask
(Agustsson et al. 2019; Mentzer et al. 2020, HiFiC; Muckley et al. 2023, MS-ILLM). The encoder stays as it is unless
`moves: analysis` lets it learn along; whatever decodes faithfully stays in either case.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from heads.datasets import find_dataset
from heads.depthwise import quick_depthwise
from semcomp.codec.release import load_release, save_release
from semcomp.generative.generator_file import TrainedGenerator, read_generator_file, save_generator
from semcomp.generative.network import Generator, GeneratorConfig
from semcomp.generative.render import feather
from semcomp.networks.model import CodecModel
from semcomp.semantics.results import VOID
from train.checkpoint import load_state, random_state, restore_random_state, save_state
from train.conditions import DrawConfig, Sample, draw
from train.contact_sheet import colours_of, mask_of, to_uint8, write_sheet
from train.discriminator import Discriminator, feature_distance, hinge_of_discriminator, weighted_mean
from train.export import with_analysis
from train.generator_config import RunConfig
from train.generator_export import card, released
from train.joint import Crops, LabelledConfig
from train.log import Log
from train.loop import begin, make_parser, part_done, run_to_the_end, say_where
from train.objective import Objective
from train.optim import build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.perceptual import find_distance
from train.semantic_loss import Meaning
from train.warm_start import start_from

SURROUNDINGS = 17
"""Side in pixels of the square that a pixel is compared with by `roughness`: just beyond a position of y."""
FIGURES = ("loss", "psnr_db", "perceptual", "adversarial", "discriminator")


class Trainer:
    """State of a run, and its loop."""

    def __init__(self, config: RunConfig, folder: Path, *, quiet: bool = False):
        self.config, self.folder, self.quiet = config, folder, quiet
        torch.manual_seed(config.seed)
        self.device = torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dataset = find_dataset("segment", config.data)
        labelled = LabelledConfig(data=config.data, batch=config.batch)
        self.crops = Crops(self.dataset, labelled, seed=config.seed * 100 + 1)
        self.release = load_release(config.start_from)
        self.objective = Objective(CodecModel(self.release.config), skip_below=config.skip_below)
        start_from(self.objective, config.start_from)
        self.objective.requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        c, n = self.release.config, config.network
        classes = len(self.dataset.classes)
        sizes = GeneratorConfig(
            classes=classes,
            latents=c.latents,
            c16=c.synthesis_c16,
            c8=c.synthesis_c8,
            c4=c.synthesis_c4,
            blocks16=c.synthesis_blocks16,
            blocks8=c.synthesis_blocks8,
            nodes=c.nodes,
            more16=n.more16,
            more8=n.more8,
            more4=n.more4,
            guide=n.guide,
            fill=n.fill,
            blocks_fill=n.blocks_fill,
        )
        self.generator = Generator(sizes)
        self.generator.synthesis.load_state_dict(self.objective.codec.synthesis.state_dict())
        if config.start_generator:
            self._take_over(read_generator_file(config.start_generator))
        self.discriminator = Discriminator(latents=c.latents, classes=classes, width=n.discriminator)
        for network in (self.generator, self.discriminator):
            network.to(self.device, memory_format=torch.channels_last)
        self.average = moving_average(self.generator, config.optim)
        self.optimizers = build_optimizers(self.generator, config.optim)
        if config.moves == "analysis":
            self.objective.codec.analysis.requires_grad_(True)
            self.optimizers += build_optimizers(self.objective.codec.analysis, config.optim)
        self.judge = torch.optim.AdamW(
            self.discriminator.parameters(), lr=config.discriminator_lr, betas=(0.5, 0.9), weight_decay=0.0
        )
        self.filler = torch.optim.AdamW(self.generator.fill.parameters(), lr=config.fill_lr, weight_decay=0.0)
        self.distance = find_distance(config.perceptual, device=self.device)
        self.meaning = Meaning(config.semantic, self.dataset, self.device) if config.semantic else None
        self.sampler = torch.Generator().manual_seed(config.seed * 1000 + 1)
        self.step, self.seconds, self.sheet_at = 0, 0.0, 0.0

    def _take_over(self, before: TrainedGenerator) -> None:
        if before.info.classes != self.dataset.classes or before.network.config != self.generator.config:
            raise ValueError(f"{self.config.start_generator} has other classes or sizes than this run")
        self.generator.load_state_dict(before.network.state_dict())

    @property
    def progress(self) -> float:
        """0..1 of the whole run."""
        c = self.config
        return part_done(step=self.step, seconds=self.seconds, steps=c.steps, minutes=c.minutes)

    def save(self) -> None:
        """The state, the generator's file, and with `moves: analysis` the codec's."""
        state = {
            "generator": self.generator.state_dict(),
            "average": self.average.module.state_dict(),
            "averaged": int(self.average.n_averaged),
            "discriminator": self.discriminator.state_dict(),
            "analysis": self.objective.codec.analysis.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._all_optimizers()],
            "sampler": self.sampler.get_state(),
            "crops": self.crops.rng.bit_generator.state,
            "random": random_state(),
            "step": self.step,
            "seconds": self.seconds,
            "sheet_at": self.sheet_at,
        }
        save_state(self.folder / "state.safetensors", state)
        self.export(self.folder / "generator.safetensors")

    def resume(self) -> None:
        """Continue exactly where `save` was called. ValueError if nothing was saved."""
        path = self.folder / "state.safetensors"
        if not path.exists():
            raise ValueError(f"nothing to resume: there is no {path}")
        state = load_state(path)
        self.generator.load_state_dict(state["generator"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.objective.codec.analysis.load_state_dict(state["analysis"])
        for optimizer, saved in zip(self._all_optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            keep_layout(optimizer)
        self.sampler.set_state(state["sampler"])
        self.crops.rng.bit_generator.state = state["crops"]
        restore_random_state(state["random"])
        self.step, self.seconds, self.sheet_at = state["step"], state["seconds"], state["sheet_at"]

    def _all_optimizers(self) -> list[torch.optim.Optimizer]:
        return [*self.optimizers, self.judge, self.filler]

    def _autocast(self) -> AbstractContextManager[object]:
        if not self.config.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _quick(self) -> AbstractContextManager[object]:
        if self.device.type == "cuda":
            return nullcontext()
        return quick_depthwise(self.generator, self.objective.codec)

    def _draw(self, config: DrawConfig) -> Sample:
        """The next batch under conditions drawn as told."""
        x, label_map = self.crops.batch()
        classes = len(self.dataset.classes)
        return draw(x, label_map, classes=classes, config=config, generator=self.sampler).to(self.device)

    def train_step(self) -> dict[str, float]:
        """One batch. Returns the figures of the log."""
        config = self.config
        if self.step < config.fill_steps:
            return self._fill_step()
        self.generator.fill.requires_grad_(config.fill_steps == 0)
        factor = rate_factor(config.optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        for group in self.judge.param_groups:
            group["lr"] = config.discriminator_lr * factor
        sample = self._draw(config.draw)
        with self._quick(), self._autocast():
            y_hat, rate = self._encode(sample)
            made, shown = self._make(self.generator, sample, y_hat)
            loss, row = self._loss(sample, y_hat, made, shown)
            loss = loss + config.loss.rate * rate
        loss.backward()
        moving = [p for p in (*self.generator.parameters(), *self.objective.parameters()) if p.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(moving, config.optim.clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient is {float(norm)} at step {self.step}; lower optim.lr")
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.generator)
        row["discriminator"] = self._teach(sample, y_hat.detach(), shown.detach())
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

    def _make(self, generator: Generator, sample: Sample, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """The generator's picture, and what a decoder shows: the synthesis where a part is kept."""
        keep = sample.keep.float()
        noise = generator.draw_noise(len(y_hat), *y_hat.shape[2:])
        made = generator(y_hat, sample.quality, sample.guide, keep, noise)
        if not sample.selective.any():
            return made, made
        with torch.no_grad():
            faithful = self.objective.codec.synthesis(y_hat, sample.quality)
            weight = feather(keep) * sample.selective[:, None, None, None]
        return made, torch.lerp(made, faithful, weight)

    def _loss(self, sample: Sample, y_hat: Tensor, made: Tensor, shown: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The generator's loss of a batch, and its parts."""
        w = self.config.loss
        weight = sample.keep.float().repeat_interleave(16, 2).repeat_interleave(16, 3)
        error = (made - sample.x).square().mean(1, keepdim=True) * 255**2
        mse = (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1)
        beyond = (error * (1 - weight)).mean((1, 2, 3))
        perceptual = self.distance(made, sample.x, weight + w.perceptual_beyond * (1 - weight))
        keep, counted = sample.keep.float(), self._counted(sample)
        self.discriminator.requires_grad_(False)
        logits, features = self.discriminator(shown, y_hat.detach(), sample.guide, keep)
        with torch.no_grad():
            _, wanted = self.discriminator(sample.x, y_hat, sample.guide, keep)
        self.discriminator.requires_grad_(True)
        adversarial, matching = -weighted_mean(logits, counted), feature_distance(features, wanted, counted)
        counts = float(self.progress >= self.config.adversarial_from)
        loss = (torch.where(sample.selective, w.mse_kept, w.mse) * mse).mean() + w.perceptual * perceptual.mean()
        loss = loss + w.mse_beyond * beyond.mean()
        if w.rough_beyond:
            loss = loss + w.rough_beyond * (roughness(made) * (1 - weight)).mean()
        loss = loss + counts * (w.adversarial * adversarial + w.feature_matching * matching)
        semantic = torch.zeros(())
        if self.meaning and self.progress >= self.config.semantic_from:
            seen = (weight[:, 0] > 0) if w.adversarial_beyond == 0 else torch.ones_like(weight[:, 0], dtype=torch.bool)
            semantic = self.meaning(shown, torch.where(seen, sample.label_map, VOID))
            loss = loss + w.semantic * semantic
        psnr_db = (10 * torch.log10(255**2 / mse.detach().clamp_min(1e-3))).mean()
        row = {
            "psnr_db": psnr_db.item(),
            "perceptual": perceptual.mean().item(),
            "adversarial": adversarial.item(),
            "matching": matching.item(),
            "semantic": semantic.item(),
        }
        return loss, row

    def _counted(self, sample: Sample) -> Tensor:
        """How much each patch counts in the adversarial losses, (B, 1, H/16, W/16)."""
        keep = sample.keep.float()
        return keep + self.config.loss.adversarial_beyond * (1 - keep)

    def _teach(self, sample: Sample, y_hat: Tensor, shown: Tensor) -> float:
        """One step of the discriminator. Returns its loss."""
        keep = sample.keep.float()
        with self._autocast():
            real, _ = self.discriminator(sample.x, y_hat, sample.guide, keep)
            made, _ = self.discriminator(shown, y_hat, sample.guide, keep)
            loss = hinge_of_discriminator(real, made, self._counted(sample))
        loss.backward()
        self.judge.step()
        self.judge.zero_grad()
        return loss.item()

    @torch.no_grad()
    def write_sheet(self) -> None:
        """The first crops of the validation pictures, under conditions that are the same on every sheet."""
        rng = torch.Generator().manual_seed(0)
        xs, maps = [], []
        count = self.config.sheet_pictures
        for entry in self.dataset.val[:: max(1, len(self.dataset.val) // count)][:count]:
            crops = Crops(replace(self.dataset, train=(entry,)), LabelledConfig(data=self.config.data, batch=1), seed=0)
            x, label_map = crops.batch()
            xs.append(x)
            maps.append(label_map)
        batch = draw(
            torch.cat(xs), torch.cat(maps), classes=len(self.dataset.classes), config=self.config.draw, generator=rng
        ).to(self.device)
        average = self.average.module.eval()
        with self._autocast():
            y_hat, _ = self._encode(batch)
            faithful = self.objective.codec.synthesis(y_hat, batch.quality)
            _, shown = self._make(average, batch, y_hat)
        columns = [
            *(to_uint8(value) for value in (batch.x, faithful, shown)),
            colours_of(batch.label_map, self.dataset.palette),
            mask_of(batch.keep),
        ]
        write_sheet(self.folder / "sheets" / f"{self.step:07d}.png", columns, batch.in_words())

    def run(self, *, max_minutes: float | None = None) -> bool:
        """Train to the end, or until the time is up or a signal asks to stop. True at the end of the run."""

        def after_step(log: Log) -> None:
            if self.seconds - self.sheet_at >= 60 * self.config.sheet_minutes or self.progress >= 1:
                self.sheet_at = self.seconds
                state = random_state()
                self.write_sheet()
                restore_random_state(state)

        c = self.config
        return run_to_the_end(
            self, save_minutes=c.save_minutes, max_minutes=max_minutes, figures=FIGURES, after_step=after_step
        )

    def export(self, path: Path) -> TrainedGenerator:
        """Write the averaged generator in half precision, and with `moves: analysis` the codec beside it."""
        made = released(
            self.average.module,
            self.config,
            self.dataset,
            self.release,
            steps=self.step,
            seconds=self.seconds,
            perceptual=self.distance.name,
        )
        save_generator(made, path)
        if self.config.moves == "analysis":
            analysis = self.objective.codec.analysis
            save_release(
                with_analysis(self.release, analysis, name=self.config.name, origin=made.info.origin),
                path.with_name("codec.safetensors"),
            )
        return made


def roughness(x: Tensor) -> Tensor:
    """Squared difference between each pixel and the mean of its surroundings, on the 0-255 scale: (B, 1, H, W)."""
    around = F.avg_pool2d(x.detach(), SURROUNDINGS, 1, SURROUNDINGS // 2, count_include_pad=False)
    return (x - around).square().mean(1, keepdim=True) * 255**2


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
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
