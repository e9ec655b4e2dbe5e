"""Trains the codec for images and for recognition at once: python -m train.joint configs/joint.yaml

    L = (R + lmbda D) / sqrt(lmbda) + gamma S

S is the mean loss of the heads, which read y_hat and learn along. Each step takes a batch of photos (rate and
distortion) and a batch of crops of every labelled set (rate, distortion and S). There are two settings:

    moves: analysis    only the analysis learns; tables, integer path, mean path and synthesis stay, so files and
                       entropy id stay valid
    moves: everything  a new model, with tables of its own

A run with gamma 0 is the control: it sees the same data for the same steps, and the heads learn behind a stopped
gradient.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from heads.datasets import Dataset
from heads.depthwise import quick_depthwise
from heads.find_dataset import find_dataset
from heads.head_file import TASKS, HeadInfo, Network, NetworkHead, build_head, build_network
from heads.latent_cache import whole_pictures
from heads.validation import validate
from semcomp import config as configuration
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release, load_release, save_release
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.rate_table import QUALITIES
from semcomp.semantics.head import load_head
from train.checkpoint import load_state
from train.command_line import begin, make_parser, say_where
from train.crops import Crops
from train.export import export, pictures_for_tables, with_analysis
from train.joint_config import JointConfig
from train.objective import Objective
from train.optim import build_optimizers, keep_layout, moving_average, rate_factor, set_rates
from train.photos import Mix, Photos, find_photos
from train.semantic_loss import semantic_loss
from train.trainer import BaseTrainer, averaged, channels_last
from train.validate import Validation
from train.warm_start import start_from

VALIDATED = (1, 20, 40, 60, 80, 100)
"""Qualities of the rate-distortion line."""


def head_of(dataset: Dataset, codec: CodecModel, start: str | None = None) -> Network:
    """A head for a labelled set: untrained, or a copy of a trained one.

    A trained head keeps the statistics of its batch norms, because batches of a few crops would only blur them.

    Raises:
        ValueError: The trained head knows other classes.
    """
    if start is not None:
        head = load_head(start)
        if not isinstance(head, NetworkHead) or head.classes != dataset.classes:
            raise ValueError(f"the head {start} does not know the classes {', '.join(dataset.classes)}")
        network = head.network.train().requires_grad_(True)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return network
    c, sizes = codec.config, TASKS[dataset.task].sizes()
    return build_network(replace(sizes, classes=len(dataset.classes), latents=c.latents, nodes=c.nodes))


class Trainer(BaseTrainer):
    """Trains codec and heads together."""

    figures = ("rd", "bpp")

    def __init__(self, config: JointConfig, folder: Path, *, quiet: bool = False):
        super().__init__(folder, steps=config.steps, log_every=min(50, config.steps), quiet=quiet)
        self.config = config
        torch.manual_seed(config.seed)
        self.objective = channels_last(self._objective())
        self.average = moving_average(self.objective, config.optim)
        self.optimizers = build_optimizers(self.objective, config.optim)
        self.sets = {
            name: Crops(find_dataset(entry.task, entry.data), entry, seed=config.seed * 100 + number)
            for number, (name, entry) in enumerate(config.labelled.items())
        }
        self.networks = {name: head_of(s.dataset, self.objective.codec, s.config.head) for name, s in self.sets.items()}
        self.heads = channels_last(nn.ModuleDict(self.networks))
        self.head_optimizer = torch.optim.AdamW(
            self.heads.parameters(), lr=config.head_lr, weight_decay=0.05, fused=True
        )
        self.photos = Photos(
            find_photos(config.photos)[: config.limit], smallest=config.crop, device=torch.device("cpu"), quiet=quiet
        )
        self.sampler = torch.Generator().manual_seed(config.seed)

    def _objective(self) -> Objective:
        """The codec with its likelihoods, where only what `moves` names can learn."""
        config = self.config
        objective = Objective(CodecModel(_codec_config(config.start_from)), skip_below=config.skip_below)
        start_from(objective, config.start_from)
        if config.prior:
            average = load_state(Path(config.prior))["average"]
            objective.prior.load_state_dict(
                {name.removeprefix("prior."): value for name, value in average.items() if name.startswith("prior.")}
            )
        if config.moves == "analysis":
            objective.requires_grad_(False)
            objective.codec.analysis.requires_grad_(True)
            objective.prior.requires_grad_(config.prior is None)
            objective.prior.quantiles.requires_grad_(False)
        return objective

    def state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "average": averaged(self.average, Objective).state_dict(),
            "averaged": int(self.average.n_averaged),
            "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in (*self.optimizers, self.head_optimizer)],
            "sampler": self.sampler.get_state(),
            "crops": [crops.rng.bit_generator.state for crops in self.sets.values()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.objective.load_state_dict(state["objective"])
        averaged(self.average, Objective).load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip((*self.optimizers, self.head_optimizer), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            keep_layout(optimizer)
        self.sampler.set_state(state["sampler"])
        for crops, saved in zip(self.sets.values(), state["crops"], strict=True):
            crops.rng.bit_generator.state = saved

    def train_step(self) -> dict[str, float]:
        config = self.config
        factor = rate_factor(config.optim, step=self.step, progress=self.progress)
        set_rates(self.optimizers, factor)
        for group in self.head_optimizer.param_groups:
            group["lr"] = config.head_lr * factor
        row = self._photo_step()
        for name in self.sets:
            row[name] = self._labelled_step(name)
        moving = [p for p in self.objective.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(moving, config.optim.clip)
        torch.nn.utils.clip_grad_norm_(self.heads.parameters(), 1.0)
        for optimizer in (*self.optimizers, self.head_optimizer):
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.objective)
        self.step += 1
        return {"step": self.step, **row}

    def _photo_step(self) -> dict[str, float]:
        """Adds the gradient of rate and distortion on photos."""
        config = self.config
        x = self.photos.batch(config.batch, config.crop, mix=Mix(), generator=self.sampler)
        quality = self._qualities(config.batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            measured, _ = self.objective.measure(x, quality)
        loss = self.objective.loss(measured, quality)
        loss.backward()
        return {"rd": loss.item(), "bpp": (measured.bpp_y + measured.bpp_z).mean().item()}

    def _labelled_step(self, name: str) -> float:
        """Adds the gradient of rate, distortion and meaning on a labelled set. Returns the semantic loss."""
        config, crops = self.config, self.sets[name]
        x, target = crops.batch()
        quality = self._qualities(len(x))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            measured, y_hat = self.objective.measure(x, quality)
            seen = y_hat if config.gamma else y_hat.detach()
            logits = self.networks[name](seen, quality)
        semantic = semantic_loss(logits.float(), target)
        share = len(x) / config.batch / max(1, len(self.sets))
        loss = share * self.objective.loss(measured, quality)
        # With gamma 0 the heads learn all the same, and none of it reaches the codec.
        loss = loss + (config.gamma or 1.0) * crops.config.weight * semantic
        loss.backward()
        return semantic.item()

    def _qualities(self, count: int) -> Tensor:
        return torch.randint(1, QUALITIES + 1, (count,), generator=self.sampler)

    def run(self, *, max_minutes: float | None = None) -> bool:
        """Trains. Writes NAME.safetensors, and codec and heads' scores, at the end of the run."""
        with quick_depthwise(self.objective, self.heads):
            done = super().run(max_minutes=max_minutes)
        if done:
            self.finish()
        return done

    def finish(self) -> None:
        """Writes the release, and adds to log.jsonl how well it codes and how well the heads recognise."""
        config = self.config
        rows: list[dict[str, Any]] = []
        if config.validation:
            validation = Validation(config.validation, every=config.validation_every, qualities=VALIDATED)
            rows.append(validation.run(averaged(self.average, Objective), device=torch.device("cpu")))
        origin = (
            f"train/joint.py from {config.start_from}, {config.moves} moves, gamma {config.gamma}, {self.step} steps"
        )
        release = self.release(origin)
        save_release(release, self.folder / f"{config.name}.safetensors")
        rows.append(self.recognition(Codec(release)))
        with (self.folder / "log.jsonl").open("a") as log:
            log.writelines(json.dumps(row) + "\n" for row in rows)

    def recognition(self, codec: Codec) -> dict[str, float]:
        """Mean IoU or top-1 in percent of every head, on whole validation images at random qualities."""
        figures = {}
        for name, crops in self.sets.items():
            info = HeadInfo(
                name=name,
                task=crops.dataset.task,
                classes=crops.dataset.classes,
                palette=crops.dataset.palette,
                entropy_id=codec.entropy_id.hex(),
            )
            held = whole_pictures(codec, crops.dataset, crops.config.data, source="latents", quiet=self.quiet)
            figures[name] = validate(build_head(info, self.networks[name]), held, crops.dataset).percent
        return figures

    def release(self, origin: str) -> Release:
        """The codec of the averaged weights. With `moves: analysis` everything that decodes stays as it was."""
        codec, config = averaged(self.average, Objective).codec, self.config
        if config.moves == "analysis":
            return with_analysis(load_release(config.start_from), codec.analysis, name=config.name, origin=origin)
        pictures = pictures_for_tables(config.photos)
        return export(codec, pictures, name=config.name, skip_below=config.skip_below, origin=origin, quiet=self.quiet)


def _codec_config(source: str) -> CodecConfig:
    path = Path(source)
    if path.name == "state.safetensors":
        written = yaml.safe_load((path.parent / "config.yaml").read_text())
        return configuration.build(CodecConfig, written.get("codec", {}))
    return load_release(source).config


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = make_parser(
        "joint", __doc__, "example: python -m train.joint configs/joint.yaml --set gamma=0 --set name=joint_control"
    )
    options = parser.parse_args(argv)
    trainer = begin(parser, options, JointConfig, lambda config, folder: Trainer(config, folder, quiet=options.quiet))
    done = trainer.run(max_minutes=options.max_minutes)
    say_where(trainer, done=done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
