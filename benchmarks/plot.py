"""The picture of `benchmarks.rate --plot`: PSNR over bits a pixel, one line a codec."""

from pathlib import Path
from typing import Any

import numpy as np

from semcomp.errors import MissingExtraError

COLOURS = {"semcomp": "#c2185b", "AVIF": "#1565c0", "WebP": "#2e7d32", "JPEG 2000": "#8d6e63", "JPEG": "#616161"}
DB_RANGE = (24.0, 44.0)


def draw(curves: dict[str, Any], bd: dict[str, dict[str, float | None]], *, photos: int, path: Path) -> None:
    """Write a PNG. MissingExtraError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter
    except ImportError as error:
        raise MissingExtraError("a plot", "eval") from error

    figure = Figure(figsize=(8, 5.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(
            curve["bpp"], curve["psnr_db"], color=COLOURS[name], linewidth=2.6 if name == "semcomp" else 1.6,
            marker="o", markersize=3.2, zorder=3 if name == "semcomp" else 2,
        )  # fmt: skip
    _label_lines(axes, curves, bd)
    lowest = min(min(curve["bpp"]) for curve in curves.values())
    axes.set_xscale("log")
    axes.set_xlim(max(0.02, 0.9 * lowest), 6)
    axes.set_ylim(*DB_RANGE)
    axes.xaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color="#e4e4e8", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("bits a pixel (whole files)")
    axes.set_ylabel("RGB PSNR in dB")
    title = f"Mean over {photos} lossless photos; in brackets, bytes at equal PSNR against JPEG"
    axes.set_title(title, fontsize=10, loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _label_lines(axes: Any, curves: dict[str, Any], bd: dict[str, dict[str, float | None]]) -> None:
    """Names right of all lines, each at a height of its own, with a thin leader to its line."""
    order = sorted(curves, key=lambda name: bd.get(name, {}).get("JPEG") or 0.0)  # from the left line to the right one
    for name, height in zip(order, np.linspace(DB_RANGE[1] - 4, DB_RANGE[0] + 5, len(order)), strict=True):
        x, y = _at(curves[name], height)
        right = 1.5 * max(_at(curve, y)[0] for curve in curves.values())
        axes.plot([x, right], [y, y], color=COLOURS[name], linewidth=0.7, alpha=0.7, zorder=1)
        gain = bd.get(name, {}).get("JPEG")
        text = f" {name}" if gain is None else f" {name} ({gain:+.0f} %)"
        weight = "bold" if name == "semcomp" else "normal"
        axes.text(right, y, text, color=COLOURS[name], fontsize=10.5, fontweight=weight, va="center")


def _at(curve: dict[str, list[float]], height: float) -> tuple[float, float]:
    """The point of a curve at a PSNR, or at the nearest that it has."""
    bpp, db = np.array(curve["bpp"]), np.array(curve["psnr_db"])
    rising = np.argsort(db)
    x = np.exp(np.interp(height, db[rising], np.log(bpp[rising])))
    return float(x), float(np.clip(height, db.min(), db.max()))
