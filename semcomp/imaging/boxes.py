"""Boxes of ISO base media files: depth, colour and EXIF of AVIF and HEIC files.

Sources: ISO/IEC 14496-12 (boxes, meta) and 23008-12 (image properties).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

_MOST_BOXES, _LARGEST_BODY = 4096, 1 << 24


class Box(NamedTuple):
    """A box: its kind, and where its body starts and ends in the file."""

    kind: bytes
    start: int
    end: int


@dataclass(kw_only=True)
class BoxFacts:
    """Depth and colour as the boxes of a file give them."""

    bits: int = 8
    nclx: tuple[int, int, bool] | None = None
    """H.273 codes of primaries and transfer, and whether the range is full."""
    enumerated: int | None = None
    """The enumerated colour space of a JP2 file."""
    codestream_at: int | None = None
    """Where the codestream of a JPEG 2000 file starts."""
    depth_at: int | None = None
    """Where the header of a JP2 file says its depth."""
    icc: bytes | None = None
    exif: bytes | None = None
    exif_kind_at: int | None = None
    """Where the file says that an item is an EXIF record."""


def boxes(stream: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets of a file, in order. It stops where a length makes no sense."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        head = bytes_at(stream, start, 16)
        if len(head) < 8:
            return
        length, kind, body = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if length == 1:
            length, body = int.from_bytes(head[8:16], "big"), start + 16
        stop = end if length == 0 else start + length
        if stop < body or stop > end:
            stop = end  # a cut file: what is there can still be read
        yield Box(kind, body, stop)
        start = stop


@dataclass
class _Items:
    """The items of a `meta` box."""

    primary: int = 0
    exif: int | None = None
    exif_kind_at: int | None = None
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    used: dict[int, list[int]] = field(default_factory=dict)
    """Item -> numbers of its properties, from 1."""
    parts: dict[int, list[int]] = field(default_factory=dict)
    """Item -> the items that it is put together from."""
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Item -> construction method, offset and length, of items in one piece."""
    data: int = 0
    """Where the body of the `idat` box starts."""


def read_heif(stream: BinaryIO) -> BoxFacts | None:
    """Depth, colour and EXIF of the primary image of an AVIF or HEIC file, or None for another format."""
    if bytes_at(stream, 4, 4) != b"ftyp":
        return None
    size = size_of(stream)
    meta = next((box for box in boxes(stream, 0, size) if box.kind == b"meta"), None)
    if meta is None:
        return BoxFacts()
    items = _Items()
    for box in boxes(stream, meta.start + 4, meta.end):
        if box.kind == b"iprp":
            _take_properties(items, stream, box)
        elif box.kind == b"idat":
            items.data = box.start
        elif box.kind in _TAKE:
            _TAKE[box.kind](items, _Fields(body_of(stream, box), box.start))
    return _facts_of(items, stream)


def _facts_of(items: _Items, stream: BinaryIO) -> BoxFacts:
    facts = BoxFacts()
    for item in (items.primary, *items.parts.get(items.primary, ())[:1]):
        for number in items.used.get(item, ()):
            if 1 <= number <= len(items.properties):
                _take_property(facts, *items.properties[number - 1])
    if items.exif is not None and items.exif in items.places:
        method, offset, length = items.places[items.exif]
        raw = bytes_at(stream, offset + (items.data if method == 1 else 0), min(length, _LARGEST_BODY))
        facts.exif = raw[4 + int.from_bytes(raw[:4], "big") :] or None
        facts.exif_kind_at = items.exif_kind_at
    return facts


def _take_property(facts: BoxFacts, kind: bytes, body: bytes) -> None:
    if kind == b"pixi" and len(body) > 4:
        facts.bits = max(facts.bits, *body[5 : 5 + body[4]], 8)
    elif kind == b"av1C" and len(body) > 2:
        high, twelve = body[2] >> 6 & 1, body[2] >> 5 & 1
        facts.bits = max(facts.bits, (12 if twelve else 10) if high else 8)
    elif kind == b"hvcC" and len(body) > 18:
        facts.bits = max(facts.bits, (body[17] & 7) + 8, (body[18] & 7) + 8)
    elif kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11 and facts.nclx is None:
        codes = (int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big"))
        facts.nclx = (*codes, bool(body[10] >> 7))
    elif kind == b"colr" and body[:4] in (b"prof", b"rICC"):
        facts.icc = facts.icc or body[4:]


def _take_properties(items: _Items, stream: BinaryIO, iprp: Box) -> None:
    for box in boxes(stream, iprp.start, iprp.end):
        if box.kind == b"ipco":
            items.properties += [(inner.kind, body_of(stream, inner)) for inner in boxes(stream, box.start, box.end)]
        elif box.kind == b"ipma":
            _take_associations(items, _Fields(body_of(stream, box)))


class _Fields:
    """Reads big-endian integers forward; zero behind the end."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        self.data = data
        self.start = start
        self.version = data[0] if data else 0
        self.flags = int.from_bytes(data[1:4], "big")
        self.offset = 4

    def take(self, size: int) -> int:
        self.offset += size
        return int.from_bytes(self.data[self.offset - size : self.offset], "big")

    @property
    def ended(self) -> bool:
        return self.offset >= len(self.data)


def _take_associations(items: _Items, fields: _Fields) -> None:
    for _ in range(fields.take(4)):
        if fields.ended:
            return
        item = fields.take(4 if fields.version >= 1 else 2)
        wide = fields.flags & 1
        numbers = [fields.take(2) & 0x7FFF if wide else fields.take(1) & 0x7F for _ in range(fields.take(1))]
        items.used.setdefault(item, []).extend(numbers)


def _take_primary(items: _Items, fields: _Fields) -> None:
    items.primary = fields.take(4 if fields.version else 2)


def _take_references(items: _Items, fields: _Fields) -> None:
    size = 4 if fields.version else 2
    while not fields.ended:
        fields.take(4)
        kind, item = fields.take(4), fields.take(size)
        parts = [fields.take(size) for _ in range(fields.take(2)) if not fields.ended]
        if kind == int.from_bytes(b"dimg", "big"):
            items.parts[item] = parts


def _take_kinds(items: _Items, fields: _Fields) -> None:
    count = fields.take(4 if fields.version else 2)
    for _ in range(count):
        if fields.ended:
            return
        start = fields.offset
        length = fields.take(4)
        entry = _Fields(fields.data[start + 8 : start + length])
        if entry.version >= 2:
            item = entry.take(4 if entry.version == 3 else 2)
            entry.take(2)
            if entry.data[entry.offset : entry.offset + 4] == b"Exif" and items.exif is None:
                items.exif, items.exif_kind_at = item, fields.start + start + 8 + entry.offset
        fields.offset = start + max(length, 8)


def _take_places(items: _Items, fields: _Fields) -> None:
    sizes = fields.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if fields.version in (1, 2) else 0
    for _ in range(fields.take(4 if fields.version == 2 else 2)):
        if fields.ended:
            return
        item = fields.take(4 if fields.version == 2 else 2)
        method = fields.take(2) & 15 if fields.version in (1, 2) else 0
        fields.take(2)
        base = fields.take(base_size)
        extents = []
        for _ in range(fields.take(2)):
            if fields.ended:
                return
            fields.take(index_size)
            extents.append((base + fields.take(offset_size), fields.take(length_size)))
        if len(extents) == 1 and method in (0, 1):
            items.places[item] = (method, *extents[0])


_TAKE = {b"pitm": _take_primary, b"iref": _take_references, b"iinf": _take_kinds, b"iloc": _take_places}


def bytes_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Bytes of a file from an offset, at most `size`."""
    stream.seek(offset)
    return stream.read(size)


def body_of(stream: BinaryIO, box: Box) -> bytes:
    """The body of a box, cut where it is unreasonably large."""
    return bytes_at(stream, box.start, min(box.end - box.start, _LARGEST_BODY))


def size_of(stream: BinaryIO) -> int:
    """Bytes of a file."""
    return stream.seek(0, 2)
