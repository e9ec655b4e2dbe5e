"""The base of every trainer: progress, the state on disk, and the loop.

A subclass builds its networks in `__init__`, defines one step in `train_step`, and names what has to be stored in
`state` and `restore`. A run that was stopped continues exactly where it stopped.
"""

import abc
import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from train.checkpoint import load_state, random_state, restore_random_state, save_state
from train.log import Log, stop_signals

STATE = "state.safetensors"
M = TypeVar("M", bound=nn.Module)


class BaseTrainer(abc.ABC):
    """A run: its networks, its optimizers, and how far it is."""

    figures: ClassVar[tuple[str, ...]] = ("loss", "bpp", "psnr_db")
    """Names of the values that the progress bar shows."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int | None,
        minutes: float | None = None,
        save_minutes: float = 5.0,
        log_every: int = 50,
        quiet: bool = False,
    ):
        self.folder, self.quiet = folder, quiet
        self.steps, self.minutes = steps, minutes
        self.save_minutes, self.log_every = save_minutes, log_every
        self.step, self.seconds = 0, 0.0
        self.is_main = True
        """Whether this process writes the log and the state. Several may train together."""

    @abc.abstractmethod
    def train_step(self) -> dict[str, float]:
        """Trains on one batch and adds 1 to `step`. Returns the figures of the log."""

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs: networks, optimizers, samplers. The base adds progress and random state."""

    @abc.abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` returned."""

    def after_step(self, log: Log) -> None:  # noqa: B027 - a subclass may leave it out
        """Runs after every step: validation, sample sheets. The base does nothing."""

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.steps is not None:
            return self.step / self.steps
        assert self.minutes is not None
        return self.seconds / (60 * self.minutes)

    def save(self) -> None:
        """Writes the state into the run's folder."""
        progress = {"random": random_state(), "step": self.step, "seconds": self.seconds}
        save_state(self.folder / STATE, {**self.state(), **progress})

    def resume(self) -> None:
        """Continues exactly where `save` was called.

        Raises:
            ValueError: Nothing was saved in the run's folder.
        """
        path = self.folder / STATE
        if not path.exists():
            raise ValueError(f"nothing to resume: there is no {path}")
        state = load_state(path)
        self.restore(state)
        restore_random_state(state["random"])
        self.step, self.seconds = state["step"], state["seconds"]

    def agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Lets the processes of a run agree on the time and on stopping. One process agrees with itself."""
        return seconds, stop

    def run(self, *, max_minutes: float | None = None) -> bool:
        """Trains to the end, or until `max_minutes` are over or a signal asks to stop. True at the end of the run."""
        began, last_save, stopped = time.monotonic(), 0.0, False
        before = self.seconds
        log = Log(self.folder, quiet=self.quiet, every=self.log_every, figures=self.figures, keep=self.is_main)
        with stop_signals() as stop, log, tiny_numbers_are_zero():
            while self.progress < 1 and not stopped:
                row = self.train_step()
                now, stopped = self.agreed(time.monotonic() - began, bool(stop))
                self.seconds = before + now
                log.step(row, progress=self.progress)
                self.after_step(log)
                if now - last_save >= 60 * self.save_minutes:
                    self.save()
                    last_save = now
                if max_minutes is not None and now >= 60 * max_minutes:
                    break
            self.save()
        return self.progress >= 1


@contextlib.contextmanager
def tiny_numbers_are_zero() -> Iterator[None]:
    """Lets the processor count denormal numbers, below 1e-38, as 0.

    It computes with them many times more slowly, and the tails of a batch's likelihoods and gradients are full of them.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def clip_gradient(parameters: Iterable[Tensor], limit: float, *, step: int) -> Tensor:
    """Clips the norm of the gradient to `limit` and returns the norm before.

    Raises:
        FloatingPointError: The gradient is not finite.
    """
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient is {float(norm)} at step {step}; lower optim.lr")
    return norm


def averaged(average: AveragedModel, kind: type[M]) -> M:
    """The module that holds the moving average of the weights, which is a `kind`."""
    module = average.module
    assert isinstance(module, kind)
    return module


def channels_last(module: M, device: torch.device | None = None) -> M:
    """Moves a module to a device, with the weights in channels-last layout. Returns the module."""
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module
