"""What goes wrong while a file is read, in sentences: what it is, and what to do about it."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from semcomp.bitstream.container import MAGIC, MAX_PIXELS
from semcomp.errors import ImageError, SemcompWarning

HEAD_BYTES = 512
"""How much of the beginning of a file `not_an_image` wants to see."""
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"qoif": "QOI",
}
_OTHERS = {
    b"%PDF": "a PDF document: export its page as PNG",
    b"%!PS": "a PostScript document: export its page as PNG",
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"\xff\x0a": "a JPEG XL image, which Pillow does not read: convert it to PNG",
    b"\0\0\0\x0cJXL ": "a JPEG XL image, which Pillow does not read: convert it to PNG",
    b"<svg": "an SVG drawing: export it as PNG",
    b"<!doctype html": "a web page: download the image itself",
    b"<html": "a web page: download the image itself",
}
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_TRUNCATED = ("truncated", "unexpected end", "not enough", "premature", "cut off")


def not_an_image(head: bytes) -> str:
    """The sentence about a file that Pillow does not know, from its first `HEAD_BYTES` bytes.

    Example:
        >>> not_an_image(b"")
        'the file is empty: it has 0 bytes; copy or export it again'
        >>> not_an_image(b"%PDF-1.7")
        'the file is not an image, but a PDF document: export its page as PNG'
    """
    if not head:
        return "the file is empty: it has 0 bytes; copy or export it again"
    if head.startswith(MAGIC):
        return "the file is a .semc file already: `semcomp decode` makes an image of it"
    if head[4:8] == b"ftyp":
        return _not_a_known_media_file(head[8:12])
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, what in _OTHERS.items():
        if text[: len(start)].lower() == start.lower() or (start == b"<svg" and b"<svg" in text):
            return f"the file is not an image, but {what}"
    for start, name in _IMAGES.items():
        if head.startswith(start) or (len(head) < len(start) and start.startswith(head)):
            return (
                f"the image is truncated or damaged: it begins like a {name} file, and its header cannot be read; "
                "copy or export it again"
            )
    if (words := _as_text(head)) is not None:
        return f"the file is not an image, but text: it begins with {words!r}; pass an image file"
    return (
        f"the file is not an image in a format that Pillow knows: it begins with the bytes {head[:8].hex(' ')}; "
        "convert it to PNG first"
    )


def _not_a_known_media_file(brand: bytes) -> str:
    name = brand.decode("latin-1")
    if brand in _HEIF_BRANDS:
        return (
            f"the file is a HEIC image (brand {name!r}), which needs a package or is damaged: "
            "pip install pillow-heif, or convert it to PNG first"
        )
    if brand in (b"avif", b"avis"):
        return "the image is truncated or damaged: it begins like an AVIF file; copy or export it again"
    return f"the file is not an image, but a video or another media file (brand {name!r}): pass an image file"


def _as_text(head: bytes) -> str | None:
    """The first words of a text, or None for what is not one."""
    try:
        text = head.decode("utf-16") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head[:500].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return None
    lost = len(head[:500]) - len(text.encode()) if head[:2] not in (b"\xff\xfe", b"\xfe\xff") else 0
    if lost > 3 or not all(character.isprintable() or character.isspace() for character in text):
        return None
    line = text.strip("\ufeff \t\r\n").partition("\n")[0].strip()
    return line if len(line) <= 40 else line[:37] + "..."


def too_many_pixels(width: int, height: int, limit: int) -> str:
    """The sentence about an image above a limit on pixels."""
    size = f"the image has {width}x{height} = {width * height:,} pixels"
    if limit >= MAX_PIXELS:
        return f"{size} and a .semc file holds at most {MAX_PIXELS:,}: scale it down or cut it into pieces"
    return f"{size}, more than the limit of {limit:,}: raise max_pixels if that is meant"


@contextmanager
def pillow_errors(head: bytes) -> Iterator[None]:
    """Turn what Pillow raises on damaged files into ImageError. An OSError with a number passes."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(not_an_image(head)) from error
    except Image.DecompressionBombError as error:
        limit = Image.MAX_IMAGE_PIXELS or 0
        if 2 * limit < MAX_PIXELS:
            raise ImageError(f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS if the image is yours.") from error
        what = "the image has more pixels than a .semc file holds"
        raise ImageError(f"{what}, {MAX_PIXELS:,}: scale it down or cut it into pieces") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ImageError(damaged(error)) from error
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError) as error:
        raise ImageError(damaged(error)) from error
    except (RuntimeError, struct.error, zlib.error) as error:  # RuntimeError is what readers of AVIF and HEIC raise
        raise ImageError(damaged(error)) from error


def damaged(error: Exception, *, truncated: bool = False) -> str:
    """The sentence about pixels that cannot be read."""
    text = str(error)
    if truncated or any(word in text.lower() for word in _TRUNCATED):
        return f"the image is truncated: the file ends before its pixels do ({text}); copy or export it again"
    return f"the image is damaged ({text}); export it again"


@contextmanager
def pillow_warnings() -> Iterator[None]:
    """Say in our own words what Pillow warns of while it reads: damaged metadata. Its pixel limit is not repeated."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    heard: dict[str, None] = {}
    for warning in caught:
        message = str(warning.message).strip()
        if issubclass(warning.category, SemcompWarning):
            heard[message] = None
        elif warning.category is UserWarning:
            heard[f"the metadata of the image is damaged ({message}); its pixels are not"] = None
    for text in heard:
        warnings.warn(text, SemcompWarning, stacklevel=4)
