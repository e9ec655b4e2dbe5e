"""What of a picture is real: the bodies of the chunks REGIONS and GENERATOR. FORMAT_PAYLOADS.md specifies them.

Only the standard library is needed, so that `semcomp info` can tell what was coded from what will be synthesised. The
positions of a bitmap are read by keepmask.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from semcomp.container import ChunkKind, Container, pack_varint, unpack_varint
from semcomp.errors import FormatError
from semcomp.tags import check_version, pack_string, unpack_string

VERSION = 1
POSITION = 16
"""Pixels a side of a position of y, which is kept or not."""
MAX_BOXES = 64
MAX_SIDE = 1 << 14
"""Positions a side of a bitmap, as of a label map."""
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


@dataclass(frozen=True, kw_only=True)
class GeneratorNote:
    """The generator that a file was made for. ``ValueError`` for an id that is not of 8 bytes."""

    name: str
    generator_id: bytes
    guided: bool
    """Whether the stored label map is meant to guide it."""

    def __post_init__(self) -> None:
        if len(self.generator_id) != ID_BYTES:
            raise ValueError(f"the id of a generator holds {len(self.generator_id)} bytes, expected {ID_BYTES}")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a file says of the parts that are not its own, in words and numbers for a person."""

    generator: str
    """Name of the generator that the file was made for."""
    generator_id: str
    """Hex."""
    guided: bool
    """Whether the stored label map guides it."""
    kept_share: float
    """Part of the picture's 16x16 positions that is coded and shown as it was; 0: nothing is."""
    kept_boxes: tuple[Box, ...]
    """The kept rectangles in pixels; empty where a bitmap says which positions are kept."""


def grid_of(width: int, height: int) -> tuple[int, int]:
    """``(rows, columns)`` of the positions of a picture."""
    return -(-height // POSITION), -(-width // POSITION)


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
    rows, columns = grid_of(width, height)
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


def pack_generator(note: GeneratorNote) -> bytes:
    """The body of a GENERATOR chunk. ``ValueError`` for a name that a file does not take."""
    return bytes([VERSION]) + pack_string(note.name) + note.generator_id + pack_varint(_GUIDED * note.guided)


def read_generator(data: bytes) -> GeneratorNote:
    """Inverse of :func:`pack_generator`. FormatError for anything else."""
    check_version(data, VERSION, "the generator's settings")
    name, offset = unpack_string(data, offset=1)
    generator_id = bytes(data[offset : offset + ID_BYTES])
    if len(generator_id) < ID_BYTES:
        raise FormatError(f"the generator's settings are cut off at byte {len(data)}, in its id; {_COPY_AGAIN}")
    flags, offset = unpack_varint(data, offset=offset + ID_BYTES)
    if offset != len(data) or flags > _GUIDED:
        raise FormatError(f"the generator's settings do not end at byte {offset}, or have flags {flags}; {_COPY_AGAIN}")
    return GeneratorNote(name=name, generator_id=generator_id, guided=bool(flags & _GUIDED))


def regions_of(container: Container) -> bytes | None:
    """The body of the REGIONS chunk, if any. FormatError where no generator is named for what it leaves out."""
    body = container.get(ChunkKind.REGIONS)
    if body is not None and container.get(ChunkKind.GENERATOR) is None:
        raise FormatError("the file keeps regions and names no generator for the rest; encode the picture again")
    return body


def read_origin(container: Container) -> Origin | None:
    """What a file says of its synthesised parts, None where there are none. FormatError where that is malformed."""
    regions, body = regions_of(container), container.get(ChunkKind.GENERATOR)
    if body is None:
        return None
    note, width, height = read_generator(body), container.header.width, container.header.height
    share, boxes = 0.0, []
    if regions is not None:
        found, _ = read_regions(regions, width=width, height=height)
        rows, columns = grid_of(width, height)
        share = found.kept / (rows * columns)
        for box in found.boxes:
            left, top = POSITION * box.x, POSITION * box.y
            right, bottom = min(width, left + POSITION * box.width), min(height, top + POSITION * box.height)
            boxes.append(Box(left, top, right - left, bottom - top))
    return Origin(
        generator=note.name, generator_id=note.generator_id.hex(), guided=note.guided, kept_share=share,
        kept_boxes=tuple(boxes),
    )  # fmt: skip


def in_words(origin: Origin) -> list[str]:
    """One line for what is real and one for what is not."""
    guide = ", guided by the stored label map" if origin.guided else ""
    made = f"synthesised by the generator {origin.generator} ({origin.generator_id}){guide}"
    if not origin.kept_share:
        return ["nothing is kept as it was", f"the whole picture, {made}"]
    where = "; ".join(f"{b.width}x{b.height} at {b.x},{b.y}" for b in origin.kept_boxes)
    where = f"boxes {where}" if where else "positions of a stored bitmap"
    return [f"{100 * origin.kept_share:.1f} % of the picture: {where}", f"the rest, {made}"]
