"""Opening an image file or a PIL image: plain pixels and records, with every fact of the file respected."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import MAGIC, MAX_PIXELS, MAX_SIDE
from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.color_modes import HOW_TO_CONVERT, RECOLOURED, bits_per_channel, plain_mode
from semcomp.imaging.deep import deep_samples, low_bytes, swapped_raw_mode
from semcomp.imaging.exif import (
    PILLOW_ERRORS,
    exif_of_tiff,
    orientation_in,
    orientation_of,
    record_of,
    upright,
    upright_records,
)
from semcomp.imaging.facts import FileFacts, color_of, facts_behind, read_facts
from semcomp.imaging.jpeg2000 import as_8_bits
from semcomp.imaging.png import alpha_of_samples
from semcomp.imaging.problems import HEAD_BYTES, damaged, not_an_image, pillow_errors, pillow_warnings, too_many_pixels
from semcomp.storage.files import read_bytes
from semcomp.storage.urls import is_url

ImageFile: TypeAlias = str | PathLike[str] | bytes | BinaryIO
"""An image file: its path or URL, its bytes, or an open binary stream."""
_STILL_WITH_FRAMES = ("MPO", "PSD")
"""Formats whose further frames are views or layers of one still picture, which is frame 0."""


_EXTENDED_XMP = b"HasExtendedXMP"
_NEW_SUBFILE_TYPE, _SAMPLES_PER_PIXEL, _SUB_DIRECTORIES = 254, 277, 330
_PSD_EXIF, _PSD_XMP = 1058, 1060
"""Numbers of image resources of PSD."""
_PROFILE_NOT_READ = ("JPEG2000", "BMP")
"""Formats whose ICC profile Pillow leaves in the file."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An image the right way up, of mode L, LA, RGB or RGBA, and the records that go with it."""

    image: Image.Image
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    samples: NDArray[np.uint16] | None = None
    """The samples of an image of 16 bits, (H, W) or (H, W, 3), where they were asked for."""
    from_jpeg: bool = False


def open_image(source: ImageFile | Image.Image, *, convert: bool, max_pixels: int, deep: bool = False) -> Opened:
    """Read an image file or take over a PIL image. `picture.open_picture` describes arguments and errors.

    With ``deep`` an image of 16 bits is not refused. It comes as `Opened.samples`.
    """
    if isinstance(source, Image.Image):
        with pillow_errors(b""), pillow_warnings(), _closed_is_said(source):
            facts, stream = facts_behind(source)
            return _opened(source, facts, stream, convert=convert, max_pixels=max_pixels, own=False, deep=deep)
    with _image_in(source) as (image, facts, stream):
        return _opened(image, facts, stream, convert=convert, max_pixels=max_pixels, own=True, deep=deep)


def check_image(source: ImageFile, *, convert: bool, deep: bool = False) -> None:
    """Raise what `open_image` raises for the head of an image file. No pixel is read."""
    with _image_in(source) as (image, facts, _):
        _check_size(image, MAX_PIXELS)
        _check_kind(image, facts, convert, deep=deep)


@contextmanager
def _image_in(source: ImageFile) -> Iterator[tuple[Image.Image, FileFacts, BinaryIO]]:
    """Open a file, and explain what goes wrong in the block. No pixel is read yet."""
    with _stream_of(source) as stream:
        stream.seek(0)
        head = stream.read(HEAD_BYTES)
        if head.startswith(MAGIC):  # semcomp.pillow may have taught Pillow to decode it
            raise ImageError(not_an_image(head))
        with pillow_errors(head), pillow_warnings():
            facts, stream = read_facts(stream)
            stream.seek(0)
            _know_heif(head)
            with Image.open(stream) as image:
                yield image, facts, stream


@contextmanager
def _closed_is_said(image: Image.Image) -> Iterator[None]:
    """Say that a PIL image is closed, for which Pillow raises whatever comes first."""
    try:
        yield
    except (AssertionError, AttributeError, ValueError) as error:
        if getattr(image, "fp", None) is None and (getattr(image, "tile", None) or "closed" in str(error)):
            raise ImageError(
                "the PIL image was closed before its pixels were read: encode it inside its `with` block, or call "
                "its load() there"
            ) from error
        raise


@contextmanager
def _stream_of(source: ImageFile) -> Iterator[BinaryIO]:
    """A seekable stream; a file that was opened here is closed, the caller's stream stays open."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, PathLike)):
        if is_url(source):
            yield io.BytesIO(read_bytes(source))
            return
        with Path(source).open("rb") as stream:
            yield stream
    elif isinstance(source, io.TextIOBase):
        raise ImageError("the stream gives text instead of bytes: open the file in binary mode")
    elif hasattr(source, "read"):
        yield source if source.seekable() else io.BytesIO(source.read())
    else:
        name = type(source).__name__
        raise ImageError(f"{name} is not an image: pass a path, bytes, a PIL image, an array or a tensor")


def _know_heif(head: bytes) -> None:
    """Let Pillow read HEIC where the package for it is installed."""
    if head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis") and find_spec("pillow_heif") is not None:
        import pillow_heif

        if "HEIF" not in Image.OPEN:
            pillow_heif.register_heif_opener()


def _opened(
    image: Image.Image,
    facts: FileFacts,
    stream: BinaryIO | None,
    *,
    convert: bool,
    max_pixels: int,
    own: bool,
    deep: bool,
) -> Opened:
    """`own` tells that the image was opened here, from the stream, so that the records in `facts` are its records."""
    _check_size(image, max_pixels)
    low_raw = swapped_raw_mode(image)  # reading records may load the image, which forgets it
    icc, exif, xmp = _records_of(image, facts, own)
    color = color_of(image, facts, icc=icc, exif=exif)
    deep = deep and bits_per_channel(image, facts) == 16
    _check_kind(image, facts, convert, deep=deep)
    _check_channels(image, facts)
    if image.format == "TIFF":
        exif = exif_of_tiff(image)  # before the image is loaded, which loses it
    orientation, from_jpeg = _orientation(image, exif, xmp), image.format in ("JPEG", "MPO")
    _load(image, facts)
    if image.format == "TIFF":  # Pillow turns it while it loads it
        orientation = 1
    alpha = _alpha_of_png(image, facts, stream)
    if deep:
        low = low_bytes(stream, low_raw) if low_raw else None
        icc = color.profile(grey=image.mode != "RGB") if color is not None else icc
        exif, xmp = upright_records(exif, xmp)
        samples = deep_samples(image, low, alpha=alpha is not None, orientation=orientation)
        return Opened(image=image, icc=icc, exif=exif, xmp=xmp, samples=samples)
    deep = image.format == "JPEG2000" and facts.boxes is not None and facts.bits > 8
    pixels = as_8_bits(image, facts.boxes, stream) if deep and facts.boxes else image
    plain = plain_mode(pixels, convert=convert, transparency=alpha is None)
    if alpha is not None:
        plain = plain.copy()
        plain.putalpha(Image.fromarray(alpha))
    if image.mode in RECOLOURED:
        icc = None
    elif color is not None:
        icc = color.profile(grey=plain.mode in ("L", "LA"))
    exif, xmp = upright_records(exif, xmp)
    return Opened(image=upright(plain, orientation), icc=icc, exif=exif, xmp=xmp, from_jpeg=from_jpeg)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(too_many_pixels(width, height, max_pixels))
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"the image is {width}x{height}, and no side may exceed {MAX_SIDE:,}: crop it")


def _check_kind(image: Image.Image, facts: FileFacts, convert: bool, *, deep: bool) -> None:
    """ImageError for several frames and for more than 8 bits, unless `convert`. With `deep` 16 bits pass."""
    if convert:
        return
    if getattr(image, "is_animated", False) and image.format not in _STILL_WITH_FRAMES:
        frames = getattr(image, "n_frames", 2)
        raise ImageError(f"the image has {frames} frames and one can be encoded: {HOW_TO_CONVERT} take the first")
    depth = bits_per_channel(image, facts)
    if depth > 8 and not deep:
        raise ImageError(f"the image has {depth} bits a channel and 8 can be encoded: {HOW_TO_CONVERT} scale it")


def _check_channels(image: Image.Image, facts: FileFacts) -> None:
    """ImageError for a camera's raw file, of which Pillow reads the preview. A warning for channels that it drops."""
    tags: Any = getattr(image, "tag_v2", {})
    reduced = tags.get(_NEW_SUBFILE_TYPE, 0)
    if isinstance(reduced, int) and reduced & 1 and _SUB_DIRECTORIES in tags:
        raise ImageError(
            f"the image that can be read here is a preview of {image.width}x{image.height}, and the file holds a "
            "larger one, as a camera's raw file (DNG, NEF, ARW) does: develop it to JPEG or PNG first"
        )
    channels = tags.get(_SAMPLES_PER_PIXEL, facts.channels)
    if (more := channels - len(image.getbands())) > 0:
        text = f"the image has {more} more channel{'' if more == 1 else 's'} than {image.mode}, which .semc cannot hold"
        warnings.warn(f"{text}: left out", SemcompWarning, stacklevel=2)


def _records_of(image: Image.Image, facts: FileFacts, own: bool) -> tuple[bytes | None, bytes | None, bytes | None]:
    """ICC profile, EXIF and XMP. What the caller of a PIL image has put into `info` outranks the file."""
    info = image.info
    icc, exif, xmp = info.get("icc_profile"), info.get("exif"), info.get("xmp") or info.get("XML:com.adobe.xmp")
    if own or image.format in _PROFILE_NOT_READ:
        icc = icc or facts.icc
    if own:
        exif, xmp = facts.exif or exif, facts.xmp or xmp
    elif not exif:
        with suppress(*PILLOW_ERRORS):
            exif = record_of(image.getexif())
    if image.format == "PSD":
        resources = {number: data for number, _, data in getattr(image, "resources", ())}
        exif, xmp = exif or resources.get(_PSD_EXIF), xmp or resources.get(_PSD_XMP)
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if isinstance(xmp, bytes) and _EXTENDED_XMP in xmp:
        text = "the extended XMP of the image, in segments of its own, is left out; the main packet is kept"
        warnings.warn(text, SemcompWarning, stacklevel=2)
    return icc or None, exif if isinstance(exif, bytes) else None, xmp if isinstance(xmp, bytes) and xmp else None


def _orientation(image: Image.Image, exif: bytes | None, xmp: bytes | None) -> int:
    if image.format == "AVIF":  # the boxes count, which Pillow puts into the EXIF record
        return orientation_in(image.info.get("exif")) or 1
    if image.format == "PSD":  # Photoshop turns the pixels, whatever the record says
        return 1
    return orientation_of(image, exif, xmp)


def _load(image: Image.Image, facts: FileFacts) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if getattr(error, "errno", None) is None and facts.png is not None and not facts.png.complete:
            raise ImageError(damaged(error, truncated=True)) from error
        raise


def _alpha_of_png(image: Image.Image, facts: FileFacts, stream: BinaryIO | None) -> NDArray[np.uint8] | None:
    """Alpha (H, W) of a PNG with a transparent grey level or RGB colour, compared in the depth of the file."""
    png = facts.png
    transparent = png.transparent_samples() if png else None
    if png is None and image.format == "PNG" and image.mode == "L":
        return _alpha_of_shallow_grey(np.asarray(image), image.info.get("transparency"))
    if png is None or transparent is None or (image.mode not in ("1", "L", "RGB", "I", "I;16")):
        return None
    samples = np.asarray(image)
    if image.mode == "1":
        samples = samples.astype(np.uint8)
    elif png.bits < 8:
        transparent = tuple(value * (255 // ((1 << png.bits) - 1)) for value in transparent)
    elif image.mode == "RGB" and png.bits == 16:
        low = low_bytes(stream, "RGB;16L")
        if low is not None and low.shape == samples.shape:
            samples = samples.astype(np.uint16) << 8 | low
        else:
            transparent = tuple(value >> 8 for value in transparent)
    return alpha_of_samples(samples, transparent)


def _alpha_of_shallow_grey(levels: NDArray[np.uint8], transparent: Any) -> NDArray[np.uint8] | None:
    """Alpha of a loaded PNG of unknown depth: Pillow scales grey of 2 and 4 bits to 8, and not the transparent level.

    The level is scaled where it is not among the pixels as it is, and the pixels have the steps of that depth.
    """
    if not isinstance(transparent, int):
        return None
    for bits, step in ((8, 1), (4, 17), (2, 85)):
        level = transparent * step
        if transparent < 1 << bits and (levels == level).any() and not (levels % step).any():
            return alpha_of_samples(levels, (level,))
    return None
