"""The state of a head's training on disk, so that one that was stopped goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from semcomp.errors import ModelError

SAVE_MINUTES = 5.0
"""Time between two writings."""
ADVICE = "without --resume the training begins from the start"


class StateFile:
    """Where a training keeps its state until it ends.

    Args:
        path: The file.
        of: What the state is of. Another training does not go on from it.
        resume: Whether to go on from what is there.
    """

    def __init__(self, path: Path, of: str, *, resume: bool = False):
        self.path, self.of, self.resume = path, of, resume
        self.written = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self.written > 60 * SAVE_MINUTES

    def write(self, held: Mapping[str, Any]) -> None:
        """Replace what is there."""
        temporary = self.path.with_suffix(".part")
        torch.save({"of": self.of, **held}, temporary)
        temporary.replace(self.path)
        self.written = time.monotonic()

    def read(self) -> dict[str, Any]:
        """Read what was written. ModelError where that is nothing, or of another training."""
        try:
            held: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            fits = held.pop("of") == self.of
        except (OSError, RuntimeError, KeyError, AttributeError, TypeError, UnpicklingError) as error:
            raise ModelError(f"{self.path} holds no state to go on from; {ADVICE}") from error
        if not fits:
            raise ModelError(f"{self.path} is of a training with other settings; {ADVICE}")
        return held

    def remove(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)
