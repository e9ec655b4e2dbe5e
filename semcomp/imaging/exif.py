"""EXIF and XMP of an opened image: which way up it is, and the records with the orientation set to upright.

The records are changed in place, at the bytes of the orientation alone, so that a tag that nobody here can read or
write again stays as it is.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

from semcomp.errors import SemcompWarning

EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_COLOR_SPACE, _INTEROP_INDEX = 0xA001, 0x0001
_UNCALIBRATED, _ADOBE_RGB_OF_SOME_CAMERAS = 0xFFFF, 2
_TIFF_TAGS_KEPT = (0x10E, 0x10F, 0x110, 0x131, 0x132, 0x13B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
_TURNS = {  # EXIF orientation -> what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIZE_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4}
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)([1-8])""")
PILLOW_ERRORS = (
    *(SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, OverflowError, AttributeError, struct.error),
)
"""What Pillow raises on metadata that it cannot read or write."""


class Entry(NamedTuple):
    """One tag of a directory, and where its value is in the block."""

    tag: int
    type: int
    values: int
    at: int


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image of EXIF orientation 1..8 the right way up."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def upright_records(exif: bytes | None, xmp: bytes | None) -> tuple[bytes | None, bytes | None]:
    """The TIFF block of an EXIF record, with or without the prefix "Exif\\0\\0", and an XMP packet, for an image that
    was turned: both say orientation 1. None for a record that says nothing else."""
    if exif:
        exif = with_orientation_1(exif.removeprefix(EXIF_PREFIX))
    return exif or None, _XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if xmp else None


def orientation_of(image: Image.Image, exif: bytes | None, xmp: bytes | None) -> int:
    """1..8, from Pillow's reading, else from the records themselves; 1 where nothing says it."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
        if isinstance(orientation, int) and 1 <= orientation <= 8:
            return orientation
    except PILLOW_ERRORS:
        pass
    return orientation_in(exif, xmp) or 1


def orientation_in(exif: bytes | None, xmp: bytes | None = None) -> int | None:
    """1..8 as an EXIF record says it, else as an XMP packet says it; None where neither does."""
    block = (exif or b"").removeprefix(EXIF_PREFIX)
    for entry in _entries(block, _first_directory(block)):
        value = _integer(block, entry) if entry.tag == _ORIENTATION else None
        if value is not None and 1 <= value <= 8:
            return value
    match = _XMP_ORIENTATION.search(xmp or b"")
    return int(match[2]) if match else None


def with_orientation_1(block: bytes) -> bytes | None:
    """The TIFF block with the orientation of its first directory set to 1; None where it says nothing else."""
    entries = list(_entries(block, _first_directory(block)))
    if [entry.tag for entry in entries] == [_ORIENTATION] and not _next_directory(block):
        return None
    changed = bytearray(block)
    for entry in entries:
        size = _SIZE_OF_TYPE.get(entry.type)
        if entry.tag == _ORIENTATION and size and entry.values >= 1:
            order = "little" if block[:2] == b"II" else "big"
            changed[entry.at : entry.at + size] = (1).to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(changed) or None


def is_adobe_rgb(block: bytes | None) -> bool:
    """Whether an EXIF record says, as cameras do (DCF optional colour space), that the pixels are Adobe RGB."""
    if not block:
        return False
    exif = _directory(block, _first_directory(block), _EXIF_IFD)
    color_space = next((_integer(block, e) for e in _entries(block, exif) if e.tag == _COLOR_SPACE), None)
    if color_space == _ADOBE_RGB_OF_SOME_CAMERAS:
        return True
    interop = _directory(block, exif, _INTEROP_IFD)
    index = next((block[e.at : e.at + 3] for e in _entries(block, interop) if e.tag == _INTEROP_INDEX), b"")
    return color_space == _UNCALIBRATED and index == b"R03"


def record_of(exif: Image.Exif) -> bytes | None:
    """The TIFF block of tags that Pillow holds; tags that it cannot write are left out with a warning."""
    try:
        return _written(exif)
    except PILLOW_ERRORS:
        pass
    kept, lost = Image.Exif(), []
    for tag, value in exif.items():
        kept[tag] = value
        try:
            _written(kept)
        except PILLOW_ERRORS:
            del kept[tag]
            lost.append(f"{tag:#06x}")
    if lost:
        text = f"the EXIF tags {', '.join(lost)} of the image cannot be written again and are left out"
        warnings.warn(text, SemcompWarning, stacklevel=2)
    return _written(kept)


def _written(exif: Image.Exif) -> bytes | None:
    return with_exact_texts(exif).tobytes().removeprefix(EXIF_PREFIX) if len(exif) else None


def with_exact_texts(exif: Image.Exif) -> Image.Exif:
    """Copy the tags for writing, with texts as bytes: Pillow reads bytes as Latin-1, and writes ASCII and "?".

    Example:
        >>> exif = Image.Exif()
        >>> exif[0x13B] = "J\\xc3\\xb6rg"  # "J\u00f6rg" in UTF-8, as Pillow reads it
        >>> with_exact_texts(exif)[0x13B]
        b'J\\xc3\\xb6rg'
    """
    copied = Image.Exif()
    for tag, value in exif.items():
        copied[tag] = _exact(value)
        if tag in (_EXIF_IFD, _GPS_IFD):
            entries = value if isinstance(value, dict) else _entries_of(exif, tag)
            copied[tag] = {inner: _exact(each) for inner, each in entries.items()}
    return copied


def _entries_of(exif: Image.Exif, directory: int) -> dict[int, Any]:
    """The entries of a directory inside, and of the directory inside that one."""
    entries = dict(exif.get_ifd(directory))
    if _INTEROP_IFD in entries:
        entries[_INTEROP_IFD] = dict(exif.get_ifd(_INTEROP_IFD))
    return entries


def _exact(value: Any) -> Any:
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def exif_of_tiff(image: Image.Image) -> bytes | None:
    """The EXIF record of a TIFF file, which is one itself: tags about the photo are kept, tags about the file not."""
    try:
        tags = image.getexif()
    except PILLOW_ERRORS:
        return None
    kept = Image.Exif()
    kept.update({tag: tags[tag] for tag in _TIFF_TAGS_KEPT if tag in tags})
    for directory in (_EXIF_IFD, _GPS_IFD):
        try:
            entries = _entries_of(tags, directory)
        except PILLOW_ERRORS:
            continue
        if entries:
            kept[directory] = entries
    return record_of(kept)


def _first_directory(block: bytes) -> int:
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 0
    return _number(block, 4, 4)


def _next_directory(block: bytes) -> int:
    first = _first_directory(block)
    return _number(block, first + 2 + 12 * _number(block, first, 2), 4)


def _directory(block: bytes, offset: int, tag: int) -> int:
    return next((_number(block, entry.at, 4) for entry in _entries(block, offset) if entry.tag == tag), 0)


def _entries(block: bytes, offset: int) -> Iterator[Entry]:
    """The entries of the directory at an offset that lie within the block. Offset 0 has none."""
    if not offset:
        return
    for number in range(_number(block, offset, 2)):
        at = offset + 2 + 12 * number
        if at + 12 > len(block):
            return
        yield Entry(_number(block, at, 2), _number(block, at + 2, 2), _number(block, at + 4, 4), at + 8)


def _integer(block: bytes, entry: Entry) -> int | None:
    """The first value of an entry of an integer type."""
    size = _SIZE_OF_TYPE.get(entry.type)
    return _number(block, entry.at, size) if size and entry.values >= 1 else None


def _number(block: bytes, at: int, size: int) -> int:
    return int.from_bytes(block[at : at + size], "little" if block[:2] == b"II" else "big")
