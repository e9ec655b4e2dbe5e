"""Distortion and rate figures, as the field defines them."""

from collections.abc import Sequence

import numpy as np

from semcomp.errors import MissingExtraError


def psnr_db(original: np.ndarray, decoded: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of one shape, in dB; infinite for equal ones."""
    if original.shape != decoded.shape:
        raise ValueError(f"pictures of one shape are compared, not {original.shape} and {decoded.shape}")
    mse = np.mean(np.square(original.astype(np.float64) - decoded.astype(np.float64)))
    return float("inf") if mse == 0 else float(10 * np.log10(255**2 / mse))


def bd_rate(
    anchor_bpp: Sequence[float],
    anchor_db: Sequence[float],
    bpp: Sequence[float],
    db: Sequence[float],
    *,
    low_db: float = -np.inf,
    high_db: float = np.inf,
) -> float:
    """Bjøntegaard's mean difference in rate at equal quality, in percent; negative is a saving.

    Both curves are interpolated monotonically (pchip) as log rate over PSNR, and compared where they overlap,
    within [low_db, high_db]. ValueError if they do not overlap.
    Source: VCEG-M33 (2001), with pchip in place of the cubic fit.
    """
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise MissingExtraError("BD-rate", "eval") from error

    def curve(rate: Sequence[float], quality: Sequence[float]) -> PchipInterpolator:
        order = np.argsort(quality)
        return PchipInterpolator(np.asarray(quality, float)[order], np.log(np.asarray(rate, float)[order]))

    low = max(min(anchor_db), min(db), low_db)
    high = min(max(anchor_db), max(db), high_db)
    if not low < high:
        raise ValueError(f"the curves do not overlap between {low:.2f} and {high:.2f} dB")
    difference = curve(bpp, db).integrate(low, high) - curve(anchor_bpp, anchor_db).integrate(low, high)
    return float(100 * (np.exp(difference / (high - low)) - 1))
