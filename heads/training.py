"""How a head learns: AdamW, warm-up and cosine, for a number of epochs or of minutes."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from heads.class_balance import epoch
from heads.depthwise import quick_depthwise
from heads.head_file import Network
from heads.latent_cache import Cache
from heads.losses import LossConfig, Objective, objective_of


@dataclass(frozen=True, kw_only=True)
class OptimConfig(LossConfig):
    """How a head learns: AdamW, warm-up, cosine."""

    minutes: float | None = 10.0
    """Length of the training, encoding not counted; or give epochs."""
    epochs: float | None = None
    batch: int = 32
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip: float = 1.0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("give the length of the training as either optim.minutes or optim.epochs")


def learn(
    network: Network, crops: Cache, o: OptimConfig, *, classes: int, seed: int, quiet: bool
) -> list[dict[str, float]]:
    """Train a network in place. Ctrl-C ends the training early and keeps what was learned.

    Args:
        network: A network that reads what the crops hold.
        crops: The training crops.
        o: The settings.
        classes: Number of the classes.
        seed: Seed of the order of the crops, and of their changes.
        quiet: Whether the progress bar is left out.

    Returns:
        What is logged of each step: its number, its loss, and the seconds since the beginning.
    """
    network.train().requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(seed)
    objective = objective_of(network, crops, o, classes=classes, rng=rng)
    run = _Run(objective, o, rng)
    form = "{percentage:5.1f}% {bar} {elapsed}<{remaining} {postfix}"
    bar = tqdm(total=100, unit="%", disable=quiet, leave=False, bar_format=form)
    try:
        with bar, quick_depthwise(network):
            while run.progress < 1:
                run.step()
                bar.n = min(100.0, 100 * run.progress)
                if len(run.rows) % 10 == 0:
                    bar.set_postfix_str(f"step {len(run.rows)} loss {run.recent_loss():.3f}")
    except KeyboardInterrupt:
        if not run.rows:
            raise
    objective.finish()
    return run.rows


class _Run:
    """One training: what a step reads and changes."""

    def __init__(self, objective: Objective, o: OptimConfig, rng: np.random.Generator):
        crops = len(objective.crops)
        self.objective, self.o, self.rng = objective, o, rng
        self.optimizer = _optimizer(objective, o)
        self.batch = min(o.batch, crops)
        self.steps = None if o.epochs is None else max(1, round(o.epochs * crops / self.batch))
        self.order = np.zeros(0, np.int64)
        """Crops that are still to be seen in this epoch."""
        self.rows: list[dict[str, float]] = []
        self.progress = 0.0
        """Share of the training that is done."""
        self.began = time.monotonic()

    def step(self) -> None:
        """Learn from one batch."""
        chosen = self._next_crops()
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.objective.loss(chosen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.objective.network.parameters(), self.o.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        seconds = time.monotonic() - self.began
        self.rows.append({"step": len(self.rows) + 1, "loss": round(loss.item(), 5), "seconds": round(seconds, 3)})
        self.progress = len(self.rows) / self.steps if self.steps else seconds / (60 * (self.o.minutes or 1))

    def recent_loss(self) -> float:
        """Mean loss of the last 50 steps."""
        return float(np.mean([row["loss"] for row in self.rows[-50:]]))

    def _next_crops(self) -> NDArray[np.int64]:
        if len(self.order) < self.batch:
            self.order = np.concatenate([self.order, epoch(self.objective.balance.often, self.rng)])
        chosen, self.order = np.sort(self.order[: self.batch]), self.order[self.batch :]
        return chosen

    def _learning_rate(self) -> float:
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.o.lr * (cosine * min(1.0, (len(self.rows) + 1) / self.o.warmup_steps))


def _optimizer(objective: Objective, o: OptimConfig) -> torch.optim.Optimizer:
    """AdamW. Biases and scales do not decay."""
    parameters = objective.parameters()
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=o.lr, weight_decay=o.weight_decay, fused=True)
