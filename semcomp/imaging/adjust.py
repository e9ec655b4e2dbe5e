"""What happens to pixels before they are encoded: hidden colours go, grey is noticed, colours may move to sRGB."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from semcomp.errors import ImageError

_TILE = 8
"""Side of the squares whose mean visible colour fills their hidden pixels."""
_ROWS = 512
"""Rows that are looked at together, which bounds the memory. A multiple of _TILE."""


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Whether the three channels of (H, W, 3) are equal everywhere.

    Example:
        >>> is_grey(np.full((2, 2, 3), 7, np.uint8))
        True
    """
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS]
        red = rows[:, :, 0]
        if not (np.array_equal(red, rows[:, :, 1]) and np.array_equal(red, rows[:, :, 2])):
            return False
    return True


def without_hidden_colour(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace what is under alpha 0 by colours of the visible pixels near it, which cost few bits.

    Args:
        pixels: (H, W, 3).
        alpha: (H, W).

    Returns:
        A changed copy, or `pixels` itself where nothing is hidden. A picture without a visible pixel becomes black.
    """
    hidden = alpha == 0
    if not hidden.any():
        return pixels
    if hidden.all():
        return np.zeros_like(pixels)
    fill = _filled(*_visible_sums(pixels, hidden))
    result = pixels.copy()
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        coarse = fill[top // _TILE : -(-(top + _ROWS) // _TILE)]
        smooth = np.repeat(np.repeat(coarse, _TILE, axis=0), _TILE, axis=1)
        where = hidden[rows]
        np.copyto(result[rows], smooth[: where.shape[0], : where.shape[1]], where=where[:, :, None])
    return result


def _visible_sums(pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sum and number of the visible pixels of each tile: (h, w, 3) and (h, w, 1)."""
    sums, counts = [], []
    for top in range(0, len(pixels), _ROWS):
        seen = ~hidden[top : top + _ROWS, :, None]
        sums.append(_tiles(pixels[top : top + _ROWS] * seen))
        counts.append(_tiles(seen))
    return np.concatenate(sums).astype(np.float64), np.concatenate(counts).astype(np.float64)


def _tiles(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Sums of the tiles of (H, W, C). 64 values of at most 255 fit into 16 bits."""
    down = np.add.reduceat(values, np.arange(0, values.shape[0], _TILE), axis=0, dtype=np.uint16)
    return np.asarray(np.add.reduceat(down, np.arange(0, values.shape[1], _TILE), axis=1))


def _filled(sums: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.uint8]:
    """Mean colour of each tile. A tile without a visible pixel takes the mean of the 2x2, 4x4.. tiles around it."""
    if counts.min() > 0 or counts.size == 1:
        means = sums / np.maximum(counts, 1)
        return np.asarray(np.round(means).astype(np.uint8))
    height, width = counts.shape[:2]
    even = ((0, height % 2), (0, width % 2), (0, 0))
    pair = (-(-height // 2), 2, -(-width // 2), 2, -1)
    half = [np.pad(values, even).reshape(pair).sum(axis=(1, 3)) for values in (sums, counts)]
    coarse = np.repeat(np.repeat(_filled(*half), 2, axis=0), 2, axis=1)[:height, :width]
    means = np.round(sums / np.maximum(counts, 1)).astype(np.uint8)
    return np.asarray(np.where(counts > 0, means, coarse))


def to_srgb(pixels: NDArray[np.uint8], icc: bytes, *, grey: bool) -> NDArray[np.uint8]:
    """Move the colours of (H, W, 3) from a profile to sRGB, clipped to what sRGB holds.

    Args:
        pixels: What the profile describes; of a grey picture each channel is the grey level.
        icc: The profile, of RGB or of grey.
        grey: Whether the picture is grey. It stays grey.

    Raises:
        ImageError: The profile is damaged, or does not fit the picture.
    """
    single = icc[16:20] == b"GRAY"
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 1])) if single else Image.fromarray(pixels)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        moved = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.NOOPTIMIZE,  # an optimised transform of grey is coarse near black
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ImageError(
            f"the ICC profile of the image cannot be used ({error}): leave out convert_colour=True to keep it as it is"
        ) from error
    assert moved is not None
    result = np.array(moved)
    return np.repeat(result[:, :, 1:2], 3, axis=2) if grey or single else result
