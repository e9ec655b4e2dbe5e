"""Distortion and rate figures, as the field defines them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from semcomp.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

WINDOW, SIGMA = 11, 1.5
"""Of SSIM's Gaussian."""
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM, the finest scale first."""
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1
"""Of a picture that MS-SSIM is defined for."""


def psnr_db(original: np.ndarray, decoded: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of one shape, in dB; infinite for equal ones."""
    if original.shape != decoded.shape:
        raise ValueError(f"pictures of one shape are compared, not {original.shape} and {decoded.shape}")
    mse = np.mean(np.square(original.astype(np.float64) - decoded.astype(np.float64)))
    return float("inf") if mse == 0 else float(10 * np.log10(255**2 / mse))


def ssim(original: np.ndarray, decoded: np.ndarray) -> float:
    """Structural similarity of two uint8 arrays (H, W, 3), the mean of the channels'. ValueError below 11 pixels.

    Source: Wang et al. 2004; a Gaussian window that lies wholly inside the picture.
    """
    x, y = _planes(original, decoded, least=WINDOW)
    return float(_similarity(x, y)[0].mean())


def ms_ssim(original: np.ndarray, decoded: np.ndarray) -> float:
    """The same over five scales, the mean of the channels'. ValueError where a side is below 161 pixels.

    Source: Wang et al. 2003, with negative contrasts cut off.
    """
    import torch
    import torch.nn.functional as F

    x, y = _planes(original, decoded, least=SMALLEST_SIDE)
    result = torch.ones(x.shape[0])
    for exponent in SCALES[:-1]:
        result *= _similarity(x, y)[1].relu() ** exponent
        odd = (x.shape[2] % 2, x.shape[3] % 2)
        x, y = F.avg_pool2d(x, 2, padding=odd), F.avg_pool2d(y, 2, padding=odd)
    result *= _similarity(x, y)[0].relu() ** SCALES[-1]
    return float(result.mean())


def _planes(original: np.ndarray, decoded: np.ndarray, *, least: int) -> "tuple[Tensor, Tensor]":
    """float32 (3, 1, H, W) in [0, 1] of each."""
    import torch

    if original.shape != decoded.shape:
        raise ValueError(f"pictures of one shape are compared, not {original.shape} and {decoded.shape}")
    if min(original.shape[:2]) < least:
        raise ValueError(f"both sides must be at least {least} pixels, not {original.shape[1]}x{original.shape[0]}")
    x, y = (torch.tensor(pixels).permute(2, 0, 1)[:, None].float() / 255 for pixels in (original, decoded))
    return x, y


def _similarity(x: "Tensor", y: "Tensor") -> "tuple[Tensor, Tensor]":
    """SSIM, and its contrast and structure part alone, of each plane: (C, 1, H, W) twice -> (C,) twice."""
    import torch
    import torch.nn.functional as F

    steps = torch.arange(WINDOW) - WINDOW // 2
    window = torch.exp(-(steps**2) / (2 * SIGMA**2))
    window = (window / window.sum())[None, None, None]
    x, y = x - 0.5, y - 0.5  # small numbers lose less when squares are subtracted
    moments = F.conv2d(F.conv2d(torch.cat([x, y, x * x, y * y, x * y]), window), window.mT)
    mean_x, mean_y, square_x, square_y, product = moments.chunk(5)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    contrast = (2 * (product - mean_x * mean_y) + 0.03**2) / (variances + 0.03**2)
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


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
        ranges = f"{min(anchor_db):.2f} to {max(anchor_db):.2f} and {min(db):.2f} to {max(db):.2f} dB"
        within = f" within {low_db:g} to {high_db:g} dB" if np.isfinite([low_db, high_db]).any() else ""
        raise ValueError(f"the curves do not overlap{within}: {ranges}")
    difference = curve(bpp, db).integrate(low, high) - curve(anchor_bpp, anchor_db).integrate(low, high)
    return float(100 * (np.exp(difference / (high - low)) - 1))
