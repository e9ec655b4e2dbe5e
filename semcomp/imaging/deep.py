"""Images of 16 bits a channel: all bits of files that Pillow reads, and a PNG writer for RGB, which Pillow lacks."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError

_SWAPPED = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": "RGB;16B"}
"""How Pillow unpacks RGB of 16 bits, of which it keeps the high bytes -> how it unpacks the low bytes."""
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_TURNED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
}
"""Orientation of EXIF -> how the rows and columns are turned upright."""


def swapped_raw_mode(image: Image.Image) -> str | None:
    """The raw mode under which an image that is not loaded yet gives the low bytes of its RGB samples."""
    for tile in getattr(image, "tile", ()):
        arguments: Any = tile[3]
        for value in arguments if isinstance(arguments, tuple) else (arguments,):
            if isinstance(value, str) and value in _SWAPPED:
                return _SWAPPED[value]
    return None


def low_bytes(stream: BinaryIO | None, raw_mode: str) -> NDArray[np.uint8] | None:
    """The low bytes (H, W, 3) of a file of 16-bit RGB: Pillow unpacks them when it mistakes the order of bytes."""
    if stream is None:
        return None
    stream.seek(0)
    with Image.open(stream, formats=("PNG", "TIFF")) as image:
        image.tile = [tile._replace(args=_with(tile.args, raw_mode)) for tile in getattr(image, "tile", [])]
        return np.array(image)


def _with(arguments: Any, raw_mode: str) -> Any:
    if not isinstance(arguments, tuple):
        return raw_mode
    return tuple(raw_mode if isinstance(value, str) and value in _SWAPPED else value for value in arguments)


def deep_samples(
    image: Image.Image, low: NDArray[np.uint8] | None, *, alpha: bool, orientation: int
) -> NDArray[np.uint16]:
    """The samples of a loaded image of 16 bits, the right way up: uint16 (H, W) or (H, W, 3).

    Args:
        image: The image, loaded.
        low: The low bytes (H, W, 3) of RGB, of which the image has the high bytes only.
        alpha: Whether the image has a transparent colour.
        orientation: 1..8 as in EXIF.

    Raises:
        ImageError: The image is of another kind, or has alpha.
    """
    samples: NDArray[Any] | None = None
    if image.mode.startswith("I;16") and not alpha:
        samples = np.array(image).astype(np.uint16)
        if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            samples = 65535 - samples
    elif image.mode == "RGB" and not alpha and low is not None and low.shape == (image.height, image.width, 3):
        samples = np.array(image).astype(np.uint16) << 8 | low
    if samples is None:
        form = f"{image.format}, {image.mode}{', alpha' if alpha else ''}"
        raise ImageError(
            f"the image has 16 bits a channel in a form ({form}) that is not kept exactly: lossless coding takes "
            "16-bit grey and RGB without alpha, as PNG or TIFF"
        )
    return np.ascontiguousarray(_TURNED[orientation](samples))


def deep_png(
    samples: NDArray[np.uint16], *, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
) -> bytes:
    """A PNG of 16 bits a channel.

    Args:
        samples: uint16 (H, W) or (H, W, 3).
        icc: ICC profile.
        exif: TIFF block of an EXIF record.
        xmp: XMP packet.

    Returns:
        The bytes of the file.
    """
    height, width = samples.shape[:2]
    lines = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    up = lines.copy()
    up[1:] -= lines[:-1]
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), up], 1)  # filter 2: minus the row above
    header = struct.pack(">IIBBBBB", width, height, 16, 0 if samples.ndim == 2 else 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header)]
    if icc:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if exif:
        parts.append(_chunk(b"eXIf", exif))
    if xmp:
        parts.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    return b"".join([*parts, _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
