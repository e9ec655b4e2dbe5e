"""Depth and colour mode: what an image holds, and the way from there to 8-bit RGB, grey and alpha.

Pillow returns a colour image of 16 bits a channel as 8 bits without a warning, so its `mode` does not tell whether
something would be lost. The depth is read from Pillow's own note of what it is about to unpack (PNG, TIFF, PPM, SGI),
and from the boxes of the file (JPEG 2000, AVIF, HEIC).
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from semcomp.errors import ImageError
from semcomp.imaging.facts import FileFacts

HOW_TO_CONVERT = "pass convert=True to"
"""Middle of a sentence. The command line replaces the argument by its flag."""
RECOLOURED = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
"""Modes that are converted to sRGB, so that the profile of the file no longer applies."""
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_SIXTEEN = re.compile(r";16[BLNSR]*$")
_FIVE_OR_SIX_BITS = ("BGR;16", "RGB;16")
"""Raw modes of 16 bits a pixel, 5 or 6 a channel."""
_HDR_TEXTURE = 6
"""Number of BC6H, 16-bit floats, among the block compressions of DDS."""


def bits_per_channel(image: Any, facts: FileFacts) -> int:
    """Bits a channel of an opened `PIL.Image.Image`, at least 8, from the image and from the facts of its file."""
    depth = max(facts.bits, _integer(image.info.get("bit_depth")))
    for tile in getattr(image, "tile", None) or ():
        depth = max(depth, _bits_of_tile(tile[0], tile[3]))
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        depth = max(depth, *_integers(tags.get(_BITS_PER_SAMPLE, 8)))
    if depth == 8 and (image.mode in ("F", "I") or image.mode.startswith("I;")):
        return 16 if image.mode.startswith("I;") else 32
    return depth


def _bits_of_tile(decoder: str, arguments: Any) -> int:
    values = arguments if isinstance(arguments, tuple) else (arguments,)
    raw = [value for value in values if isinstance(value, str)]
    if any(_SIXTEEN.search(mode) and mode not in _FIVE_OR_SIX_BITS for mode in raw):
        return 16
    if decoder in ("ppm", "ppm_plain") and any(isinstance(value, int) and value > 255 for value in values):
        return 16  # the largest value of a channel
    if decoder == "bcn" and values and values[0] == _HDR_TEXTURE:
        return 16
    return 8


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 8


def _integers(value: Any) -> list[int]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return [item for item in values if isinstance(item, int)] or [8]


def plain_mode(image: Image.Image, *, convert: bool, transparency: bool = True) -> Image.Image:
    """L, LA, RGB or RGBA, by lossless steps alone unless `convert`.

    Args:
        image: The image, loaded.
        convert: Whether steps that change the picture are allowed.
        transparency: False to ignore `info["transparency"]`, where the caller knows the alpha better.

    Raises:
        ImageError: The picture would change, and `convert` is false.
    """
    mode = image.mode
    transparent = transparency and image.has_transparency_data
    if mode in ("L", "LA", "RGB", "RGBA") and not (transparency and "transparency" in image.info):
        return image
    if mode in ("1", "L"):
        return image.convert("LA" if transparent else "L")
    if mode in ("P", "PA", "RGB", "RGBA", "RGBX"):
        return image.convert("RGBA" if transparent else "RGB")
    if not convert:
        kind = {"I": "32-bit integer", "F": "floating-point"}.get(mode, "16-bit" if mode.startswith("I;") else mode)
        raise ImageError(f"the image is {kind} and 8-bit RGB or grey can be encoded: {HOW_TO_CONVERT} convert it")
    return _OTHER_MODES[mode](image) if mode in _OTHER_MODES else image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 12 in TIFF, or floats in [0, 1], to 8 bits. Integers of 32 bits are taken for 16-bit ones."""
    tags: Any = getattr(image, "tag_v2", {})
    values = np.asarray(image).astype(np.float64)
    depth = _integers(tags.get(_BITS_PER_SAMPLE, 16))[0]
    top = 1.0 if image.mode == "F" else float((1 << min(depth, 16)) - 1) if depth > 8 else 65535.0
    if not (values.min() >= 0 and values.max() <= top):
        raise ImageError(
            f"the values of the image lie in [{values.min():g}, {values.max():g}], outside [0, {top:g}]: "
            "scale them to 8 bits first"
        )
    scaled = np.round(values * (255 / top)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow inverts such images of 8 bits only
        scaled = 255 - scaled
    return Image.fromarray(scaled)


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
