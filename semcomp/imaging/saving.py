"""Writing decoded images: the formats, and what each can hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from semcomp.errors import ImageError, SemcompWarning

if TYPE_CHECKING:
    from PIL import Image

SYNTHESISED = "synthesised"
"""Key of the sentence that says what is synthesised, in `Image.info` and as a tEXt chunk of a PNG."""
_METADATA = {"exif": "EXIF", "icc_profile": "ICC profile", "xmp": "XMP packet"}
_DIRECTORIES = (0x8769, 0x8825)
"""Numbers of the EXIF tags that hold directories: what the camera and GPS noted."""
_PARSING = ("TIFF", "AVIF")
"""Formats whose writers in Pillow read the EXIF record, and fail on a damaged one."""
_TIFF_XMP = 700
"""Number of the TIFF tag that holds an XMP packet."""


class OutputFormat(NamedTuple):
    """An image format to decode into."""

    pillow: str
    """Name of the format in Pillow"""
    options: Mapping[str, Any] = MappingProxyType({})
    """Arguments of `PIL.Image.Image.save`"""
    alpha: bool = True
    """Whether the format can hold transparency"""
    metadata: bool = True
    """Whether the format can hold an ICC profile, EXIF and XMP"""
    side: int | None = None
    """Largest width and height in pixels"""
    most: Mapping[str, int] = MappingProxyType({})
    """Largest number of bytes of each kind of metadata"""


FORMATS = {
    "png": OutputFormat("PNG"),
    "webp": OutputFormat("WEBP", {"lossless": True, "exact": True}, side=16383),
    "tiff": OutputFormat("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": OutputFormat("BMP", alpha=False, metadata=False),
    "ppm": OutputFormat("PPM", alpha=False, metadata=False),
    # The format has 16 bits for a side; libjpeg stops earlier. A segment has 16 bits for its length, and a profile at
    # most 255 segments.
    "jpg": OutputFormat(
        "JPEG",
        {"quality": 95, "subsampling": 0},
        alpha=False,
        side=65500,
        most={"exif": 65533, "icc_profile": 255 * 65519, "xmp": 65502},
    ),
    # The format holds larger sides, but libavif and what is built on it refuse to read them.
    "avif": OutputFormat("AVIF", {"quality": 90, "subsampling": "4:4:4"}, side=32768),
}


def image_bytes(image: Image.Image, *, name: str) -> bytes:
    """Write an image into the bytes of a file, ICC profile, EXIF and XMP included.

    Args:
        image: A decoded image.
        name: A key of `FORMATS`.

    Returns:
        The bytes of the file.

    Raises:
        ImageError: The format cannot hold the image: its size, its transparency or its metadata.
    """
    import io

    output = FORMATS[name]
    check_side(image.width, image.height, name=name, instead="choose the format png, tiff, bmp or ppm")
    if image.mode in ("LA", "RGBA") and not output.alpha:
        raise ImageError(f"the picture is transparent and {name} cannot be: choose the format png, webp, tiff or avif")
    options = {**output.options, **_metadata(image, name)}
    buffer = io.BytesIO()
    try:
        image.save(buffer, output.pillow, **options)
    except MemoryError:
        raise
    except Exception as error:  # an encoder raises whatever it likes
        raise ImageError(f"Pillow cannot write this picture as {name} ({error}): choose the format png") from error
    return buffer.getvalue()


def check_side(width: int, height: int, *, name: str, instead: str) -> None:
    """Check that a format holds pictures of a size.

    Args:
        width: Pixels.
        height: Pixels.
        name: A key of `FORMATS`.
        instead: What the user can do, the end of the error's sentence.

    Raises:
        ImageError: A side is too long.
    """
    side = FORMATS[name].side
    if side is not None and max(width, height) > side:
        raise ImageError(f"the picture is {width}x{height}, and {name} holds at most {side:,} pixels a side: {instead}")


def check_metadata(kind: str, value: bytes, *, name: str, instead: str) -> None:
    """Check that a format holds a piece of metadata of this length.

    Args:
        kind: "exif", "icc_profile" or "xmp".
        value: The metadata as Pillow keeps it: EXIF has its prefix.
        name: A key of `FORMATS`.
        instead: What the user can do, the end of the error's sentence.

    Raises:
        ImageError: The metadata is too long.
    """
    most = FORMATS[name].most.get(kind)
    if most is not None and len(value) > most:
        raise ImageError(
            f"the {_METADATA[kind]} has {len(value):,} bytes, and {name} holds at most {most:,}: {instead}"
        )


def _metadata(image: Image.Image, name: str) -> dict[str, Any]:
    """Collect the arguments of `save` for what the image has beside pixels; warns of what the format cannot hold."""
    from PIL.PngImagePlugin import PngInfo

    output = FORMATS[name]
    options: dict[str, Any] = {}
    for key, what in _METADATA.items():
        if not (value := image.info.get(key)):
            continue
        if not output.metadata:
            warnings.warn(f"{name} holds no {what}: left out", SemcompWarning, stacklevel=3)
            continue
        check_metadata(key, value, name=name, instead="choose the format png, webp or tiff")
        options |= _xmp(value, output) if key == "xmp" else {key: value}
    if output.pillow in _PARSING and (exif := options.pop("exif", None)):
        options |= _parsed_exif(exif, output)
    if output.pillow == "TIFF":
        options = _tags_of_tiff(options)
    if note := image.info.get(SYNTHESISED):
        if output.pillow == "PNG":
            options.setdefault("pnginfo", PngInfo()).add_text(SYNTHESISED, note)
        else:
            warnings.warn(f"{name} holds no note that the picture is synthesised", SemcompWarning, stacklevel=3)
    return options


def _parsed_exif(exif: bytes, output: OutputFormat) -> dict[str, Any]:
    """Return the argument `exif` of `save` for a format whose writer reads the record. A damaged one is left out.

    A record that Pillow can write as a whole stays as it is, where the format does not take it apart into tags.
    """
    from PIL import Image

    from semcomp.imaging.exif import EXIF_PREFIX, PILLOW_ERRORS, record_of

    try:
        tags = Image.Exif()
        tags.load(exif)
        with suppress(*PILLOW_ERRORS):
            if output.pillow != "TIFF" and tags.tobytes():
                return {"exif": exif}
        record = record_of(tags)
        tags.load(record or b"")
    except PILLOW_ERRORS as error:
        warnings.warn(f"the EXIF of the image is damaged ({error}): left out", SemcompWarning, stacklevel=4)
        return {}
    return {"exif": EXIF_PREFIX + record} if record else {}


def _tags_of_tiff(options: dict[str, Any]) -> dict[str, Any]:
    """Put EXIF and XMP, tags of a TIFF file, into one argument. Tags that Pillow cannot write are left out."""
    from PIL import Image

    from semcomp.imaging.exif import with_exact_texts

    tags, xmp = Image.Exif(), options.pop("xmp", None)
    if exif := options.pop("exif", None):
        tags.load(exif)
        if any(directory in tags for directory in _DIRECTORIES):
            options["compression"] = "raw"  # libtiff, which compresses, cannot write directories inside
        tags = with_exact_texts(tags)
    if xmp:
        tags[_TIFF_XMP] = xmp
    return {**options, "tiffinfo": dict(tags)} if len(tags) else options


def _xmp(packet: bytes, output: OutputFormat) -> dict[str, Any]:
    """Return the argument of `save` that writes an XMP packet."""
    from PIL.PngImagePlugin import PngInfo

    if output.pillow != "PNG":
        return {"xmp": packet}
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode("utf-8", "replace"))
    return {"pnginfo": info}
