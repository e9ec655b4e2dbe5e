"""How a head learns: AdamW, warm-up and cosine, for a number of epochs or of minutes.

Its state may be written every few minutes, so that a training that was stopped goes on.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from heads.class_balance import epoch
from heads.command_line import USUAL_STEPS
from heads.depthwise import quick_depthwise
from heads.head_file import Network
from heads.latent_cache import Cache
from heads.layers import Adapter
from heads.losses import LossConfig, Objective, objective_of
from heads.schedule import falling_rate
from heads.training_state import StateFile

MARKS = (0.0, 0.05, 0.15, 0.3, 0.5, 0.75)
"""Shares of a training after which it is told how far it is."""


class Mark(NamedTuple):
    """How far a training is."""

    progress: float
    """Share that is done, of what follows where a stem learns alone first"""
    step: int
    loss: float
    """Mean of the last 50 steps"""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OptimConfig(LossConfig):
    """How a head learns: AdamW, warm-up, cosine."""

    steps: int | None = None
    """Length of the training in batches; or give epochs or minutes. Where none is given it is USUAL_STEPS. 0 leaves all
    layers as they are, but for a stem that learns alone."""
    epochs: float | None = None
    minutes: float | None = None
    """Length in minutes, encoding not counted. The load of the machine then decides how much is learned."""
    stem_steps: int = 0
    """Batches before these in which the stem of a network with a backbone learns alone to give what that reads."""
    stem_lr: float = 2e-3
    """Learning rate of these."""
    batch: int = 32
    lr: float = 2e-3
    trunk_lr: float = 0.1
    """Factor of the learning rate of all layers but the last ones, after a start from a trunk."""
    backbone_lr: float = 0.1
    """Factor of the learning rate of the layers of a backbone, which start from published weights, and of an adapter,
    which has learned alone."""
    last_first: float = 0.3
    """Share of the training in which the last layers learn alone, after a start from a trunk."""
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip: float = 1.0

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.steps, self.epochs, self.minutes)) > 1:
            raise ValueError("give the length of the training as one of optim.steps, optim.epochs and optim.minutes")
        for name in ("steps", "epochs", "minutes", "batch"):
            value = getattr(self, name)
            if value is not None and not (0 < value < float("inf") or (name == "steps" and value == 0)):
                raise ValueError(f"optim.{name} is a number above 0, not {value}")
        if self.stem_steps and self.minutes is not None:
            raise ValueError("optim.stem_steps goes with optim.steps or optim.epochs, not with optim.minutes")
        if not 0 <= self.last_first <= 1:
            raise ValueError(f"optim.last_first is a share from 0 to 1, not {self.last_first}")


def learn(
    network: Network,
    crops: Cache,
    o: OptimConfig,
    *,
    classes: int,
    seed: int,
    quiet: bool,
    has_trunk: bool = False,
    on_mark: Callable[[Mark], None] = lambda mark: None,
    state: StateFile | None = None,
) -> list[dict[str, float]]:
    """Train a network in place. Ctrl-C ends the training early and keeps what was learned.

    Args:
        network: A network that reads what the crops hold.
        crops: The training crops.
        o: The settings.
        classes: Number of the classes.
        seed: Seed of the order of the crops, and of their changes.
        quiet: Whether the progress bar is left out.
        has_trunk: Whether all layers but the last ones have learned before. The last ones then learn alone first.
        on_mark: Hears how far the training is, a few times. It may run the network.
        state: Where the state is written every few minutes and at Ctrl-C; None for nowhere. A training that ends
            removes it.

    Returns:
        What is logged of each step: its number, its loss, and the seconds since the beginning.

    Raises:
        ModelError: The state is not there, or of another training.
    """
    network.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(seed)
    objective = objective_of(network, crops, o, classes=classes, rng=rng)
    run = _Run(objective, o, rng, has_trunk=has_trunk, state=state)
    marks = [mark for mark in MARKS if mark > run.progress]
    form = "{percentage:5.1f}% {bar} {elapsed}<{remaining} {postfix}"
    bar = tqdm(total=100, unit="%", disable=quiet, leave=False, bar_format=form)
    try:
        with bar, quick_depthwise(network):
            while run.progress < 1:
                run.step()
                bar.n = min(100.0, 100 * run.share)
                if marks and run.progress >= marks[0]:
                    marks = [mark for mark in marks if mark > run.progress]
                    on_mark(Mark(run.progress, len(run.rows), run.recent_loss(), run.rows[-1]["seconds"]))
                if len(run.rows) % 10 == 0:
                    bar.set_postfix_str(f"step {len(run.rows)} loss {run.recent_loss():.3f}")
    except KeyboardInterrupt:
        if not run.rows:
            raise
    run.end()
    objective.finish()
    return run.rows


class _Run:
    """One training: what a step reads and changes."""

    def __init__(
        self,
        objective: Objective,
        o: OptimConfig,
        rng: np.random.Generator,
        *,
        has_trunk: bool,
        state: StateFile | None,
    ):
        crops = len(objective.crops)
        self.objective, self.o, self.rng, self.state = objective, o, rng, state
        self.alone_until = o.last_first if has_trunk else 0.0
        self.optimizer = _optimizer(objective, o, has_trunk=has_trunk)
        self.batch = min(o.batch, crops)
        self.steps = o.steps if o.minutes is None else None
        if o.epochs is not None:
            self.steps = max(1, round(o.epochs * crops / self.batch))
        elif self.steps is None and o.minutes is None:
            self.steps = USUAL_STEPS
        self.order = np.zeros(0, np.int64)
        """Crops that are still to be seen in this epoch."""
        self.rows: list[dict[str, float]] = []
        self.progress = self._progress(0.0)
        """Share of the training that is done. Below 0 the stem learns alone."""
        self.began = time.monotonic()
        if state and state.resume:
            self._load(state.read())

    def step(self) -> None:
        """Learn from one batch."""
        chosen = self._next_crops()
        alone = self.progress < 0
        step = len(self.rows) - (0 if alone else self.o.stem_steps)
        warmup, progress = self.o.warmup_steps, self.progress + alone
        rate = falling_rate(step=step, warmup_steps=warmup, progress=progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (self.o.stem_lr if alone else self.o.lr * group["factor"])
        self._choose_layers()
        loss = self.objective.stem_loss(chosen) if alone else self.objective.loss(chosen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.objective.network.parameters(), self.o.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        seconds = time.monotonic() - self.began
        self.rows.append({"step": len(self.rows) + 1, "loss": round(loss.item(), 5), "seconds": round(seconds, 3)})
        self.progress = self._progress(seconds)
        if self.state and self.state.is_due():
            self.state.write(self._held())

    def _progress(self, seconds: float) -> float:
        done = len(self.rows) - self.o.stem_steps
        if done < 0:
            return done / self.o.stem_steps
        if self.steps is None:
            return seconds / (60 * (self.o.minutes or 1))
        return done / self.steps if self.steps else 1.0

    @property
    def share(self) -> float:
        """Share of all steps that is done."""
        return self.progress if self.steps is None else len(self.rows) / max(1, self.o.stem_steps + self.steps)

    def end(self) -> None:
        """Leave a state behind where the training was stopped, and none where it is done."""
        if self.state and self.progress < 1:
            self.state.write(self._held())
        elif self.state:
            self.state.remove()

    def _held(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        guide = self.objective.guide
        return {
            "network": self.objective.network.state_dict(),
            "guide": guide.state_dict() if guide else {},
            "optimizer": self.optimizer.state_dict(),
            "rows": self.rows,
            "progress": self.progress,
            "order": torch.from_numpy(self.order),
            "draws": [self.rng.bit_generator.state, torch.get_rng_state()],
        }

    def _load(self, held: Mapping[str, Any]) -> None:
        """Go on from what was held."""
        self.objective.network.load_state_dict(held["network"])
        if self.objective.guide:
            self.objective.guide.load_state_dict(held["guide"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.rows, self.progress, self.order = held["rows"], held["progress"], held["order"].numpy()
        self.rng.bit_generator.state, drawn = held["draws"]
        torch.set_rng_state(drawn)
        self.began -= self.rows[-1]["seconds"]

    def _choose_layers(self) -> None:
        """Let the last layers learn alone at first, and then all; others keep even their means and variances. A
        backbone's depthwise kernels stay as they are: their gradients would take a fifth of a step."""
        network, alone = self.objective.network, 0 <= self.progress < self.alone_until
        network.train(not alone).requires_grad_(not alone)
        for layer in network.last_layers() if alone else ():
            layer.train().requires_grad_(True)
        for layer in network.taught():
            for kernel in layer.modules():
                if isinstance(kernel, nn.Conv2d):
                    kernel.requires_grad_(False)

    def recent_loss(self) -> float:
        """Mean loss of the last 50 steps."""
        return float(np.mean([row["loss"] for row in self.rows[-50:]]))

    def _next_crops(self) -> NDArray[np.int64]:
        if len(self.order) < self.batch:
            self.order = np.concatenate([self.order, epoch(self.objective.balance.often, self.rng)])
        chosen, self.order = np.sort(self.order[: self.batch]), self.order[self.batch :]
        return chosen


def _optimizer(objective: Objective, o: OptimConfig, *, has_trunk: bool) -> torch.optim.Optimizer:
    """AdamW. Biases and scales do not decay, and layers before the last ones may learn more slowly."""
    network = objective.network
    last = _parameters(network.last_layers())
    taught = _parameters([*network.taught(), *([network.stem] if isinstance(network.stem, Adapter) else [])])
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for p in objective.parameters():
        factor = 1.0 if p in last else o.trunk_lr if has_trunk else o.backbone_lr if p in taught else 1.0
        groups.setdefault((factor, p.ndim > 1), []).append(p)
    kinds: list[dict[str, Any]] = [
        {"params": chosen, "factor": factor, **({} if decays else {"weight_decay": 0.0})}
        for (factor, decays), chosen in groups.items()
    ]
    return torch.optim.AdamW(kinds, lr=o.lr, weight_decay=o.weight_decay, fused=True)


def _parameters(layers: Iterable[nn.Module]) -> set[nn.Parameter]:
    return {p for layer in layers for p in layer.parameters()}
