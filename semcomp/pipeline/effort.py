"""How much time the encoder spends on one picture. Neither the decoder nor the file format knows of it.

| effort | what the encoder does |
|---|---|
| 1 | rounds to the nearest integers |
| 2 to 5 | weighs bits against error when it rounds (rdo.py), which takes a few milliseconds |
| 6 to 9 | fits the latents to this picture, in more and more steps of a descent through the decoder |
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
    steps: int = 0
    """Steps of the descent; 0 for none."""


EFFORTS = {
    1: Effort(optimise=False),
    **dict.fromkeys(range(2, 6), Effort()),
    6: Effort(steps=25),
    7: Effort(steps=50),
    8: Effort(steps=100),
    9: Effort(steps=200),
}


def effort_of(level: int) -> Effort:
    """The meaning of an effort.

    Raises:
        TargetError: It is not an integer from 1 to 9.

    Example:
        >>> effort_of(5).steps, effort_of(9).steps
        (0, 200)
    """
    if not is_whole(level, min(EFFORTS), max(EFFORTS)):
        raise TargetError(f"effort is an integer from 1 to {max(EFFORTS)}, not {level!r}")
    return EFFORTS[int(level)]
