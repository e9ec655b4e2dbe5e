"""Distortion and rate figures, as the field defines them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

WINDOW, SIGMA = 11, 1.5
"""Side in pixels and standard deviation of SSIM's Gaussian window."""
_ROWS = 256
"""Rows that PSNR compares at once."""
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM, the finest scale first."""
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1
"""Shortest side in pixels that MS-SSIM is defined for."""


def psnr_db(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB, infinite for equal images.

    Args:
        original: uint8 of any shape.
        decoded: uint8 of the same shape.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> black = np.zeros((2, 2, 3), np.uint8)
        >>> round(psnr_db(black, black + 1), 2)
        48.13
    """
    if original.shape != decoded.shape:
        raise ValueError(f"pictures of one shape are compared, not {original.shape} and {decoded.shape}")
    error = 0
    for begin in range(0, len(original), _ROWS):  # integers: exact, and little memory for a large image
        rows = slice(begin, begin + _ROWS)
        error += int(np.square(original[rows].astype(np.int32) - decoded[rows]).sum(dtype=np.int64))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 * original.size / error))


def ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Structural similarity, the mean over the channels. Source: Wang et al. 2004, windows inside the image only.

    Args:
        original: uint8 (H, W, 3).
        decoded: uint8 of the same shape.

    Raises:
        ValueError: The shapes differ, or a side is below 11 pixels.
    """
    x, y = _planes(original, decoded, least=WINDOW)
    return float(_similarity(x, y)[0].mean())


def ms_ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Structural similarity over five scales, the mean over the channels. Source: Wang et al. 2003, contrasts >= 0.

    Args:
        original: uint8 (H, W, 3).
        decoded: uint8 of the same shape.

    Raises:
        ValueError: The shapes differ, or a side is below 161 pixels.
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


def _planes(original: NDArray[np.uint8], decoded: NDArray[np.uint8], *, least: int) -> "tuple[Tensor, Tensor]":
    """float32 (3, 1, H, W) in [0, 1] of each."""
    import torch

    if original.shape != decoded.shape:
        raise ValueError(f"pictures of one shape are compared, not {original.shape} and {decoded.shape}")
    if min(original.shape[:2]) < least:
        raise ValueError(f"both sides must be at least {least} pixels, not {original.shape[1]}x{original.shape[0]}")
    x, y = (torch.tensor(pixels).permute(2, 0, 1)[:, None].float() / 255 for pixels in (original, decoded))
    return x, y


def _similarity(x: "Tensor", y: "Tensor") -> "tuple[Tensor, Tensor]":
    """SSIM of each plane, and its product of contrast and structure alone: (C, 1, H, W) twice -> (C,) twice."""
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


def monotone_interpolator() -> Callable[[Any, Any], Any]:
    """scipy's piecewise cubic interpolation that keeps curves monotone. MissingExtraError if scipy is not installed."""
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise MissingExtraError("BD-rate", "eval") from error
    interpolator: Callable[[Any, Any], Any] = PchipInterpolator
    return interpolator


def bd_rate(
    anchor_bpp: Sequence[float],
    anchor_db: Sequence[float],
    bpp: Sequence[float],
    db: Sequence[float],
    *,
    low_db: float = -np.inf,
    high_db: float = np.inf,
) -> float:
    """Bjøntegaard's mean difference in rate at equal quality, in percent. A saving is negative.

    Both curves are interpolated monotonically (pchip) as log rate over PSNR, and compared where they overlap.
    Source: VCEG-M33 (2001), with pchip in place of the cubic fit.

    Args:
        anchor_bpp: Rates of the codec to compare with.
        anchor_db: PSNR of each of its rates.
        bpp: Rates of the other codec.
        db: PSNR of each of its rates.
        low_db: Lower end of the range that is compared.
        high_db: Upper end of the range that is compared.

    Raises:
        ValueError: The curves do not overlap in the range.
        MissingExtraError: scipy is not installed.
    """
    interpolator = monotone_interpolator()

    def curve(rate: Sequence[float], quality: Sequence[float]) -> Any:
        order = np.argsort(quality)
        return interpolator(np.asarray(quality, float)[order], np.log(np.asarray(rate, float)[order]))

    low = max(min(anchor_db), min(db), low_db)
    high = min(max(anchor_db), max(db), high_db)
    if not low < high:
        ranges = f"{min(anchor_db):.2f} to {max(anchor_db):.2f} and {min(db):.2f} to {max(db):.2f} dB"
        within = f" within {low_db:g} to {high_db:g} dB" if np.isfinite([low_db, high_db]).any() else ""
        raise ValueError(f"the curves do not overlap{within}: {ranges}")
    difference = curve(bpp, db).integrate(low, high) - curve(anchor_bpp, anchor_db).integrate(low, high)
    return float(100 * (np.exp(difference / (high - low)) - 1))
