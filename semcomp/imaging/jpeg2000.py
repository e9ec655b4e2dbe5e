"""JPEG 2000: depth and colour of a file, and 8-bit pixels of a deep one.

Sources: ISO/IEC 15444-1, annex A (codestream) and annex I (JP2 boxes).
"""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from PIL import Image

from semcomp.imaging.boxes import Box, BoxFacts, body_of, boxes, bytes_at, size_of

JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM_SIGNATURE = b"\xff\x4f\xff\x51"
_COMPONENTS, _DEPTHS = 40, 42
"""Offsets in the codestream: number of components, and the depth of each, three bytes apart."""
_COD = 0xFF52
_SOD = b"\xff\x93"


def is_jpeg2000(data: bytes) -> bool:
    """Whether the bytes begin as a JP2 file or a bare codestream does."""
    return data.startswith((JP2_SIGNATURE, CODESTREAM_SIGNATURE))


def read_jpeg2000(stream: BinaryIO) -> BoxFacts | None:
    """Depth and colour of a JPEG 2000 file or codestream, or None for another format."""
    size = size_of(stream)
    head = bytes_at(stream, 0, 12)
    if head[:4] == CODESTREAM_SIGNATURE:
        return BoxFacts(bits=_bits_of_codestream(stream, 0), codestream_at=0)
    if head != JP2_SIGNATURE:
        return None
    facts = BoxFacts()
    for box in boxes(stream, 0, size):
        if box.kind == b"jp2h":
            for inner in boxes(stream, box.start, box.end):
                _take_header(facts, inner, body_of(stream, inner))
        elif box.kind == b"jp2c":
            facts.bits, facts.codestream_at = max(facts.bits, _bits_of_codestream(stream, box.start)), box.start
            break
    return facts


def _take_header(facts: BoxFacts, box: Box, body: bytes) -> None:
    kind = box.kind
    if kind == b"ihdr" and len(body) > 10 and body[10] != 255:
        facts.bits, facts.depth_at = max(facts.bits, (body[10] & 0x7F) + 1), box.start + 10
    elif kind == b"bpcc":
        facts.bits = max(facts.bits, *((value & 0x7F) + 1 for value in body), 8)
    elif kind == b"colr" and body[:1] == b"\1" and facts.enumerated is None:
        facts.enumerated = int.from_bytes(body[3:7], "big")
    elif kind == b"colr" and body[:1] in (b"\2", b"\3"):
        facts.icc = facts.icc or body[3:]


def _bits_of_codestream(stream: BinaryIO, start: int) -> int:
    """The largest Ssiz of the SIZ marker segment (ISO/IEC 15444-1, A.5.1)."""
    head = bytes_at(stream, start, 42)
    if head[:4] != CODESTREAM_SIGNATURE or len(head) < 42:
        return 8
    components = bytes_at(stream, start + 42, 3 * int.from_bytes(head[40:42], "big"))[::3]
    return max(((value & 0x7F) + 1 for value in components), default=8)


def as_8_bits(image: Image.Image, facts: BoxFacts, stream: BinaryIO | None) -> Image.Image:
    """The loaded image of a deep colour file, with its white restored.

    Pillow rounds 16 bits to 8 and lets the brightest values wrap to 0. A file of the irreversible transform is read
    again with its depth declared as 8, to which the transform scales. A file of the reversible one is read again with
    a bit more than it has, which puts black and white far from 0.
    """
    at = facts.codestream_at
    if stream is None or at is None or image.mode not in ("RGB", "RGBA", "LA", "L"):
        return image
    stream.seek(0)
    data = bytearray(stream.read())
    reversible = is_reversible(data, at)
    for component in range(int.from_bytes(data[at + _COMPONENTS : at + _DEPTHS], "big")):
        depth = at + _DEPTHS + 3 * component
        data[depth] = data[depth] + 1 if reversible else data[depth] & 0x80 | 7
    if facts.depth_at is not None and data[facts.depth_at] != 255:
        data[facts.depth_at] = data[at + _DEPTHS]
    again: Image.Image
    with Image.open(io.BytesIO(bytes(data)), formats=("JPEG2000",)) as again:
        if not reversible:
            return again.copy()
        pixels, shifted = np.array(image), np.asarray(again)
    pixels[(pixels == 0) & (shifted >= 128)] = 255
    return Image.fromarray(pixels)


def is_reversible(data: bytes | bytearray, at: int) -> bool:
    """Whether the COD marker segment of the codestream at an offset names the 5-3 transform."""
    offset = at + 2
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker, length = (
            int.from_bytes(data[offset : offset + 2], "big"),
            int.from_bytes(data[offset + 2 : offset + 4], "big"),
        )
        if marker == _COD:
            return offset + 13 < len(data) and data[offset + 13] == 1
        offset += 2 + length
    return False


def is_lossless(data: bytes) -> bool:
    """Whether the first codestream of a file is of the reversible transform, so that nothing is to be restored."""
    facts = read_jpeg2000(io.BytesIO(data))
    return facts is not None and facts.codestream_at is not None and is_reversible(data, facts.codestream_at)


def coded_bytes(data: bytes, at: int) -> int:
    """Bytes of coded wavelet coefficients of the codestream at an offset: what follows its first SOD marker."""
    start = data.find(_SOD, at)
    return len(data) - start - len(_SOD) if start >= 0 else 0
