"""The schedule of a learning rate: a warm-up, a constant, and a half cosine."""

import math


def falling_rate(*, step: int, warmup_steps: int, progress: float, hold: float = 0.0, last: float = 0.01) -> float:
    """Return the factor on a learning rate.

    Args:
        step: Number of the step, from 0.
        warmup_steps: Steps in which the rate grows evenly. 0 gives the full rate at once.
        progress: Share of the run that is done.
        hold: Share of the run at the full rate, before the cosine begins. 1 keeps it.
        last: Final rate / full rate.

    Example:
        >>> falling_rate(step=0, warmup_steps=0, progress=0), falling_rate(step=0, warmup_steps=4, progress=0)
        (1.0, 0.25)
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    if progress <= hold or hold >= 1:
        return warmup
    angle = math.pi * min(1.0, (progress - hold) / (1 - hold))
    return warmup * (last + (1 - last) * 0.5 * (1 + math.cos(angle)))
