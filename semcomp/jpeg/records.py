"""What a JPEG file says beside pixels: ICC profile, EXIF, XMP, Adobe's colour transform, and semcomp's own mark."""

from __future__ import annotations

from semcomp.imaging.exif import EXIF_PREFIX
from semcomp.jpeg.reader import JpegFile

APP0, APP1, APP2, APP11, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE
_ICC, _XMP, _ADOBE = b"ICC_PROFILE\0", b"http://ns.adobe.com/xap/1.0/\0", b"Adobe"
_MARK = b"semcomp\0restorer\0"
JFIF = (APP0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
"""The record that most files begin with: version 1.1, square pixels."""


def icc_profile(file: JpegFile) -> bytes | None:
    """The ICC profile, or None where there is none or a piece of it is missing."""
    pieces: dict[int, bytes] = {}
    count = 0
    for marker, payload in file.records:
        if marker == APP2 and payload.startswith(_ICC) and len(payload) > len(_ICC) + 2:
            number, count = payload[len(_ICC)], payload[len(_ICC) + 1]
            pieces[number] = payload[len(_ICC) + 2 :]
    if not count or sorted(pieces) != list(range(1, count + 1)):
        return None
    return b"".join(pieces[number] for number in sorted(pieces))


def exif_block(file: JpegFile) -> bytes | None:
    """The TIFF block of the EXIF record."""
    return _first(file, APP1, EXIF_PREFIX)


def xmp_packet(file: JpegFile) -> bytes | None:
    """The main XMP packet."""
    return _first(file, APP1, _XMP)


def restorer_mark(file: JpegFile) -> bytes | None:
    """The id of the restorer that the file was made for, 8 bytes, or None."""
    return _first(file, APP11, _MARK)


def _first(file: JpegFile, marker: int, prefix: bytes) -> bytes | None:
    found = (payload[len(prefix) :] for kind, payload in file.records if kind == marker and payload.startswith(prefix))
    return next(found, None) or None


def is_rgb(file: JpegFile) -> bool:
    """Whether the three planes are red, green and blue instead of luma and chroma, judged as libjpeg does."""
    if any(marker == APP0 and payload.startswith(b"JFIF\0") for marker, payload in file.records):
        return False
    for marker, payload in file.records:
        if marker == APP14 and payload.startswith(_ADOBE) and len(payload) >= 12:
            return payload[11] == 0
    return [plane.identifier for plane in file.planes] == [ord("R"), ord("G"), ord("B")]


def records_of(
    *, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None, mark: bytes | None = None
) -> tuple[tuple[int, bytes], ...]:
    """The records of a new file: JFIF, then what is given.

    Args:
        icc: ICC profile.
        exif: TIFF block of an EXIF record.
        xmp: XMP packet.
        mark: Id of the restorer that the file is made for.
    """
    records = [JFIF]
    if exif:
        records.append((APP1, EXIF_PREFIX + exif))
    if xmp:
        records.append((APP1, _XMP + xmp))
    if icc:
        size = 65519
        pieces = [icc[at : at + size] for at in range(0, len(icc), size)]
        heads = [bytes([number, len(pieces)]) for number in range(1, len(pieces) + 1)]
        records += [(APP2, _ICC + head + piece) for head, piece in zip(heads, pieces, strict=True)]
    if mark:
        records.append((APP11, _MARK + mark))
    return tuple(records)
