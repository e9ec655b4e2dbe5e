"""Image files whose pixels are numbers: class numbers of a label map, or ids of objects to keep."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semcomp.errors import ImageError

_LOSSY = {"JPEG", "MPO"}
_WIDE = re.compile(r"(RGB|RGBA|LA);16")
"""Raw modes of colour with 16 bits a channel. Pillow drops the lower 8 bits of each."""
_SCALED = {"L;2": 85, "L;4": 17}
"""Raw modes whose numbers Pillow scales to 0..255, and the factor."""


def read_numbers(path: str | Path) -> NDArray[np.int64]:
    """Read a grey or palette image of whole numbers.

    Args:
        path: A PNG, TIFF or other lossless file with one channel: 1 to 16 bits, signed or unsigned 32 bits, or a
            palette, whose indices are the numbers.

    Returns:
        The numbers as int64, shape (H, W).

    Raises:
        ImageError: The file is missing, is not an image, has several channels, or its format changes numbers.
    """
    image, layout = _load(path)
    if not _is_one_number(image):
        raise ImageError(f"{path} is a {image.mode} image; expected a grey or palette PNG with one number a pixel")
    return _numbers(image, layout, path)


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read which pixels are marked: every pixel that is not zero.

    Args:
        path: A file that `read_numbers` takes, or a colour image, in which every pixel that is not black is marked.
            Pixels that are fully transparent are not marked.

    Returns:
        bool, shape (H, W).

    Raises:
        ImageError: The file is missing, is not an image, or its format changes numbers.
    """
    image, layout = _load(path)
    if _is_one_number(image) and not _is_drawing(image):
        nonzero: NDArray[np.bool_] = _numbers(image, layout, path) != 0
        return nonzero
    if _WIDE.match(layout):
        raise ImageError(f"{path} has 16 bits a colour channel; save the mask as a grey PNG")
    channels = np.asarray(image.convert("RGBA"))
    marked: NDArray[np.bool_] = channels[..., :3].any(axis=2) & (channels[..., 3] > 0)
    return marked


def _load(path: str | Path) -> tuple[Image.Image, str]:
    """Load an image of numbers, and the layout of its file such as "L;4". What Pillow raises becomes a sentence."""
    try:
        with Image.open(path) as image:
            layout = _layout(image)  # loading the image clears it
            image.load()
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that can be read; save it as a PNG") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ImageError(f"{path} cannot be read: {reason}") from error
    if image.format in _LOSSY:
        raise ImageError(f"{path} is a {image.format}, which changes numbers; save it as a PNG")
    return image, layout


def _layout(image: Image.Image) -> str:
    """Pillow's name for how the file stores a pixel, "" where the format does not say."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _is_one_number(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "P", "I", "F") or image.mode.startswith("I;16")


def _numbers(image: Image.Image, layout: str, path: str | Path) -> NDArray[np.int64]:
    values = np.asarray(image)
    if image.mode == "F" and (not np.isfinite(values).all() or (values != np.round(values)).any()):
        raise ImageError(f"{path} holds fractions; expected a whole number in every pixel")
    return values.astype(np.int64) // _SCALED.get(layout, 1)


def _is_drawing(image: Image.Image) -> bool:
    """Tell a palette drawing from object ids: its index 0 has a colour, and another index that occurs is black."""
    if image.mode != "P":
        return False
    palette = np.asarray(image.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
    used = [number for number in np.unique(np.asarray(image)).tolist() if 0 < number < len(palette)]
    return bool(palette[0].any()) and any(not palette[number].any() for number in used)
