"""Line art, screenshots and other drawn images: a general lossless coder inside the file.

The networks know photos. Drawn images have few colours and repeat themselves, which WebP's lossless mode finds and no
prediction of the next pixel does. So such an image is stored as WebP's lossless bitstream (VP8L) where that is smaller.
The 20 bytes around it, which name the container and the lengths, are left out and made again.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from semcomp.errors import FormatError

Pixels = NDArray[np.unsignedinteger[Any]]
"""uint8"""

WEBP_SIDE = 16383
"""Larger images do not fit into WebP."""
SEARCH_GAIN = 1.05
"""A thorough search makes the bitstream smaller by at most this factor, and takes far longer."""
_REPEATS = 0.25
"""Drawn images have at least this share of pixels that equal their left neighbour."""
_AROUND = struct.Struct("<4sI4s4sI")
"""RIFF, bytes that follow, WEBP, VP8L, bytes of the bitstream. A zero byte makes its length even."""


def looks_drawn(pixels: Pixels) -> bool:
    """Whether it is worth the time to try the general coder: many pixels equal their neighbour.

    >>> looks_drawn(np.zeros((8, 8, 3), np.uint8))
    True
    """
    if min(pixels.shape[:2]) < 2 or max(pixels.shape[:2]) > WEBP_SIDE:
        return False
    equal = pixels[:, 1:] == pixels[:, :-1]
    return bool((equal.all(-1) if pixels.ndim == 3 else equal).mean() >= _REPEATS)


def encode_general(pixels: Pixels, *, quick: bool = False) -> bytes:
    """The VP8L bitstream of uint8 (H, W) or (H, W, 3), after a thorough search or a quick one."""
    file = io.BytesIO()
    method, quality = (4, 75) if quick else (6, 100)
    Image.fromarray(pixels).convert("RGB").save(file, "webp", lossless=True, method=method, quality=quality, exact=True)
    *_, length = _AROUND.unpack_from(file.getvalue())
    return file.getvalue()[_AROUND.size :][:length]


def decode_general(data: bytes, *, width: int, height: int) -> Pixels:
    """The pixels, uint8 (height, width, 3). FormatError for anything but a VP8L bitstream of this size."""
    even = data + bytes(len(data) % 2)
    file = _AROUND.pack(b"RIFF", 12 + len(even), b"WEBP", b"VP8L", len(data)) + even
    try:
        with _unlimited(), Image.open(io.BytesIO(file), formats=["WEBP"]) as image:
            if image.size != (width, height):
                raise FormatError(f"the general coder holds {image.width}x{image.height}, expected {width}x{height}")
            pixels = np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"the general coder's part cannot be read ({error}); copy the file again") from error
    return pixels


@contextmanager
def _unlimited() -> Iterator[None]:
    """Silence Pillow's warning of large images: the header of the file promised the size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def has_webp() -> bool:
    """Whether this Pillow reads and writes WebP."""
    return bool(features.check("webp"))
