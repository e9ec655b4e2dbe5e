"""The search for the size of the quantisation tables: the farthest place on a line that still meets a target.

Places grow towards what the target leaves to choose: coarser tables for a PSNR, finer ones for a size. A place close to
the lowest one is therefore likely to meet the target.
"""

from __future__ import annotations

from collections.abc import Callable

STEP = 0.06
"""First step away from the place at which the search begins. Each further one is twice as long."""


def bisect(met: Callable[[float], bool], *, low: float, high: float, tries: int) -> float:
    """Halve an interval several times.

    Args:
        met: Whether a place meets the target.
        low: The lowest place.
        high: The highest place.
        tries: How many places are tried.

    Returns:
        The middle of the interval that is left.

    Example:
        >>> round(bisect(lambda place: place <= 1.3, low=0, high=8, tries=7), 1)
        1.3
    """
    for _ in range(tries):
        middle = (low + high) / 2
        if met(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def search_from(start: float, met: Callable[[float], bool], *, low: float, high: float, precision: float) -> None:
    """Search around a place: step outwards until the answer changes, then halve the interval between both answers.

    The caller keeps what it needs of the places that it is asked about. A place that meets the target is always higher
    than those before it that met it.

    Args:
        start: The first place, inside the bounds.
        met: Whether a place meets the target. It is asked once for each place.
        low: The lowest place.
        high: The highest place.
        precision: The search ends when the interval is this short.

    Example:
        >>> places = []
        >>> search_from(0.5, lambda place: not places.append(place) and place <= 2, low=0, high=8, precision=0.5)
        >>> [round(place, 2) for place in places]
        [0.5, 0.56, 0.68, 0.92, 1.4, 2.36, 1.88]
    """
    good: float | None = None
    bad: float | None = None
    place, step = start, STEP
    while True:
        if met(place):
            good = place
        else:
            bad = place
        if good is not None and bad is not None:
            if bad - good <= precision:
                return
            place = (good + bad) / 2
            continue
        following = min(place + step, high) if bad is None else max(place - step, low)
        if following == place:
            return
        place, step = following, 2 * step
