"""Image files whose pixels are numbers: class numbers of a label map, or ids of objects to keep."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semcomp.errors import ImageError
from semcomp.imaging.facts import netpbm_maximum
from semcomp.imaging.jpeg2000 import is_reversible, read_jpeg2000
from semcomp.storage.files import read_bytes

_LOSSY = {"JPEG", "MPO", "AVIF", "HEIF"}
_LOSSY_WEBP = b"VP8 "
_WIDE = re.compile(r"(RGB|RGBA|LA);16")
"""Raw modes of colour with 16 bits a channel. Pillow drops the lower 8 bits of each."""
_SCALED = {"L;2": 85, "L;2R": 85, "L;4": 17, "L;4R": 17}
"""Raw modes whose numbers Pillow scales to 0..255, and the factor."""
_INVERTED = re.compile(r"L(;[24])?;?I")
"""Raw modes of TIFF files in which 0 is white. Pillow turns their numbers round."""


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
    return read_numbers_and_palette(path)[0]


def read_numbers_and_palette(path: str | Path) -> tuple[NDArray[np.int64], list[int] | None]:
    """Read what `read_numbers` reads, and the palette: red, green and blue of number 0, 1 and so on, or None."""
    image, layout = _load(path)
    if not _is_one_number(image):
        raise ImageError(f"{path} has {image.mode} pixels; expected a grey or palette PNG with one number a pixel")
    return _numbers(image, layout, path), image.getpalette() if image.mode == "P" else None


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
        data = read_bytes(path)  # a pipe can be read once
        with Image.open(io.BytesIO(data)) as image:
            layout = _layout(image)  # loading the image clears it
            image.load()
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that can be read; save it as a PNG") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ImageError(f"{path} cannot be read: {reason}") from error
    if _changes_numbers(image, data):
        raise ImageError(f"{path} is a {image.format}, which changes numbers; save it as a PNG")
    if _INVERTED.match(layout):
        raise ImageError(f"{path} is a TIFF in which 0 is white, which turns numbers round; save it as a PNG")
    if image.format == "PPM" and image.mode in ("L", "I"):
        image = _with_numbers_of_pgm(image, netpbm_maximum(io.BytesIO(data)))
    return image, layout


def _changes_numbers(image: Image.Image, data: bytes) -> bool:
    """Whether a file is compressed with loss."""
    if image.format == "WEBP":
        return _LOSSY_WEBP in _chunks_of_webp(data)
    if image.format == "JPEG2000":
        facts = read_jpeg2000(io.BytesIO(data))
        return facts is not None and facts.codestream_at is not None and not is_reversible(data, facts.codestream_at)
    return image.format in _LOSSY


def _chunks_of_webp(data: bytes) -> list[bytes]:
    kinds, at = [], 12
    while at + 8 <= len(data):
        kinds.append(data[at : at + 4])
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return kinds


def _with_numbers_of_pgm(image: Image.Image, maximum: int) -> Image.Image:
    """Undo the scaling of a PGM file whose largest number is neither 255 nor 65,535."""
    top = 255 if image.mode == "L" else 65535
    return Image.fromarray(np.round(np.asarray(image, np.float64) * maximum / top).astype(np.int32))


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
