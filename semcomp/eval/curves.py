"""Curves of quality over rate as means over pictures, and the bytes that one curve saves against another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from semcomp.imaging.metrics import bd_rate

BD_RANGE_DB = (26.0, 38.0)
"""Range of PSNR in which BD-rates are computed by default."""

Point = Mapping[str, float | None]
"""Figures of one picture at one setting. Names of times end in _s. A figure that was not measured is None."""
Curve = dict[str, list[Any]]
"""Lists of figures by name, one value per setting."""


def mean_curve(pictures: Sequence[Sequence[Point]]) -> Curve:
    """The curve of several pictures.

    Args:
        pictures: Points of each picture, all at the same settings.

    Returns:
        Means of the figures, medians of the times. A value is None where it is None for one picture.
    """
    curve: Curve = {}
    for key in pictures[0][0]:
        if key == "setting":
            curve[key] = [point[key] for point in pictures[0]]
            continue
        middle = median if key.endswith("_s") else fmean
        curve[key] = []
        for position in range(len(pictures[0])):
            values = [points[position].get(key) for points in pictures]
            known = [value for value in values if value is not None]
            curve[key].append(round(middle(known), 6) if len(known) == len(values) else None)
    return curve


def decibels(metric: str, value: float) -> float:
    """A metric on the scale of its BD-rate: PSNR unchanged, others as -10 log10 of their error."""
    if metric == "psnr_db":
        return value
    error = value if metric == "lpips" else 1 - value
    return math.inf if error <= 0 else -10 * math.log10(error)


def saving(
    anchor: Curve, curve: Curve, *, metric: str = "psnr_db", limits: tuple[float, float] | None = BD_RANGE_DB
) -> float:
    """BD-rate of a curve against an anchor in percent. Negative values mean smaller files.

    Args:
        anchor: The curve to compare with.
        curve: The curve.
        metric: Name of the figure.
        limits: Range of the metric, in its decibels. None takes all that both curves cover.

    Raises:
        ValueError: The curves do not overlap, or one has fewer than two rising points.
    """
    low, high = limits or (-np.inf, np.inf)
    points = [rising(one, metric) for one in (anchor, curve)]
    if any(len(bpp) < 2 for bpp, _ in points):
        raise ValueError("a curve needs two rising points")
    return round(bd_rate(*points[0], *points[1], low_db=low, high_db=high), 2)


def rising(curve: Curve, metric: str = "psnr_db") -> tuple[list[float], list[float]]:
    """bpp and decibels of a curve, without points that cost more and are not better."""
    kept: list[tuple[float, float]] = []
    for bpp, value in sorted(zip(curve["bpp"], curve[metric], strict=True), key=lambda point: point[0]):
        db = math.inf if value is None else decibels(metric, value)
        if math.isfinite(db) and (not kept or (db > kept[-1][1] and bpp > kept[-1][0])):
            kept.append((bpp, db))
    return [bpp for bpp, _ in kept], [db for _, db in kept]
