"""Thumbnails as short codes: `thumb` writes one, `thumb_image` shows it. Any prefix of a code is a coarser thumbnail.

image ── squeeze to 32x32 ──► canvas ── shaping, DCT ──► integers ── walk, range coder ──► header byte + code
code ── walk ──► integers ── inverse DCT, repair ──► canvas ── stretch to the aspect ratio ──► image

Shaping and repair are small networks around short codes. Shaping suits the length that was asked for. Both make a short
code's picture more alike, but keep it from ever becoming exact, so long codes do without them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import TargetError
from semcomp.imaging.picture import ImageLike, Picture, as_picture
from semcomp.thumbs import header
from semcomp.thumbs.bitcoder import BitDecoder, BitEncoder
from semcomp.thumbs.pixels import repair, shape
from semcomp.thumbs.tables import ThumbTables, released
from semcomp.thumbs.text import from_text
from semcomp.thumbs.transform import SIDE, forward, inverse
from semcomp.thumbs.walk import Walk
from semcomp.types import is_whole

DEFAULT_BYTES = 32
LARGEST = 4096
"""Longest side that thumb_image draws."""


def thumb(image: ImageLike, max_bytes: int = DEFAULT_BYTES) -> bytes:
    """Code an image as a thumbnail of at most `max_bytes` bytes.

    The code keeps aspect ratio and alpha. It can be cut anywhere: every prefix decodes to a coarser thumbnail. Up to
    160 bytes a code is shaped for the length that was asked for, so one made for 32 bytes looks better than the first
    32 bytes of a longer one.

    Args:
        image: Anything that `Codec.encode` takes. An image that does not fit into 8-bit RGB is converted.
        max_bytes: Length of the code, from 1. About 1,900 bytes hold nearly every thumbnail without visible loss, and
            more bytes are not used.

    Returns:
        The code: one header byte, then the thumbnail in the order of importance.

    Raises:
        ImageError: The image cannot be read.
        TargetError: `max_bytes` is below 1.

    Example:
        >>> from PIL import Image
        >>> code = thumb(Image.new("RGB", (300, 200), "teal"), 12)
        >>> len(code), thumb_image(code, 96).size
        (12, (96, 64))
    """
    if not is_whole(max_bytes, 1, 1 << 31):
        raise TargetError(f"a thumbnail's code needs at least 1 byte, not {max_bytes!r}: raise max_bytes")
    picture = as_picture(image, convert=True)
    pixels, alpha = canvas(picture)
    return code_canvas(pixels, alpha, max_bytes, (picture.width, picture.height))


def thumb_image(code: bytes | str, size: int = SIDE) -> Image.Image:
    """Show a thumbnail's code, or the beginning of one.

    Args:
        code: What `thumb` returned or its text form, cut anywhere. An empty code is a grey square.
        size: Longer side of the result in pixels, 1 to 4096.

    Returns:
        An RGB image, or RGBA where the code holds alpha, with the aspect ratio of the original.

    Raises:
        FormatError: The first byte belongs to a later version, or the text holds a foreign character.
        TargetError: `size` is out of range.

    Example:
        >>> thumb_image(b"", 16).size
        (16, 16)
    """
    if not is_whole(size, 1, LARGEST):
        raise TargetError(f"a thumbnail's longer side is 1 to {LARGEST:,} pixels, not {size!r}")
    data = from_text(code) if isinstance(code, str) else bytes(code)
    pixels, ratio = decode_canvas(data)
    target = header.size_within(ratio, size)
    image = Image.fromarray(pixels)
    return image if target == image.size else image.resize(target, Image.Resampling.BICUBIC)


def code_canvas(
    pixels: NDArray[Any],
    alpha: NDArray[Any] | None,
    max_bytes: int,
    ratio: tuple[int, int] = (1, 1),
    tables: ThumbTables | None = None,
) -> bytes:
    """Code of a canvas (32, 32, 3) with alpha (32, 32) or None, shown with the ratio of width and height.

    `tables` are the released ones unless others are given.
    """
    tables = tables or released()
    place = int(np.searchsorted(tables.grades[:, 0], max_bytes))
    short = place < len(tables.grades)
    if short:
        pixels = shape(tables.short.shaping, pixels, int(tables.grades[place, 1]))
    family = tables.short if short else tables.long
    first = header.pack(*ratio, alpha=alpha is not None, short=short)
    coder = BitEncoder(max_bytes - 1)
    values = forward(pixels, alpha, tables.weights)
    Walk(family.code, len(values), values).run(coder)
    return bytes([first]) + coder.finish()


def canvas(picture: Picture) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Squeeze an image into uint8 pixels (32, 32, 3) and float alpha (32, 32), or None for an opaque image.

    Transparent places take the mean colour of what is visible, which costs the fewest bits.
    """
    if picture.alpha is None or picture.alpha.min() == 255:
        return _squeeze(picture.pixels), None
    alpha = picture.alpha.astype(np.float32) / 255
    small = np.clip(_squeeze_plane(alpha), 0, 1)
    planes = [_squeeze_plane(picture.pixels[..., c].astype(np.float32) * alpha) for c in range(3)]
    visible = np.stack(planes, -1)
    mean = visible.sum((0, 1)) / max(float(small.sum()), 1e-6)
    return np.clip(visible + (1 - small)[..., None] * mean, 0, 255), small * 255


def _squeeze(pixels: NDArray[Any]) -> NDArray[Any]:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0))


def _squeeze_plane(plane: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float64)


def decode_canvas(code: bytes, tables: ThumbTables | None = None) -> tuple[NDArray[Any], tuple[int, int]]:
    """uint8 canvas (32, 32, 3 or 4) of a code, and its (width, height) ratio. Raises FormatError.

    `tables` are the released ones unless others are given.
    """
    tables = tables or released()
    head, planes, level = _decoded(code, tables)
    pixels = repair((tables.short if head.short else tables.long).repair, planes[..., :3], level)
    if head.alpha:
        alpha = np.uint8(np.clip(np.floor(planes[..., 3:] + 128.5), 0, 255))
        pixels = np.concatenate([pixels, alpha], -1)
    return pixels, head.ratio


def decode_planes(code: bytes, tables: ThumbTables) -> tuple[NDArray[Any], int]:
    """Float canvas (32, 32, 3 or 4) around 0 before it is repaired, and the level that the code reaches."""
    return _decoded(code, tables)[1:]


def _decoded(code: bytes, tables: ThumbTables) -> tuple[header.Header, NDArray[Any], int]:
    head = header.unpack(code[0]) if code else header.EMPTY
    family = tables.short if head.short else tables.long
    walk = Walk(family.code, 4 if head.alpha else 3)
    walk.run(BitDecoder(code[1:]))
    return head, inverse(walk.shown() / 256, tables.weights, float(family.lift[walk.level])), walk.level
