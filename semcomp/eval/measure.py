"""Measures one picture with one codec: sizes, metrics and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.eval.codecs import Coder
from semcomp.eval.curves import Point
from semcomp.imaging.metrics import monotone_interpolator, ms_ssim, psnr_db, ssim

METRICS: dict[str, str] = {
    "psnr": "psnr_db",
    "ssim": "ssim",
    "ms-ssim": "ms_ssim",
    "lpips": "lpips",
    "ssimulacra2": "ssimulacra2",
}
"""Name of a metric on the command line, and key of its figure."""

_warm: set[str] = set()


def read_pixels(path: str | Path, *, convert: bool = False) -> NDArray[Any]:
    """Read a picture as uint8 (H, W, 3), with transparency on white.

    Raises:
        ImageError: The picture cannot be encoded as it is, and `convert` is not set.
    """
    from semcomp.eval.compare import on_white
    from semcomp.imaging.picture import open_picture, to_pil

    return np.ascontiguousarray(on_white(to_pil(open_picture(path, convert=convert))))


def measure(coder: Coder, pixels: NDArray[Any], *, settings: Sequence[int], metrics: Sequence[str]) -> list[Point]:
    """Measure one point per setting: bytes, bpp, encode_s, decode_s and the metrics.

    A codec with random weights gets times alone. A process runs a codec once before it times it.
    """
    if coder.name not in _warm:
        coder.decode(coder.encode(pixels, settings[0]))
        _warm.add(coder.name)
    return [_point(coder, pixels, setting, metrics) for setting in settings]


def _point(coder: Coder, pixels: NDArray[Any], setting: int, metrics: Sequence[str]) -> Point:
    began = time.perf_counter()
    data = coder.encode(pixels, setting)
    encoded = time.perf_counter()
    decoded = coder.decode(data)
    done = time.perf_counter()
    point: dict[str, float | None] = {"setting": setting}
    if not coder.speed_only:
        point |= {"bytes": len(data), "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1])}
        point |= {METRICS[metric]: metric_value(metric, pixels, decoded) for metric in metrics}
    return {**point, "encode_s": round(encoded - began, 6), "decode_s": round(done - encoded, 6)}


def metric_value(metric: str, original: NDArray[Any], decoded: NDArray[Any]) -> float | None:
    """One metric by name. None where it is infinite, or not defined for a picture of this size."""
    functions: dict[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {
        "psnr": psnr_db,
        "ssim": ssim,
        "ms-ssim": ms_ssim,
        "lpips": lambda x, y: lpips_network()(x, y),
        "ssimulacra2": lambda x, y: ssimulacra2_score()(x, y),
    }
    try:
        value = functions[metric](original, decoded)
    except ValueError:
        return None
    return round(value, 6) if np.isfinite(value) else None


def prepare(metrics: Sequence[str], *, compared: bool) -> None:
    """Load what the metrics need, so that what is missing is named before anything is measured.

    Args:
        metrics: Names of METRICS.
        compared: Whether BD-rates follow.

    Raises:
        MissingExtraError: A package is not installed.
        SemcompError: Weights are not on this machine.
    """
    loaders = {"lpips": lpips_network, "ssimulacra2": ssimulacra2_score}
    for metric in loaders.keys() & set(metrics):
        loaders[metric]()
    if compared:
        monotone_interpolator()


@lru_cache(maxsize=1)
def lpips_network() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """The LPIPS network of this process."""
    from semcomp.eval.perceptual import load_lpips

    return load_lpips()


@lru_cache(maxsize=1)
def ssimulacra2_score() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """The function that computes SSIMULACRA2."""
    from semcomp.eval.perceptual import load_ssimulacra2

    return load_ssimulacra2()
