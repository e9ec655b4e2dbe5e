"""One picture through one codec: files, pictures, figures, times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from semcomp.eval.codecs import Coder
from semcomp.eval.curves import Point
from semcomp.imaging.metrics import ms_ssim, psnr_db, ssim

METRICS: dict[str, str] = {"psnr": "psnr_db", "ssim": "ssim", "ms-ssim": "ms_ssim", "lpips": "lpips"}
"""Name on the command line -> key of the figure."""

_warm: set[str] = set()


def read_pixels(path: str | Path, *, convert: bool = False) -> np.ndarray:
    """uint8 (H, W, 3); transparency is put on white. ImageError where the picture cannot be taken as it is."""
    from semcomp.eval.compare import on_white
    from semcomp.imaging.picture import open_picture, to_pil

    return np.ascontiguousarray(on_white(to_pil(open_picture(path, convert=convert))))


def measure(coder: Coder, pixels: np.ndarray, *, settings: Sequence[int], metrics: Sequence[str]) -> list[Point]:
    """A point a setting: bytes, bpp, encode_s, decode_s and the metrics; times alone for a codec of random weights.

    Before a process times a codec for the first time, it runs it once.
    """
    if coder.name not in _warm:
        coder.decode(coder.encode(pixels, settings[0]))
        _warm.add(coder.name)
    return [_point(coder, pixels, setting, metrics) for setting in settings]


def _point(coder: Coder, pixels: np.ndarray, setting: int, metrics: Sequence[str]) -> Point:
    began = time.perf_counter()
    data = coder.encode(pixels, setting)
    encoded = time.perf_counter()
    decoded = coder.decode(data)
    done = time.perf_counter()
    point: dict[str, float | None] = {"setting": setting}
    if not coder.speed_only:
        point |= {"bytes": len(data), "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1])}
        point |= {METRICS[metric]: figure(metric, pixels, decoded) for metric in metrics}
    return {**point, "encode_s": round(encoded - began, 6), "decode_s": round(done - encoded, 6)}


def figure(metric: str, original: np.ndarray, decoded: np.ndarray) -> float | None:
    """One metric by name; None where it is infinite, or not defined for a picture of this size."""
    functions: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "psnr": psnr_db,
        "ssim": ssim,
        "ms-ssim": ms_ssim,
        "lpips": lambda x, y: lpips_network()(x, y),
    }
    try:
        value = functions[metric](original, decoded)
    except ValueError:
        return None
    return round(value, 6) if np.isfinite(value) else None


@lru_cache(maxsize=1)
def lpips_network() -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS of this process."""
    from semcomp.eval.perceptual import load_lpips

    return load_lpips()
