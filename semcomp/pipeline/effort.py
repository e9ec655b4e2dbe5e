"""How much time the encoder spends on one picture. Neither the decoder nor the file format knows of it.

| effort | what the encoder does |
|---|---|
| 1 | rounds to the nearest integers |
| 2 to 5 | weighs bits against error when it rounds (rdo.py), which takes a few milliseconds |
| 6, 7 | rounds again, 2 or 8 times, where the decoder says that this picture's error is smallest (codec/informed.py) |
| 8, 9 | fits the latents to this picture, in 100 or 200 steps of a descent through the decoder (codec/descent.py) |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semcomp.errors import TargetError
from semcomp.types import is_whole

DEFAULT_EFFORT = 5
Progress = Callable[[int, int], None]
"""Hears how many steps are done, and how many there are. What it raises ends the encoding."""


def no_progress(done: int, total: int) -> None:
    """Hear nothing."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What one effort stands for."""

    optimise: bool = True
    """Weigh bits against error when rounding."""
    rounds: int = 0
    """Times that the latents are rounded again, with the gradient of the picture's error."""
    steps: int = 0
    """Steps of the descent."""

    @property
    def fits(self) -> bool:
        """Whether the latents are fitted to the picture, which takes gradients."""
        return self.rounds + self.steps > 0


EFFORTS = {
    1: Effort(optimise=False),
    **dict.fromkeys(range(2, 6), Effort()),
    6: Effort(rounds=2),
    7: Effort(rounds=8),
    8: Effort(steps=100),
    9: Effort(steps=200),
}


def effort_of(level: int) -> Effort:
    """The meaning of an effort.

    Raises:
        TargetError: It is not an integer from 1 to 9.

    Example:
        >>> effort_of(5).fits, effort_of(6).rounds, effort_of(9).steps
        (False, 2, 200)
    """
    if not is_whole(level, min(EFFORTS), max(EFFORTS)):
        raise TargetError(f"effort is an integer from 1 to {max(EFFORTS)}, not {level!r}")
    return EFFORTS[int(level)]
