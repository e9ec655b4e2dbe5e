"""The ``.semc`` container: a checked header, a table of typed chunks, their bodies. FORMAT.md specifies it.

Only the standard library is needed. The reader treats every byte as hostile: a bound is checked before
anything is read, nothing is allocated that the file does not hold, and a damaged, truncated or foreign file
is a :class:`~semcomp.errors.FormatError` that says what is wrong, at which byte, and what to do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import BinaryIO, NamedTuple

from semcomp.bitstream.fields import pack_varint, unpack_varint
from semcomp.errors import FormatError

MAGIC = b"\x89SMC"
VERSION = 1
SYNTHESISED = 1
"""Bit of ``Header.flags``: part of the decoded picture may be synthesised rather than reconstructed."""
MAX_PIXELS = 178_000_000
"""Default limit on width x height (as Pillow's): a tiny file can validly describe a giant image."""
MAX_SIDE = 1 << 20
"""No side is longer: padding a thin image to whole blocks must not multiply it beyond the pixel limit."""
MAX_CHUNKS = 64
MAX_HEADER_BYTES = 1024
"""Header and table always end before this byte."""
CELL = 64
"""A file has at least one byte for every CELL x CELL pixels begun: what it claims costs no more than it weighs."""
_MAX_FLAGS = 1 << 12
_MAX_KIND = 1 << 12
_COPY_AGAIN = "copy or download it again"
_ENCODE_AGAIN = "encode the picture again"


class ColorMode(IntEnum):
    """What the decoded pixels stand for. Alpha is a chunk of its own and goes with either."""

    RGB = 0
    L = 1


class ChunkKind(IntEnum):
    """The chunks that this version knows."""

    SYMBOLS = 1
    ALPHA = 3  # 2 is reserved
    LABEL_MAP = 4
    TAGS = 5
    REGIONS = 6
    ICC = 7
    EXIF = 8
    GENERATOR = 9
    XMP = 10
    PADDING = 11
    PREVIEW = 16


REQUIRED_KINDS = frozenset({ChunkKind.SYMBOLS, ChunkKind.ALPHA, ChunkKind.REGIONS, ChunkKind.GENERATOR})
"""Without these the picture would be another one: they always carry the required flag."""


_KNOWN_KINDS = frozenset(ChunkKind)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What has to be known before a chunk is read. ``ValueError`` for a field out of range."""

    width: int
    """True width in pixels, 1..2**20."""
    height: int
    """True height in pixels, 1..2**20."""
    mode: ColorMode
    quality: int
    """1..100; selects tables and the integer bias of the sigma path."""
    flags: int = 0
    """Bit 0: see ``SYNTHESISED``. Bits that a reader does not know are kept and ignored."""
    entropy_id: bytes
    """8 bytes: names the integer path and the tables, without which the symbols cannot be read."""
    model_id: bytes
    """8 bytes: names the release whose synthesis the file was made for."""
    symbol_crc: int
    """Checksum of the symbols and of the fields above that decide the picture, see FORMAT.md."""
    z_check: int
    """16 bits of the same over z alone: a wrong size is noticed before it costs more than its z."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, MAX_SIDE),
            ("height", 1, MAX_SIDE),
            ("quality", 1, 100),
            ("flags", 0, _MAX_FLAGS - 1),
            ("symbol_crc", 0, 0xFFFFFFFF),
            ("z_check", 0, 0xFFFF),
        ):
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name} is {value}, expected {low}..{high}")
        object.__setattr__(self, "mode", ColorMode(self.mode))
        for name in ("entropy_id", "model_id"):
            if len(value := getattr(self, name)) != 8:
                raise ValueError(f"{name} holds {len(value)} bytes, expected 8")


@dataclass(frozen=True)
class Chunk:
    """One typed piece of the file. The kinds in ``REQUIRED_KINDS`` are required whatever is passed."""

    kind: int
    data: bytes
    required: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.kind < _MAX_KIND:
            raise ValueError(f"chunk kind is {self.kind}, expected 1..{_MAX_KIND - 1}")
        object.__setattr__(self, "required", bool(self.required) or self.kind in REQUIRED_KINDS)


class ChunkEntry(NamedTuple):
    """A row of the chunk table: what a chunk is and where it lies, without its body."""

    kind: int
    required: bool
    offset: int
    """First byte of the body, counted from the start of the file."""
    length: int
    """Bytes of the body."""
    crc: int

    @property
    def name(self) -> str:
        """``"ICC"``, or ``"chunk 77"`` for a kind that this version does not know."""
        try:
            return ChunkKind(self.kind).name
        except ValueError:
            return f"chunk {self.kind}"


class LostChunk(NamedTuple):
    """An optional chunk that was left out because it is damaged."""

    name: str
    reason: str


@dataclass(frozen=True)
class Container:
    """A whole file in memory. ``lost`` is filled by :func:`read` alone."""

    header: Header
    chunks: tuple[Chunk, ...]
    lost: tuple[LostChunk, ...] = field(default=(), compare=False)

    def get(self, kind: int) -> bytes | None:
        """The body of the chunk of this kind, or None."""
        return next((chunk.data for chunk in self.chunks if chunk.kind == kind), None)


def smallest_file(width: int, height: int) -> int:
    """Bytes that a file of a picture has at least; a writer that needs fewer adds a PADDING chunk of zeros."""
    return -(-width // CELL) * -(-height // CELL)


def write(container: Container) -> bytes:
    """The bytes of the file: chunk bodies stand in the order of ``container.chunks``.

    ``ValueError`` when SYMBOLS is missing, a kind stands twice, or there are more than ``MAX_CHUNKS`` chunks.
    """
    header, chunks = container.header, container.chunks
    if problem := _table_problem([chunk.kind for chunk in chunks]):
        raise ValueError(problem)
    parts = [
        MAGIC,
        bytes([VERSION]),
        pack_varint(header.width),
        pack_varint(header.height),
        pack_varint(header.flags << 4 | header.mode),
        bytes([header.quality]),
        header.entropy_id,
        header.model_id,
        header.symbol_crc.to_bytes(4, "little"),
        header.z_check.to_bytes(2, "little"),
    ]
    for number, chunk in enumerate(chunks, start=1):
        parts.append(pack_varint(chunk.kind << 2 | (number == len(chunks)) << 1 | chunk.required))
        parts.append(pack_varint(len(chunk.data)))
        parts.append(zlib.crc32(chunk.data).to_bytes(4, "little"))
    head = b"".join(parts)
    return b"".join([head, zlib.crc32(head).to_bytes(4, "little"), *(chunk.data for chunk in chunks)])


def read(data: bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Parse and check a whole file.

    A damaged optional chunk is left out and listed in ``lost``; everything else that is wrong, and a picture
    of more than ``max_pixels``, is a FormatError. Takes time and memory proportional to ``len(data)``.
    """
    view = memoryview(data).cast("B")
    header, entries, body = _parse_head(view[:MAX_HEADER_BYTES], max_pixels=max_pixels)
    end = body + sum(entry.length for entry in entries)
    if end < len(view):
        raise FormatError(
            f"{len(view) - end} bytes follow the last chunk, which ends at byte {end}: something was "
            f"appended to the file; {_COPY_AGAIN}"
        )
    for entry in entries:
        if entry.offset + entry.length > len(view):
            raise FormatError(
                f"the file is truncated at byte {len(view)}: {entry.name} takes bytes {entry.offset}.."
                f"{entry.offset + entry.length}; {_COPY_AGAIN}"
            )
    chunks, lost = [], []
    for entry in entries:
        piece = view[entry.offset : entry.offset + entry.length]
        if zlib.crc32(piece) == entry.crc:
            chunks.append(Chunk(entry.kind, bytes(piece), entry.required))
            continue
        reason = f"its checksum is wrong (bytes {entry.offset}..{entry.offset + entry.length})"
        if entry.required:
            raise FormatError(f"{entry.name} is damaged: {reason}; {_COPY_AGAIN}")
        lost.append(LostChunk(entry.name, reason))
    return Container(header, tuple(chunks), tuple(lost))


def read_header(
    source: bytes | bytearray | memoryview | BinaryIO, *, max_pixels: int = MAX_PIXELS
) -> tuple[Header, tuple[ChunkEntry, ...]]:
    """Header and chunk table alone, of bytes or of a binary file at its current position.

    Takes at most ``MAX_HEADER_BYTES`` from a file. The header's checksum is verified, the bodies are not
    looked at (they need not be there). FormatError as in :func:`read`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        view = memoryview(source).cast("B")[:MAX_HEADER_BYTES]
    else:
        head = b""
        while len(head) < MAX_HEADER_BYTES and (piece := source.read(MAX_HEADER_BYTES - len(head))):
            head += piece  # a pipe may give less than was asked for
        view = memoryview(head)
    header, entries, _ = _parse_head(view, max_pixels=max_pixels)
    return header, entries


def _parse_head(view: memoryview, *, max_pixels: int) -> tuple[Header, tuple[ChunkEntry, ...], int]:
    """``(header, table, offset of the first body)`` from the first ``MAX_HEADER_BYTES`` bytes of a file."""
    if not len(view):
        raise FormatError(f"the file is empty; {_COPY_AGAIN}")
    if view[:4] != MAGIC[: len(view)]:
        raise FormatError(
            f"not a .semc file: it begins with {view[:4].hex(' ')}, expected {MAGIC.hex(' ')}; "
            "pass a file that `semcomp encode` has written"
        )
    cursor = _Cursor(view, len(MAGIC))
    version = cursor.take(1, "the format version")[0]
    if version != VERSION:
        raise FormatError(
            f"the file has format version {version} (byte {len(MAGIC)}), this semcomp reads "
            f"version {VERSION}; upgrade semcomp"
        )
    width, height = cursor.varint(), cursor.varint()
    mode_and_flags = cursor.varint()
    quality = cursor.take(1, "the quality")[0]
    entropy_id, model_id = bytes(cursor.take(8, "the entropy id")), bytes(cursor.take(8, "the model id"))
    symbol_crc = cursor.u32("the checksum of the symbols")
    z_check = int.from_bytes(cursor.take(2, "the check of z"), "little")

    rows: list[tuple[int, bool, int, int]] = []  # kind, required, length, CRC
    last = False
    while not last:
        if len(rows) == MAX_CHUNKS:
            raise FormatError(f"more than {MAX_CHUNKS} chunks at byte {cursor.offset}; {_COPY_AGAIN}")
        tag = cursor.varint()
        last = bool(tag & 2)
        rows.append((tag >> 2, bool(tag & 1), cursor.varint(), cursor.u32("the checksum of a chunk")))
    table_end = cursor.offset
    if zlib.crc32(view[:table_end]) != cursor.u32("the checksum of the header"):
        raise FormatError(f"the header is damaged: its checksum (byte {table_end}) is wrong; {_COPY_AGAIN}")

    # From here on the head is what some writer meant; what is wrong now was written so.
    try:
        header = Header(
            width=width,
            height=height,
            mode=ColorMode(mode_and_flags & 15),
            quality=quality,
            flags=mode_and_flags >> 4,
            entropy_id=entropy_id,
            model_id=model_id,
            symbol_crc=symbol_crc,
            z_check=z_check,
        )
    except ValueError as error:
        raise FormatError(
            f"the header (bytes {len(MAGIC) + 1}..{table_end}) is not valid: {error}; {_ENCODE_AGAIN}"
        ) from None
    if width * height > max_pixels:
        raise FormatError(
            f"the picture is {width} x {height} = {width * height:,} pixels, above the limit of "
            f"{max_pixels:,}; raise max_pixels if you trust the file"
        )
    if problem := _table_problem([kind for kind, *_ in rows]):
        raise FormatError(f"the chunk table (ends at byte {table_end}) is not valid: {problem}; {_ENCODE_AGAIN}")
    entries, offset = [], cursor.offset
    for kind, required, length, crc in rows:
        entries.append(entry := ChunkEntry(kind, required, offset, length, crc))
        if required and kind not in _KNOWN_KINDS:
            raise FormatError(f"the file needs {entry.name}, which this semcomp does not know; upgrade semcomp")
        if not required and kind in REQUIRED_KINDS:
            raise FormatError(f"{entry.name} is marked as optional in the chunk table; {_ENCODE_AGAIN}")
        offset += length
    if offset < (least := smallest_file(width, height)):
        raise FormatError(
            f"the header claims {width} x {height} pixels, which take at least {least:,} bytes, in a file of "
            f"{offset:,}; {_COPY_AGAIN}"
        )
    return header, tuple(entries), cursor.offset


def _table_problem(kinds: Iterable[int]) -> str | None:
    """What is wrong with a list of chunk kinds, if anything: one rule for writer and reader."""
    seen: set[int] = set()
    for kind in kinds:
        if kind in seen:
            return f"chunk kind {kind} stands twice"
        if not 1 <= kind < _MAX_KIND:
            return f"chunk kind is {kind}, expected 1..{_MAX_KIND - 1}"
        seen.add(kind)
    if len(seen) > MAX_CHUNKS:
        return f"{len(seen)} chunks, at most {MAX_CHUNKS} fit"
    return None if ChunkKind.SYMBOLS in seen else "no SYMBOLS chunk"


class _Cursor:
    """Reads forward through the head of a file; FormatError where the file ends too early."""

    def __init__(self, view: memoryview, offset: int) -> None:
        self.view, self.offset = view, offset

    def take(self, count: int, what: str) -> memoryview:
        start, self.offset = self.offset, self.offset + count
        if self.offset > len(self.view):
            raise FormatError(
                f"the file ends at byte {len(self.view)}, inside its header: {what} takes bytes "
                f"{start}..{self.offset}; {_COPY_AGAIN}"
            )
        return self.view[start : self.offset]

    def varint(self) -> int:
        value, self.offset = unpack_varint(self.view, offset=self.offset)
        return value

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "little")
