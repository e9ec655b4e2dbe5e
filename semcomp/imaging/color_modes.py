"""Depth and colour mode: what an image holds, and the way from there to 8-bit RGB, grey and alpha.

Pillow hands a colour image of 16 bits a channel out as 8 bits without a word, so its `mode` is not enough to
know whether something would be lost. What a file says is read here: from Pillow's own note of what it is
about to unpack (PNG, TIFF, PPM, SGI), else from the first bytes of the file (JPEG 2000, AVIF, HEIF).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from semcomp.errors import ImageError

HOW_TO_CONVERT = "pass --convert (in Python convert=True) to"
# Their conversion leaves sRGB, so that the profile no longer applies.
RECOLOURED = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
HEAD_BYTES = 4096
"""How much of the beginning of a file `bits_per_channel` wants to see."""


def bits_per_channel(image: Any, *, head: bytes = b"") -> int:
    """Bits a channel of an opened `PIL.Image.Image` with its pixels not loaded yet; 8 unless it says more.

    `head` is the first `HEAD_BYTES` bytes of the file where they are at hand.
    """
    if image.mode in ("F", "I") or image.mode.startswith("I;"):
        return 32 if image.mode == "F" else 16
    depth = 8
    for tile in getattr(image, "tile", None) or ():
        depth = max(depth, _bits_of_tile(tile[0], tile[3]))
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        depth = max(depth, *_integers(tags.get(258, 8)))  # BitsPerSample
    return max(depth, _bits_of_jpeg2000(head), _bits_of_heif(head))


def _bits_of_tile(decoder: str, arguments: Any) -> int:
    values = arguments if isinstance(arguments, tuple) else (arguments,)
    if any(isinstance(value, str) and ";16" in value for value in values):
        return 16
    if decoder in ("ppm", "ppm_plain") and any(isinstance(value, int) and value > 255 for value in values):
        return 16  # the largest value of a channel
    return 8


def _integers(value: Any) -> list[int]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return [item for item in values if isinstance(item, int)] or [8]


def _bits_of_jpeg2000(head: bytes) -> int:
    """Ssiz of the first component in the SIZ marker segment (ISO/IEC 15444-1, A.5.1)."""
    start = head.find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 42 >= len(head):
        return 8
    return (head[start + 42] & 0x7F) + 1


def _bits_of_heif(head: bytes) -> int:
    """The largest entry of the first `pixi` box (ISO/IEC 23008-12, 6.5.6)."""
    start = head.find(b"pixi")
    if head[4:8] != b"ftyp" or start < 0 or start + 9 > len(head):
        return 8
    channels = head[start + 8]
    return max(head[start + 9 : start + 9 + channels], default=8)


def plain_mode(image: Image.Image, *, convert: bool) -> Image.Image:
    """L, LA, RGB or RGBA, by lossless steps alone unless `convert`."""
    mode, transparent = image.mode, image.has_transparency_data
    if mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if mode in ("1", "L"):
        return image.convert("LA" if transparent else "L")
    if mode in ("P", "PA", "RGB", "RGBA", "RGBX"):
        return image.convert("RGBA" if transparent else "RGB")
    if not convert:
        kind = {"I": "32-bit integer", "F": "floating-point"}.get(mode, "16-bit" if mode.startswith("I;") else mode)
        raise ImageError(f"the image is {kind} and .semc holds 8-bit RGB or grey: {HOW_TO_CONVERT} convert it")
    return _OTHER_MODES[mode](image) if mode in _OTHER_MODES else image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (values.min() >= 0 and values.max() <= top):
        raise ImageError(
            f"the values of the image lie in [{values.min():g}, {values.max():g}], outside [0, {top:g}]: "
            "scale them to 8 bits first"
        )
    return Image.fromarray(np.round(values * (255 / top)).astype(np.uint8))


def _through_profile(image: Image.Image) -> Image.Image:
    """CMYK or LAB -> sRGB by the embedded profile, by the plain formula where none is usable."""
    icc = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    assert converted is not None
    return converted


_OTHER_MODES = {
    **dict.fromkeys(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"), _scaled_to_8_bits),
    **dict.fromkeys(("CMYK", "LAB"), _through_profile),
    **dict.fromkeys(("YCbCr", "HSV"), lambda image: image.convert("RGB")),
    "RGBa": lambda image: image.convert("RGBA"),
    "La": lambda image: image.convert("LA"),
}
