"""Plots quality over bits per pixel, one line per codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from semcomp.errors import MissingExtraError
from semcomp.eval.curves import Curve, rising

COLOURS = {
    "semcomp": "#c2185b",
    "AVIF": "#1565c0",
    "WebP": "#2e7d32",
    "JPEG 2000": "#8d6e63",
    "JPEG": "#616161",
    "JPEG XL": "#ef6c00",
    "HEIC": "#6a1b9a",
}
OTHERS = ("#00838f", "#9e9d24", "#5d4037", "#ad1457")
PSNR_RANGE = (24.0, 44.0)
AXES = {
    "psnr_db": "RGB PSNR in dB",
    "ssim": "SSIM, -10 log10 of 1 - SSIM",
    "ms_ssim": "MS-SSIM, -10 log10 of 1 - MS-SSIM",
    "lpips": "LPIPS, -10 log10",
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The content of a plot."""

    curves: Mapping[str, Curve]
    """Curves by label."""
    bd: Mapping[str, Mapping[str, float | None]]
    """BD-rate in percent by label and anchor."""
    title: str
    anchor: str = "JPEG"
    metric: str = "psnr_db"
    published: Mapping[str, Curve] = field(default_factory=dict)
    """Published curves by label, drawn dotted."""
    footer: str = ""
    """Small line below the axes: command, data and date."""


def draw(chart: Chart, file: Path | BinaryIO, *, format: str = "png") -> None:
    """Draw a chart.

    Args:
        chart: The content.
        file: Path or binary stream to write.
        format: Format of matplotlib, such as "png" or "svg".

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter
    except ImportError as error:
        raise MissingExtraError("a plot", "eval") from error

    lines = {name: rising(curve, chart.metric) for name, curve in chart.curves.items()}
    lines = {name: line for name, line in lines.items() if line[0]}
    figure = Figure(figsize=(8, 5.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    low, high = _range(chart, lines)
    for name, (bpp, db) in lines.items():
        ours = name == "semcomp"
        axes.plot(
            bpp,
            db,
            color=colour(name, lines),
            linewidth=2.6 if ours else 1.6,
            marker="o",
            markersize=3.2,
            zorder=3 if ours else 2,
        )
    for name, curve in chart.published.items():
        bpp, db = rising(curve, chart.metric)
        axes.plot(bpp, db, color="#9aa0ab", linewidth=1, linestyle=":", zorder=1)
        visible = [place for place, value in enumerate(db) if low <= value <= high]
        if visible:
            axes.annotate(name, (bpp[visible[-1]], db[visible[-1]]), fontsize=6, color="#80868f")
    _label_lines(axes, lines, chart, (low, high))
    axes.set_xscale("log")
    smallest = min((min(bpp) for bpp, _ in lines.values()), default=0.1)
    axes.set_xlim(max(0.02, 0.9 * smallest), 6)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color="#e4e4e8", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("bits per pixel (whole files)" + (f"\n{chart.footer}" if chart.footer else ""), fontsize=8)
    axes.set_ylabel(AXES[chart.metric])
    axes.set_title(chart.title, fontsize=10, loc="left")
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format=format)


def colour(name: str, names: Mapping[str, Any]) -> str:
    """The colour of a codec. Codecs without a colour of their own share a few."""
    others = [other for other in names if other not in COLOURS]
    return COLOURS.get(name) or OTHERS[others.index(name) % len(OTHERS)]


def _range(chart: Chart, lines: Mapping[str, tuple[list[float], list[float]]]) -> tuple[float, float]:
    """Range of the quality axis: the usual one for PSNR, else what the lines span."""
    values = [value for _, db in lines.values() for value in db] or [0.0, 1.0]
    if chart.metric != "psnr_db":
        return min(values) - 0.5, max(values) + 1
    return max(PSNR_RANGE[0], np.floor(min(values))), min(PSNR_RANGE[1], np.ceil(max(values)) + 1)


def _label_lines(
    axes: Any, lines: Mapping[str, tuple[list[float], list[float]]], chart: Chart, limits: tuple[float, float]
) -> None:
    """Write the names right of the lines, at different heights, each with a thin leader to its line."""
    gains = {name: chart.bd.get(name, {}).get(chart.anchor) for name in lines}
    order = sorted(lines, key=lambda name: gains[name] or 0.0)  # from the left line to the right one
    span = limits[1] - limits[0]
    heights = np.linspace(limits[1] - 0.2 * span, limits[0] + 0.25 * span, len(order))
    for name, height in zip(order, heights, strict=True):
        x, y = _at(lines[name], height)
        right = 1.5 * max(_at(line, y)[0] for line in lines.values())
        axes.plot([x, right], [y, y], color=colour(name, lines), linewidth=0.7, alpha=0.7, zorder=1)
        gain = gains[name]
        text = f" {name}" if gain is None else f" {name} ({gain:+.0f} %)"
        weight = "bold" if name == "semcomp" else "normal"
        axes.text(right, y, text, color=colour(name, lines), fontsize=10.5, fontweight=weight, va="center")


def _at(line: tuple[list[float], list[float]], height: float) -> tuple[float, float]:
    """The point of a line at a height, or at the nearest height of the line."""
    bpp, db = np.array(line[0]), np.array(line[1])
    x = np.exp(np.interp(height, db, np.log(bpp)))
    return float(x), float(np.clip(height, db.min(), db.max()))
