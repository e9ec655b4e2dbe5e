"""What a LABEL_MAP chunk says before its cells: their size, the classes, who made them. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.class_tables import CLASS_TABLES, table_number
from semcomp.bitstream.fields import check_version, pack_string, pack_varint, unpack_string, unpack_varint
from semcomp.errors import FormatError

VERSION = 1
"""Version of a body whose every cell has a class."""
VERSION_WITH_VOID = 2
"""Version of a body in which some cells are VOID. The cells then have one symbol more, number K."""
VOID = 255
"""In cells and label maps: nothing is known here. No class has this number, because a map has at most 255 classes."""
MAX_CELL = 64
MAX_CLASSES = 255
MAX_CELLS = 1 << 22
"""Rows x columns of a map: what writing and reading one costs is bounded, see label_map.py."""
MAX_CELLS_A_SIDE = 1 << 14
"""A thin map is read in steps of few cells. With cells of 64 pixels every picture stays below."""
_COPY_AGAIN = "copy the file again"


@dataclass(frozen=True, kw_only=True)
class LabelMapHead:
    """Everything in a label map except its cells. ``ValueError`` for a field out of range."""

    cell: int
    """Pixels a side of a cell, 1..64."""
    classes: tuple[str, ...]
    """1..255 names of at most 200 bytes of UTF-8; class k is ``classes[k]``."""
    palette: tuple[tuple[int, int, int], ...]
    """A colour for each class: R, G, B, 0..255."""
    source: str = ""
    """Name of the head that made the map, "" for a user's own."""
    has_void: bool = False
    """Whether some cells are VOID: nothing is known there."""

    def __post_init__(self) -> None:
        if not 1 <= self.cell <= MAX_CELL:
            raise ValueError(f"a cell of {self.cell} pixels, expected 1..{MAX_CELL}")
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"{len(self.classes)} classes, expected 1..{MAX_CLASSES}")
        if len(self.palette) != len(self.classes):
            raise ValueError(f"{len(self.palette)} colours for {len(self.classes)} classes, expected one for each")
        for colour in self.palette:
            if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
                raise ValueError(f"the colour {colour} is not three numbers 0..255")

    def shape(self, *, width: int, height: int) -> tuple[int, int]:
        """``(rows, columns)`` for a picture of this size in pixels. ``ValueError`` where they exceed the limits."""
        rows, columns = -(-height // self.cell), -(-width // self.cell)
        if max(rows, columns) > MAX_CELLS_A_SIDE or rows * columns > MAX_CELLS:
            raise ValueError(
                f"cells of {self.cell} pixels make {rows} x {columns} of a picture of {width} x {height}, at most "
                f"{MAX_CELLS:,} and {MAX_CELLS_A_SIDE:,} a side are allowed; choose a larger cell"
            )
        return rows, columns


def read_head(data: bytes) -> LabelMapHead:
    """Read the header of a LABEL_MAP chunk's body without its cells. FormatError if it is malformed."""
    return unpack_head(data)[0]


def pack_head(head: LabelMapHead) -> bytes:
    """Write the bytes before the cells. ``ValueError`` for a string that is too long or holds a control character."""
    version = VERSION_WITH_VOID if head.has_void else VERSION
    parts = [bytes([version]), pack_varint(head.cell), pack_string(head.source)]
    number = table_number(head.classes, head.palette)
    if number is not None:
        return b"".join([*parts, pack_varint(0), pack_varint(number)])
    parts.append(pack_varint(len(head.classes)))
    for name, colour in zip(head.classes, head.palette, strict=True):
        parts += [pack_string(name), bytes(colour)]
    return b"".join(parts)


def unpack_head(data: bytes | memoryview) -> tuple[LabelMapHead, int]:
    """Return ``(head, offset of the cells)``; inverse of :func:`pack_head`. FormatError if it is malformed."""
    check_version(data, (VERSION, VERSION_WITH_VOID), "the contents of the label map")
    has_void = data[0] == VERSION_WITH_VOID
    cell, offset = unpack_varint(data, offset=1)
    source, offset = unpack_string(data, offset=offset)
    count, offset = unpack_varint(data, offset=offset)
    if not 1 <= cell <= MAX_CELL or count > MAX_CLASSES:
        raise FormatError(
            f"the label map claims cells of {cell} pixels and {count} classes, expected 1..{MAX_CELL} and at most "
            f"{MAX_CLASSES}; {_COPY_AGAIN}"
        )
    if not count:
        number, offset = unpack_varint(data, offset=offset)
        if number not in CLASS_TABLES:
            raise FormatError(f"the label map has the classes of table {number}, unknown here; use a newer semcomp")
        names, colours = CLASS_TABLES[number]
        return LabelMapHead(cell=cell, classes=names, palette=colours, source=source, has_void=has_void), offset
    classes, palette = [], []
    for number in range(count):
        name, offset = unpack_string(data, offset=offset)
        red_green_blue = bytes(data[offset : offset + 3])
        if len(red_green_blue) < 3:
            raise FormatError(
                f"the label map is cut off at byte {len(data)}, in the colour of class {number}; {_COPY_AGAIN}"
            )
        classes.append(name)
        palette.append((red_green_blue[0], red_green_blue[1], red_green_blue[2]))
        offset += 3
    head = LabelMapHead(cell=cell, classes=tuple(classes), palette=tuple(palette), source=source, has_void=has_void)
    return head, offset
