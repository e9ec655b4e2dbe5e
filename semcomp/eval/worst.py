"""The pictures with the largest loss of a codec, each shown by all codecs at equal bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from semcomp.errors import SemcompError
from semcomp.eval.codecs import Coder
from semcomp.eval.compare import data_url
from semcomp.eval.curves import mean_curve, rising
from semcomp.eval.measure import read_pixels
from semcomp.eval.run import EvalPlan, Row, coder_of, in_processes
from semcomp.eval.size import file_of_size
from semcomp.imaging.metrics import psnr_db

SIDE = 224
"""Side of the crop that is shown, in pixels."""
AMPLIFIED = 4
"""Factor by which shown differences are amplified."""


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One picture to be shown, and the codecs with a large loss on it."""

    path: Path
    target_bytes: int
    subjects: tuple[str, ...]
    plan: EvalPlan


def losses(rows: Sequence[Row], coders: Mapping[str, Coder], *, anchor: str) -> dict[str, dict[str, tuple[float, int]]]:
    """The loss of every codec on every picture.

    Args:
        rows: What `run` returned.
        coders: The codecs by name.
        anchor: Its middle file sets the size at which codecs are compared. If it was not measured, the first codec's
            middle file does.

    Returns:
        codec -> picture -> (dB below the best other codec, bytes of the comparison). PSNR at these bytes is
        interpolated between the points of a codec. The loss of a single codec is its negative PSNR.
    """
    names = [name for name, coder in coders.items() if not coder.speed_only]
    pictures: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["codec"] in names and "points" in row:
            pictures.setdefault(row["picture"], {})[row["codec"]] = row
    found: dict[str, dict[str, tuple[float, int]]] = {name: {} for name in names}
    reference = anchor if anchor in names else names[0]
    for picture, by_codec in pictures.items():
        if reference not in by_codec:
            continue
        points = by_codec[reference]["points"]
        target = points[len(points) // 2]
        lines = {name: rising(mean_curve([row["points"]])) for name, row in by_codec.items()}
        at = {name: _at(*line, target["bpp"]) for name, line in lines.items() if line[0]}
        for name, db in at.items():
            best = max((value for other, value in at.items() if other != name), default=0.0)
            found[name][picture] = (best - db, int(target["bytes"]))
    return found


def _at(bpp: Sequence[float], db: Sequence[float], where: float) -> float:
    return float(np.interp(np.log(where), np.log(bpp), db))


def exhibits(
    rows: Sequence[Row], coders: Mapping[str, Coder], plan: EvalPlan, *, anchor: str, count: int
) -> tuple[dict[str, list[tuple[str, float]]], list[Exhibit]]:
    """Choose the pictures to show.

    Args:
        rows: What `run` returned.
        coders: The codecs by name.
        plan: What was measured.
        anchor: As for `losses`.
        count: Pictures per codec.

    Returns:
        The worst pictures of each codec with their loss in dB, the worst first, and the exhibits that show them.
    """
    ranked: dict[str, list[tuple[str, float]]] = {}
    wanted: dict[str, tuple[int, list[str]]] = {}
    for name, by_picture in losses(rows, coders, anchor=anchor).items():
        order = sorted(by_picture.items(), key=lambda item: -item[1][0])[:count]
        ranked[name] = [(picture, round(loss, 2)) for picture, (loss, _) in order]
        for picture, (_, target) in order:
            wanted.setdefault(picture, (target, []))[1].append(name)
    made = [
        Exhibit(path=Path(picture), target_bytes=target, subjects=tuple(subjects), plan=plan)
        for picture, (target, subjects) in wanted.items()
    ]
    return ranked, made


def show(exhibit: Exhibit) -> Row:
    """Encode one picture with every codec at equal bytes.

    Returns:
        {"picture", "codecs": {name: label, setting, bytes, bpp, psnr_db}, "views": {subject: {"original": data URL,
        "codecs": {name: {"shown", "difference"}}}}}. A view is the crop where the error of its subject is largest.
    """
    plan = exhibit.plan
    pixels = read_pixels(exhibit.path, convert=plan.convert)
    entries: dict[str, Any] = {}
    decoded: dict[str, NDArray[Any]] = {}
    for name in plan.codecs:
        coder = coder_of(name, plan.model, plan.device, plan.share)
        if coder.speed_only:
            continue
        try:
            setting, data = file_of_size(coder, pixels, target_bytes=exhibit.target_bytes)
            decoded[name] = coder.decode(data)
        except (SemcompError, OSError, ValueError, RuntimeError):
            continue  # the result holds its failure on this picture
        psnr = psnr_db(pixels, decoded[name])
        entries[name] = {
            "label": coder.label,
            "setting": f"{coder.unit} {setting}",
            "bytes": len(data),
            "bpp": round(8 * len(data) / (pixels.shape[0] * pixels.shape[1]), 4),
            "psnr_db": round(psnr, 2) if np.isfinite(psnr) else None,
        }
    views = {name: _view(pixels, decoded, name) for name in exhibit.subjects if name in decoded}
    return {"picture": str(exhibit.path), "codecs": entries, "views": views}


def _view(pixels: NDArray[Any], decoded: Mapping[str, NDArray[Any]], subject: str) -> dict[str, Any]:
    rows, columns = worst_place(pixels, decoded[subject])
    crop = pixels[rows, columns]
    shown = {}
    for name, picture in decoded.items():
        piece = picture[rows, columns]
        difference = np.abs(piece.astype(np.int16) - crop).mean(2) * AMPLIFIED
        grey = np.clip(difference, 0, 255).astype(np.uint8)
        shown[name] = {"shown": _image(piece, quality=90), "difference": _image(grey, quality=75)}
    return {"original": _image(crop, quality=90), "codecs": shown}


def worst_place(original: NDArray[Any], decoded: NDArray[Any], *, side: int = SIDE) -> tuple[slice, slice]:
    """The square of `side` pixels with the largest squared error. It is found on a grid of an eighth of its side."""
    height, width = min(side, original.shape[0]), min(side, original.shape[1])
    error = np.square(original.astype(np.float64) - decoded).sum(2)
    sums = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    step = max(1, side // 8)
    coarse = windows[::step, ::step]
    row, column = (int(place) * step for place in np.unravel_index(np.argmax(coarse), coarse.shape))
    return slice(row, row + height), slice(column, column + width)


def _image(pixels: NDArray[Any], *, quality: int) -> str:
    file = io.BytesIO()
    form = "WEBP" if features.check("webp") else "JPEG"
    Image.fromarray(pixels).save(file, form, quality=quality)
    return data_url(file.getvalue(), f"image/{form.lower()}")


def show_all(made: Sequence[Exhibit], *, jobs: int, progress: bool) -> dict[str, Row]:
    """Run `show` on every exhibit. Returns its rows by picture."""
    return {row["picture"]: row for row in in_processes(show, made, jobs, progress=progress)}
