"""Means over pictures, as curves of quality over rate, and how much smaller the files of one curve are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from semcomp.imaging.metrics import bd_rate

BD_RANGE_DB = (26.0, 38.0)
"""PSNR between which files are compared unless told otherwise."""

Point = Mapping[str, float | None]
"""Figures of one picture at one setting; times end in _s. What could not be measured is None."""
Curve = dict[str, list[Any]]
"""Each figure, at every setting."""


def mean_curve(pictures: Sequence[Sequence[Point]]) -> Curve:
    """Means over the pictures, all measured at the same settings; medians of times. None where one has none."""
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
    """A metric on the scale that its BD-rate is computed on: PSNR as it is, others as -10 log10 of their error."""
    if metric == "psnr_db":
        return value
    error = value if metric == "lpips" else 1 - value
    return math.inf if error <= 0 else -10 * math.log10(error)


def saving(
    anchor: Curve, curve: Curve, *, metric: str = "psnr_db", limits: tuple[float, float] | None = BD_RANGE_DB
) -> float:
    """BD-rate in percent within `limits` (in the metric's decibels); ValueError where the curves do not overlap."""
    low, high = limits or (-np.inf, np.inf)
    points = [rising(one, metric) for one in (anchor, curve)]
    if any(len(bpp) < 2 for bpp, _ in points):
        raise ValueError("a curve needs two rising points")
    return round(bd_rate(*points[0], *points[1], low_db=low, high_db=high), 2)


def rising(curve: Curve, metric: str = "psnr_db") -> tuple[list[float], list[float]]:
    """(bpp, decibels) without points that cost more and are no better: two settings of a codec can be one."""
    kept: list[tuple[float, float]] = []
    for bpp, value in sorted(zip(curve["bpp"], curve[metric], strict=True), key=lambda point: point[0]):
        db = math.inf if value is None else decibels(metric, value)
        if math.isfinite(db) and (not kept or (db > kept[-1][1] and bpp > kept[-1][0])):
            kept.append((bpp, db))
    return [bpp for bpp, _ in kept], [db for _, db in kept]
