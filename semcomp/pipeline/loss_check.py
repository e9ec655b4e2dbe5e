"""Pictures that the codec cannot do, such as line art, text, screenshots and checkerboards.

The codec has learned photos. A cheap look at a picture tells photos from what may be of another kind. The loss of the
latter is measured when they are encoded, and a warning names it.

In crops of 77 photos of data/val, at most 55 % of neighbouring pixels are equal and at most 12 % differ by 64 levels.
A page of text has 75 and 18 %, line art 91 and 9 %, a checkerboard 0 and 100 %. Measured by
`python -m benchmarks.kinds_of_pictures`, as was PHOTOS_DB.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import SemcompWarning
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import Picture

EQUAL_SHARE = 0.6
"""A picture with a larger share of equal neighbours may not be a photo."""
EDGE_LEVELS, EDGE_SHARE = 64, 0.2
"""A picture may not be a photo where a larger share of neighbours differs by this many levels."""
FEW_COLOURS = 32
"""A picture with at most this many colours is not a photo."""
LOOKED_AT = 128
"""Rows, and columns for the count of colours, that are looked at."""
PHOTOS_DB = {1: 25.0, 25: 28.4, 50: 32.5, 75: 36.9, 100: 40.5}
"""Median PSNR of photos by quality. Qualities in between are interpolated."""
MARGIN_DB, VISIBLE_DB = 2.0, 35.0
"""A loss is worth a warning where PSNR is below VISIBLE_DB, and below the PSNR of photos by MARGIN_DB."""


def may_be_unsuited(picture: Picture) -> bool:
    """Whether a picture has the flat areas, hard edges or few colours of something that is not a photo.

    Args:
        picture: The picture. About 128 of its rows are looked at.

    Returns:
        False for photos. True says only that the loss is worth measuring.
    """
    equal, edges = shares_of(picture)
    return equal > EQUAL_SHARE or edges > EDGE_SHARE or _few_colours(picture)


def shares_of(picture: Picture) -> tuple[float, float]:
    """Shares of horizontal neighbours that are equal, and that differ by EDGE_LEVELS or more."""
    rows = picture.pixels[:: max(1, picture.height // LOOKED_AT)]
    if picture.width == 1:
        return 0.0, 0.0
    steps = np.abs(np.diff(rows.astype(np.int16), axis=1)).max(2)
    return float((steps == 0).mean()), float((steps >= EDGE_LEVELS).mean())


def usual_db(quality: int) -> float:
    """Median PSNR of photos at a quality in dB."""
    return float(np.interp(quality, list(PHOTOS_DB), list(PHOTOS_DB.values())))


def _few_colours(picture: Picture) -> bool:
    pixels = picture.pixels[:: max(1, picture.height // LOOKED_AT), :: max(1, picture.width // LOOKED_AT)]
    packed = pixels.reshape(-1, 3).astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    some = packed[:: max(1, packed.size // 1024)]  # most photos are done after these
    return len(np.unique(some)) <= FEW_COLOURS and len(np.unique(packed)) <= FEW_COLOURS


def warn_of_loss(picture: Picture, decoded: NDArray[Any], *, quality: int) -> None:
    """Warn where a picture has lost much more than a photo would.

    Args:
        picture: What was encoded.
        decoded: uint8 (height, width, 3), what its file decodes to.
        quality: Quality of the file, 1..100.

    Warns:
        SemcompWarning: PSNR is much lower than a photo's. The message names both, and what to use instead.
    """
    if lost_a_lot(picture, decoded, quality=quality):
        found, usual = psnr_db(picture.pixels, decoded), usual_db(quality)
        warnings.warn(
            f"quality {quality} keeps only {found:.1f} dB of this picture, and about {usual:.0f} dB of a photo: the "
            "codec has learned photos, and this is unlike one (text, line art, graphics, noise); store it losslessly, "
            "as PNG or lossless WebP",
            SemcompWarning,
            stacklevel=4,
        )


def lost_a_lot(picture: Picture, decoded: NDArray[Any], *, quality: int) -> bool:
    """Whether a picture has lost much more than a photo would, and visibly so."""
    return psnr_db(picture.pixels, decoded) <= min(usual_db(quality) - MARGIN_DB, VISIBLE_DB)
