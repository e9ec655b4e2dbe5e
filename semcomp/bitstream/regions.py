"""What of a picture is real: the bodies of the chunks REGIONS and GENERATOR. FORMAT_PAYLOADS.md specifies them.

Only the standard library is needed, so that `semcomp info` can tell what was coded from what will be synthesised. The
positions of a bitmap are read by keep_mask.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from semcomp.bitstream.fields import check_version, pack_varint, unpack_varint
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Y, grid

VERSION = 1
MAX_BOXES = 64
MAX_SIDE = 1 << 14
"""Largest number of positions on a side of a bitmap. A label map has the same limit."""
ID_BYTES = 8
_BOXES, _BITMAP = 0, 1
_GUIDED = 1
_COPY_AGAIN = "copy the file again"


class Box(NamedTuple):
    """A rectangle; in a file in positions, for a person in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Which positions of y are coded; the rest of the picture will be synthesised."""

    kept: int
    """Positions that are coded, fewer than there are."""
    boxes: tuple[Box, ...] = ()
    """Rectangles of positions that do not overlap; empty for a bitmap."""


def pack_boxes(boxes: Sequence[Box]) -> bytes:
    """The body of a REGIONS chunk that lists rectangles of positions, which do not overlap."""
    if not 1 <= len(boxes) <= MAX_BOXES:
        raise ValueError(f"{len(boxes)} boxes, expected 1..{MAX_BOXES}")
    parts = [bytes([VERSION]), pack_varint(sum(box.width * box.height for box in boxes)), bytes([_BOXES])]
    parts.append(pack_varint(len(boxes)))
    return b"".join(parts + [pack_varint(value) for box in boxes for value in box])


def pack_bitmap(kept: int, words: bytes) -> bytes:
    """The body of a REGIONS chunk whose positions are a coded bitmap."""
    return bytes([VERSION]) + pack_varint(kept) + bytes([_BITMAP]) + words


def read_regions(data: bytes, *, width: int, height: int) -> tuple[Regions, int]:
    """``(regions, offset)`` of the body of a REGIONS chunk in a file of that size; a bitmap's words begin at offset.

    FormatError if it is malformed, keeps nothing or keeps everything.
    """
    check_version(data, VERSION, "the regions")
    rows, columns = grid(height, width, STRIDE_Y)
    kept, offset = unpack_varint(data, offset=1)
    if not 1 <= kept < rows * columns:
        raise FormatError(
            f"the regions keep {kept} of {rows * columns} positions, expected at least one and not all; {_COPY_AGAIN}"
        )
    form = data[offset] if offset < len(data) else None
    offset += 1
    if form == _BITMAP:
        if max(rows, columns) > MAX_SIDE:
            raise FormatError(f"a bitmap of {rows} x {columns} positions, at most {MAX_SIDE} a side are allowed")
        return Regions(kept=kept), offset
    if form != _BOXES:
        raise FormatError(f"the regions are of form {form} (byte {offset - 1}), expected 0 or 1; upgrade semcomp")
    count, offset = unpack_varint(data, offset=offset)
    if not 1 <= count <= MAX_BOXES:
        raise FormatError(f"the regions claim {count} boxes, expected 1..{MAX_BOXES}; {_COPY_AGAIN}")
    boxes: list[Box] = []
    for number in range(count):
        values = []
        for _ in range(4):
            value, offset = unpack_varint(data, offset=offset)
            values.append(value)
        box = Box(*values)
        if not box.width or not box.height or box.x + box.width > columns or box.y + box.height > rows:
            raise FormatError(f"box {number} of the regions, {tuple(box)}, is empty or outside; {_COPY_AGAIN}")
        if any(_overlap(box, other) for other in boxes):
            raise FormatError(f"box {number} of the regions overlaps another one; {_COPY_AGAIN}")
        boxes.append(box)
    if offset != len(data) or kept != sum(box.width * box.height for box in boxes):
        raise FormatError(f"the regions do not end behind their boxes, or count them wrongly; {_COPY_AGAIN}")
    return Regions(kept=kept, boxes=tuple(boxes)), offset


def _overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
