"""How a teacher learns, and how it is scored.

The learning rate follows one cosine, the weights that are kept are a moving average, and the batch norms of the trunk
keep ImageNet's statistics.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from heads.datasets import DataConfig, Dataset, read_rgb
from heads.depthwise import quick_depthwise
from heads.find_dataset import find_dataset
from heads.schedule import falling_rate
from heads.score import confusion, iou
from heads.teachers.crops import Crops, CropSource
from heads.teachers.deeplab import DeepLab, SegmentingTeacher, TeacherInfo, save_teacher
from semcomp.errors import ModelError
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.results import VOID


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """A whole training."""

    name: str = "teacher"
    data: DataConfig = field(default_factory=DataConfig)
    steps: int = 6000
    batch: int = 8
    lr: float = 1e-3
    """Learning rate of the decoder."""
    trunk_lr: float = 2e-4
    """Learning rate of the trunk."""
    frozen: int = 3
    """Number of the trunk's first stages that do not learn, 0 to 6."""
    weight_decay: float = 0.02
    warmup_steps: int = 200
    clip: float = 5.0
    ema: float = 0.998
    rare: float = 0.1
    """Share of the pictures below which a class counts as rare, and its pictures are seen more often."""
    save_minutes: float = 5.0
    validate_steps: int = 1500
    licence: str = ""
    """The licence of the data, a sentence for the file."""
    seed: int = 0


class Training:
    """A training: its networks, optimizer and step."""

    def __init__(
        self, config: TeacherConfig, dataset: Dataset, *, weights: Path | None = None, counts: Path | None = None
    ):
        torch.manual_seed(config.seed)
        self.config, self.dataset = config, dataset
        self.network = DeepLab(len(dataset.classes))
        self.network.start(weights)
        self.average = DeepLab(len(dataset.classes))
        self.average.load_state_dict(self.network.state_dict())
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = _optimizer(self.network, config)
        self.source = CropSource(
            dataset, config.data, batch=config.batch, rare=config.rare, seed=config.seed, counts=counts
        )
        self.step = 0

    def learn(self) -> float:
        """Learn from one batch. Returns the loss."""
        c = self.config
        factor = falling_rate(step=self.step, warmup_steps=c.warmup_steps, progress=self.step / c.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        torch.manual_seed(c.seed + self.step)  # of dropout, so that a stop changes nothing
        _train_mode(self.network)
        loss = _loss(self.network, self.source.crops(self.step))
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), c.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self._average()
        return loss.item()

    def _average(self) -> None:
        keep = min(self.config.ema, self.step / (self.step + 10))
        mine = self.network.state_dict()
        with torch.no_grad():
            for name, value in self.average.state_dict().items():
                value.lerp_(mine[name], 1 - keep) if value.is_floating_point() else value.copy_(mine[name])

    def save(self, path: Path) -> None:
        """Write the whole state."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a state. ModelError where the file is none."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (OSError, RuntimeError, KeyError, ValueError, UnpicklingError) as error:
            raise ModelError(f"{path} holds another training or none ({str(error).splitlines()[0]})") from error
        self.step = int(state["step"])


def _train_mode(network: DeepLab) -> None:
    """The decoder trains; the trunk's batch norms keep the statistics that they have."""
    network.train()
    network.trunk.eval()


def _loss(network: DeepLab, crops: Crops) -> Tensor:
    """Cross-entropy of the pixels of every second row and column, weighted by the trust in their labels."""
    with fast_pixels(crops.pixels.device):
        logits = network(crops.pixels)
    fine = F.interpolate(logits.float(), scale_factor=2, mode="bilinear")
    target = crops.target[:, 1::2, 1::2]
    each = F.cross_entropy(fine, target, ignore_index=VOID, reduction="none")
    trust = crops.trust[:, None, None] * (target != VOID)
    return (each * trust).sum() / trust.sum().clamp(min=1e-6)


def _optimizer(network: DeepLab, c: TeacherConfig) -> torch.optim.Optimizer:
    """AdamW; the trunk learns slower than the decoder, its first stages not at all, biases and scales do not decay."""
    trunk: Any = network.network.encoder.model
    for module in (trunk.conv_stem, trunk.bn1, *list(trunk.blocks)[: c.frozen]) if c.frozen else ():
        module.requires_grad_(False)
    inside = {id(p) for p in network.trunk.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for p in network.parameters():
        if p.requires_grad:
            groups.setdefault((id(p) in inside, p.ndim > 1), []).append(p)
    rows: list[dict[str, Any]] = [
        {"params": parameters, "peak": c.trunk_lr if trunk else c.lr, "weight_decay": c.weight_decay * decays}
        for (trunk, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(rows, lr=c.lr)


def validate(teacher: SegmentingTeacher, dataset: Dataset, *, limit: int | None = None) -> dict[str, Any]:
    """Score a teacher on the pictures that are held out: IoU in percent by class, their mean, and pixel accuracy."""
    matrix: NDArray[np.int64] = np.zeros((len(dataset.classes), len(dataset.classes) + 1), np.int64)
    for sample in dataset.val[:limit]:
        truth = dataset.mask(sample)
        assert truth is not None
        matrix += confusion(truth, teacher.label_map(read_rgb(sample.image)), len(dataset.classes))
    each = iou(matrix)
    return {
        "pictures": len(dataset.val[:limit]),
        "mean_iou": round(float(100 * np.nanmean(each)), 2),
        "pixel_accuracy": round(float(100 * np.diag(matrix).sum() / max(1, matrix.sum())), 2),
        "iou": {
            name: None if np.isnan(x) else round(100 * float(x), 1)
            for name, x in zip(dataset.classes, each, strict=True)
        },
    }


def train(config: TeacherConfig, folder: Path, *, resume: bool, weights: Path | None = None, quiet: bool) -> Path:
    """Train a teacher.

    Args:
        config: The settings.
        folder: Gets the state, the log and the teacher's file.
        resume: Whether to go on from the state that is there.
        weights: File of the trunk's weights; None for the package's.
        quiet: Whether the progress bar is left out.

    Returns:
        Path of the teacher's file.

    Raises:
        DataError: The data does not fit together.
        ModelError: There is no state to go on from, or it does not fit.
    """
    dataset = find_dataset("segment", config.data)
    folder.mkdir(parents=True, exist_ok=True)
    run = Training(config, dataset, weights=weights, counts=folder / "counts.npz")
    state, output = folder / "state.pt", folder / f"{config.name}.safetensors"
    if resume:
        run.load(state)
    saved = time.monotonic()
    bar = tqdm(total=config.steps, initial=run.step, desc=config.name, unit="step", disable=quiet)
    with bar, quick_depthwise(run.network), (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        losses: list[float] = []
        while run.step < config.steps:
            losses.append(run.learn())
            bar.update()
            if run.step % 50 == 0:
                print(
                    json.dumps({"step": run.step, "loss": round(float(np.mean(losses[-50:])), 4)}), file=log, flush=True
                )
            if time.monotonic() - saved > 60 * config.save_minutes:
                run.save(state)
                saved = time.monotonic()
            if run.step % config.validate_steps == 0 or run.step == config.steps:
                figures = _finish(run, output)
                print(json.dumps({"step": run.step, **figures}), file=log, flush=True)
                run.save(state)
    return output


def _finish(run: Training, output: Path) -> dict[str, Any]:
    """Score the averaged weights, and write them."""
    network = DeepLab(len(run.dataset.classes))
    network.load_state_dict(run.average.state_dict())
    figures = validate(SegmentingTeacher(network, TeacherInfo(classes=run.dataset.classes)), run.dataset)
    origin = (
        f"DeepLabv3+ on EfficientNet-Lite2 (ImageNet-1k, Apache-2.0); {len(run.dataset.train)} pictures, {run.step} "
        f"steps of {run.config.batch} crops; mean IoU {figures['mean_iou']} % on {figures['pictures']} held-out "
        "pictures"
    )
    licence = f"; {run.config.licence}" if run.config.licence else ""
    save_teacher(network, TeacherInfo(classes=run.dataset.classes, origin=origin + licence), output)
    return figures
