"""Body of the ALPHA chunk: an 8-bit grey PNG that holds pixels and nothing else. This module needs Pillow."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import FormatError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS = (b"IHDR", b"IDAT", b"IEND")
_AGAIN = "copy or download the file again, or encode the picture again"


def pack_alpha(alpha: NDArray[np.uint8]) -> bytes:
    """Write uint8 (H, W) as the bytes of a PNG of mode L.

    Example:
        >>> opaque = np.full((2, 3), 255, np.uint8)
        >>> bool((unpack_alpha(pack_alpha(opaque), width=3, height=2) == opaque).all())
        True
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(alpha)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def unpack_alpha(data: bytes, *, width: int, height: int) -> NDArray[np.uint8]:
    """Read the bytes that `pack_alpha` made. The size is checked before anything is decompressed.

    Args:
        data: The body of the chunk.
        width: Width of the picture in the file's header.
        height: Height of the picture in the file's header.

    Returns:
        uint8 (height, width), 0 for transparent.

    Raises:
        FormatError: The size differs, or the chunk is damaged.
    """
    expected = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8-bit greyscale, not interlaced
    if data[:8] != _PNG_SIGNATURE or data[12:16] != b"IHDR":
        raise FormatError(f"the alpha chunk is not a PNG: it begins with {data[:8].hex(' ')}; {_AGAIN}")
    if data[16:29] != expected:
        raise FormatError(f"the alpha chunk is not 8-bit grey of {width}x{height} pixels; {_AGAIN}")
    offset = 8
    while offset < len(data):  # nothing but pixels: no text, profile or animation chunk gets as far as the decoder
        length, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        if kind not in _PNG_KINDS or (kind == b"IHDR") != (offset == 8) or offset + 12 + length > len(data):
            raise FormatError(f"the alpha chunk is damaged at its byte {offset}; {_AGAIN}")
        offset += 12 + length
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is what the header promised
            image = Image.open(io.BytesIO(data), formats=("PNG",))
        with image:
            return np.array(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise FormatError(f"the alpha chunk is damaged ({error}); {_AGAIN}") from error
