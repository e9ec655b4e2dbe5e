"""Trains the codec for pictures and for recognition at once: python -m train.joint configs/joint.yaml

    L = (R + lmbda D) / sqrt(lmbda) + gamma S

S is the mean loss of the heads, which are attached to y_hat and learn along. Each step takes a batch of photos (rate
and distortion) and a batch of crops of every labelled set (rate, distortion and S). Two settings:

    moves: analysis    the analysis alone moves; tables, integer path, mean path and synthesis stay as they are, so
                       files and entropy id stay valid
    moves: everything  a new model, with tables of its own

A run with gamma 0 is the control: the same data and steps, heads learning behind a stopped gradient.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from heads.datasets import DataConfig, Dataset, find_dataset, read_rgb
from heads.depthwise import quick_depthwise
from heads.fit import validate
from heads.head_file import NETWORKS, HeadInfo, Network, NetworkHead, build_network
from heads.latent_cache import augment, to_network, whole_pictures
from semcomp import config as configuration
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release, load_release, save_release
from semcomp.networks.model import STRIDE_Z, CodecConfig, CodecModel
from semcomp.networks.rate_table import QUALITIES
from semcomp.semantics.head import load_head
from semcomp.semantics.results import VOID
from semcomp.semantics.upsample import FINE
from train.checkpoint import load_state, save_state
from train.export import export, pictures_for_tables, with_analysis
from train.log import stop_signals
from train.objective import Objective
from train.optim import OptimConfig, build_optimizers, moving_average, rate_factor, set_rates
from train.photos import Photos, find_photos
from train.validate import Validation
from train.warm_start import start_from

MOVES = ("analysis", "everything")


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """A labelled set and its part of a batch."""

    task: str = "segment"
    data: DataConfig = field(default_factory=DataConfig)
    batch: int = 4
    weight: float = 1.0
    """Of its loss inside S."""
    head: str | None = None
    """A trained head of the same classes to begin with, by name or file."""


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """A whole run."""

    name: str = "joint"
    start_from: str = "base"
    """Another run's state.safetensors, or released weights by name or path."""
    prior: str | None = None
    """The state.safetensors that a release in start_from was exported from. A release has no training priors of z."""
    moves: str = "everything"
    """analysis or everything."""
    gamma: float = 1.0
    """Weight of the semantic loss; 0 is the control."""
    steps: int = 2000
    photos: tuple[str, ...] = ("data/photos",)
    limit: int | None = None
    """Take only so many photos."""
    crop: int = 256
    batch: int = 4
    """Photo crops a step."""
    street: LabelledConfig | None = None
    objects: LabelledConfig | None = None
    imagenette: LabelledConfig | None = None
    optim: OptimConfig = field(default_factory=OptimConfig)
    head_lr: float = 2e-3
    validation: tuple[str, ...] = ()
    """Folders of lossless photos for the rate-distortion line at the end."""
    validation_every: int = 5
    skip_below: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.moves not in MOVES:
            raise ValueError(f"moves is one of {', '.join(MOVES)}, not {self.moves!r}")
        for entry in self.labelled.values():
            if entry.data.side % STRIDE_Z:
                raise ValueError(f"data.side is a multiple of {STRIDE_Z} in joint training, not {entry.data.side}")
        if self.gamma < 0:
            raise ValueError(f"gamma is at least 0, not {self.gamma}")
        if self.moves == "analysis" and self.start_from.endswith("state.safetensors"):
            raise ValueError("moves: analysis keeps the tables of released weights: start_from must name a release")

    @property
    def labelled(self) -> dict[str, LabelledConfig]:
        """The labelled sets that are used, by name."""
        sets = {"street": self.street, "objects": self.objects, "imagenette": self.imagenette}
        return {name: entry for name, entry in sets.items() if entry is not None}


class Crops:
    """Random crops of a labelled set, cut anew each time. Pictures are decoded once and kept."""

    def __init__(self, dataset: Dataset, config: LabelledConfig, *, seed: int):
        self.dataset, self.config, self.rng = dataset, config, np.random.default_rng(seed)
        self.known: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}

    def batch(self) -> tuple[Tensor, Tensor]:
        """x (B, 3, S, S) in [0, 1], and targets (B,) or (B, S, S)."""
        crops, targets = [], []
        for number in self.rng.integers(len(self.dataset.train), size=self.config.batch).tolist():
            sample = self.dataset.train[number]
            if number not in self.known:
                mask = self.dataset.mask(sample) if self.dataset.task == "segment" else None
                self.known[number] = read_rgb(sample.image), mask
            crop, target = augment(*self.known[number], self.config.data, self.rng)
            crops.append(crop)
            targets.append(np.int64(sample.target) if target is None else target.astype(np.int64))  # type: ignore[arg-type]
        x = to_network(np.stack(crops)).contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(np.stack(targets))


def head_of(dataset: Dataset, codec: CodecModel, start: str | None = None) -> Network:
    """A head for a labelled set: untrained, or a copy of a trained one. ValueError where the classes differ.

    A trained one keeps the statistics of its batch norms: batches of a few crops would only blur them.
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
    sizes = {"classes": len(dataset.classes), "latents": codec.config.latents, "nodes": codec.config.nodes}
    return build_network(dataset.task, NETWORKS[dataset.task][1](**sizes))


def semantic_loss(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross entropy of a classifier, or of a segmenter at the resolution of its logits with `weight` by class.

    0 where no position of a target is of a class.
    """
    if logits.ndim == 2:
        return F.cross_entropy(logits, target, label_smoothing=0.1)
    target = target[:, FINE // 2 :: FINE, FINE // 2 :: FINE]
    if (target == VOID).all():
        return 0 * logits.sum()
    return F.cross_entropy(logits, target, weight=weight, ignore_index=VOID)


class Trainer:
    """State of a run, and its loop."""

    def __init__(self, config: JointConfig, *, quiet: bool = False):
        self.config, self.quiet = config, quiet
        torch.manual_seed(config.seed)
        self.objective = Objective(CodecModel(_codec_config(config.start_from)), skip_below=config.skip_below)
        start_from(self.objective, config.start_from)
        if config.prior:
            average = load_state(Path(config.prior))["average"]
            self.objective.prior.load_state_dict(
                {name.removeprefix("prior."): value for name, value in average.items() if name.startswith("prior.")}
            )
        self.objective.to(memory_format=torch.channels_last)
        if config.moves == "analysis":
            self.objective.requires_grad_(False)
            self.objective.codec.analysis.requires_grad_(True)
            self.objective.prior.requires_grad_(config.prior is None)
            self.objective.prior.quantiles.requires_grad_(False)
        self.average = moving_average(self.objective, config.optim)
        self.optimizers = build_optimizers(self.objective, config.optim)
        self.sets = {
            name: Crops(find_dataset(entry.task, entry.data), entry, seed=config.seed * 100 + number)
            for number, (name, entry) in enumerate(config.labelled.items())
        }
        self.heads = nn.ModuleDict(
            {name: head_of(s.dataset, self.objective.codec, s.config.head) for name, s in self.sets.items()}
        )
        self.heads.to(memory_format=torch.channels_last)
        self.head_optimizer = torch.optim.AdamW(
            self.heads.parameters(), lr=config.head_lr, weight_decay=0.05, fused=True
        )
        self.photos = Photos(
            find_photos(config.photos)[: config.limit], smallest=config.crop, device=torch.device("cpu"), quiet=quiet
        )
        self.generator = torch.Generator().manual_seed(config.seed)

    def step(self, number: int) -> dict[str, float]:
        """One step over photos and every labelled set. Returns the figures of the log."""
        config = self.config
        factor = rate_factor(config.optim, step=number, progress=number / config.steps)
        set_rates(self.optimizers, factor)
        for group in self.head_optimizer.param_groups:
            group["lr"] = config.head_lr * factor
        x = self.photos.batch(config.batch, config.crop, halve=0.2, generator=self.generator)
        quality = self._qualities(config.batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            measured, _ = self.objective.measure(x, quality)
        loss = self.objective.loss(measured, quality)
        row = {"rd": loss.item(), "bpp": (measured.bpp_y + measured.bpp_z).mean().item()}
        loss.backward()
        for name, crops in self.sets.items():
            x, target = crops.batch()
            quality = self._qualities(len(x))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                measured, y_hat = self.objective.measure(x, quality)
                seen = y_hat if config.gamma else y_hat.detach()
                logits = self.heads[name](seen, quality)
            semantic = semantic_loss(logits.float(), target)
            share = len(x) / config.batch / max(1, len(self.sets))
            # With gamma 0 the heads learn all the same, and nothing of it reaches the codec.
            part = share * self.objective.loss(measured, quality)
            part = part + (config.gamma or 1.0) * crops.config.weight * semantic
            part.backward()
            row[name] = semantic.item()
        moving = [p for p in self.objective.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(moving, config.optim.clip)
        torch.nn.utils.clip_grad_norm_(self.heads.parameters(), 1.0)
        for optimizer in [*self.optimizers, self.head_optimizer]:
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.objective)
        return row

    def _qualities(self, count: int) -> Tensor:
        return torch.randint(1, QUALITIES + 1, (count,), generator=self.generator)

    def run(self, folder: Path) -> None:
        """All steps; then a rate-distortion line, the release NAME.safetensors, and how well the heads do, all below
        `folder`."""
        config = self.config
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(configuration.dump(config))
        rows: list[dict[str, float]] = []
        began, done = time.monotonic(), 0
        quick = quick_depthwise(self.objective, self.heads)
        with (folder / "log.jsonl").open("w") as log, stop_signals() as stop, quick:
            bar = tqdm(range(config.steps), disable=self.quiet, unit="step")
            for done in bar:
                rows.append(self.step(done))
                if len(rows) == 50 or done + 1 == config.steps or stop:
                    mean = {key: round(float(np.mean([row[key] for row in rows])), 5) for key in rows[0]}
                    minutes = round((time.monotonic() - began) / 60, 2)
                    log.write(json.dumps({"step": done + 1, "minutes": minutes, **mean}) + "\n")
                    log.flush()
                    bar.set_postfix(mean)
                    rows = []
                if stop:
                    break
            average = self.average.module
            save_state(
                folder / "state.safetensors", {"average": average.state_dict(), "heads": self.heads.state_dict()}
            )
            if config.validation:
                validation = Validation(
                    config.validation, every=config.validation_every, qualities=(1, 20, 40, 60, 80, 100)
                )
                line = validation.run(average, device=torch.device("cpu"))
                log.write(json.dumps(line) + "\n")
        origin = (
            f"train/joint.py from {config.start_from}, {config.moves} moves, gamma {config.gamma}, {done + 1} steps"
        )
        release = self.release(origin)
        save_release(release, folder / f"{config.name}.safetensors")
        with (folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(self.recognition(Codec(release))) + "\n")

    def recognition(self, codec: Codec) -> dict[str, float]:
        """Mean IoU or top-1 in percent of every head, on whole validation pictures at random qualities."""
        figures = {}
        for name, crops in self.sets.items():
            head = NetworkHead(
                HeadInfo(
                    name=name,
                    task=crops.dataset.task,
                    classes=crops.dataset.classes,
                    palette=crops.dataset.palette,
                    entropy_id=codec.entropy_id.hex(),
                ),
                self.heads[name],
            )
            held = whole_pictures(codec, crops.dataset, crops.config.data, source="latents", quiet=self.quiet)
            answer = validate(head, held, crops.dataset)
            figures[name] = answer["top1"] if crops.dataset.task == "classify" else answer["mean_iou"]
        return figures

    def release(self, origin: str) -> Release:
        """The codec of the averaged weights; with `moves: analysis`, whatever decodes is left as it was."""
        codec = self.average.module.codec
        if self.config.moves == "analysis":
            before = load_release(self.config.start_from)
            return with_analysis(before, codec.analysis, name=self.config.name, origin=origin)
        pictures = pictures_for_tables(self.config.photos)
        return export(
            codec, pictures, name=self.config.name, skip_below=self.config.skip_below, origin=origin, quiet=self.quiet
        )


def _codec_config(source: str) -> CodecConfig:
    path = Path(source)
    if path.name == "state.safetensors":
        written = yaml.safe_load((path.parent / "config.yaml").read_text())
        return configuration.build(CodecConfig, written.get("codec", {}))
    return load_release(source).config


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.joint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m train.joint configs/joint.yaml --set gamma=0 --set name=joint_control",
    )
    parser.add_argument("config", type=Path, help="a YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any value of the configuration"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (runs)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    try:
        config = configuration.load(JointConfig, options.config, overrides=options.set)
        Trainer(config, quiet=options.quiet).run(options.runs / config.name)
    except ValueError as error:
        print(f"train.joint: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
