"""Reads and writes the `.semc` container: a checked header, a table of typed chunks, their bodies.

FORMAT.md specifies the container. Only the standard library is needed. The reader treats every byte as hostile: it
checks a bound before it reads, and allocates nothing that the file does not hold. A damaged, truncated or foreign file
is a FormatError that says what is wrong, at which byte, and what to do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from semcomp.bitstream.fields import pack_varint, unpack_varint
from semcomp.bitstream.header import KNOWN_KINDS, MAX_KIND, REQUIRED_KINDS, LostChunk
from semcomp.bitstream.header import MAX_SIDE as MAX_SIDE
from semcomp.bitstream.header import NO_ID as NO_ID
from semcomp.bitstream.header import SYNTHESISED as SYNTHESISED
from semcomp.bitstream.header import Chunk as Chunk
from semcomp.bitstream.header import ChunkEntry as ChunkEntry
from semcomp.bitstream.header import ChunkKind as ChunkKind
from semcomp.bitstream.header import ColorMode as ColorMode
from semcomp.bitstream.header import Container as Container
from semcomp.bitstream.header import Header as Header
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Z

MAGIC = b"\x89SMC"
VERSION = 1
MAX_PIXELS = 178_000_000
"""Default limit on width x height, as in Pillow. A tiny file can validly describe a giant picture."""
MAX_CHUNKS = 64
MAX_HEADER_BYTES = 1024
"""Header and chunk table always end before this byte."""
_COPY_AGAIN = "copy or download it again"
_ENCODE_AGAIN = "encode the picture again"


def smallest_file(width: int, height: int) -> int:
    """Minimum size in bytes of the file of a picture: one byte per started 64x64 block.

    A tiny file can therefore not claim a huge picture. A writer that needs fewer bytes adds a PADDING chunk of zeros.

    Example:
        >>> smallest_file(768, 512)
        96
    """
    return -(-width // STRIDE_Z) * -(-height // STRIDE_Z)


def write(container: Container) -> bytes:
    """The bytes of a file.

    Args:
        container: Header and chunks. The bodies keep the order of `container.chunks`.

    Raises:
        ValueError: Both SYMBOLS and LOSSLESS are missing, a kind comes twice, or there are more than MAX_CHUNKS chunks.
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


def padded(container: Container) -> bytes:
    """The bytes of a file, with a PADDING chunk where it would be smaller than `smallest_file` allows."""
    file, header = write(container), container.header
    missing = smallest_file(header.width, header.height) - len(file)
    if missing <= 0:
        return file
    return write(Container(header, (*container.chunks, Chunk(ChunkKind.PADDING, bytes(missing)))))


def read(data: bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Parse and check a whole file, in time and memory proportional to its length.

    Args:
        data: The bytes of the file.
        max_pixels: Largest picture that is accepted, width x height.

    Returns:
        Header and chunks. A damaged optional chunk is left out and listed in `lost`.

    Raises:
        FormatError: Anything else is wrong, or the picture is larger than `max_pixels`.
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
    chunks: list[Chunk] = []
    lost: list[LostChunk] = []
    for entry in entries:
        found = checked_chunk(entry, view[entry.offset : entry.offset + entry.length])
        if isinstance(found, Chunk):
            chunks.append(found)
        else:
            lost.append(found)
    return Container(header, tuple(chunks), tuple(lost))


def checked_chunk(entry: ChunkEntry, body: bytes | memoryview) -> Chunk | LostChunk:
    """The chunk of a row of the table, or why it is left out.

    Raises:
        FormatError: The checksum of a required chunk is wrong.
    """
    if zlib.crc32(body) == entry.crc:
        return Chunk(entry.kind, bytes(body), entry.required)
    reason = f"its checksum is wrong (bytes {entry.offset}..{entry.offset + entry.length})"
    if entry.required:
        raise FormatError(f"{entry.name} is damaged: {reason}; {_COPY_AGAIN}")
    return LostChunk(entry.name, reason)


def read_header(
    source: bytes | bytearray | memoryview | BinaryIO, *, max_pixels: int = MAX_PIXELS
) -> tuple[Header, tuple[ChunkEntry, ...]]:
    """Parse and check the header and the chunk table alone.

    Args:
        source: The bytes of a file, or a binary stream, of which at most MAX_HEADER_BYTES are read. The bodies need not
            be there.
        max_pixels: Largest picture that is accepted, width x height.

    Returns:
        The header and the rows of the chunk table.

    Raises:
        FormatError: The head of the file is damaged, or the picture is larger than `max_pixels`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        view = memoryview(source).cast("B")[:MAX_HEADER_BYTES]
    else:
        head = b""
        while len(head) < MAX_HEADER_BYTES and (piece := source.read(MAX_HEADER_BYTES - len(head))):
            head += piece  # a pipe may return fewer bytes than it was asked for
        view = memoryview(head)
    header, entries, _ = _parse_head(view, max_pixels=max_pixels)
    return header, entries


def _parse_head(view: memoryview, *, max_pixels: int) -> tuple[Header, tuple[ChunkEntry, ...], int]:
    """Header, chunk table and offset of the first body, from the first MAX_HEADER_BYTES bytes of a file."""
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
    rows = _parse_rows(cursor)
    table_end = cursor.offset
    if zlib.crc32(view[:table_end]) != cursor.u32("the checksum of the header"):
        raise FormatError(f"the header is damaged: its checksum (byte {table_end}) is wrong; {_COPY_AGAIN}")

    # From here on the head is what some writer meant. What is wrong now was written so.
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
    entries = _located(rows, cursor.offset)
    end = entries[-1].offset + entries[-1].length
    if end < (least := smallest_file(width, height)):
        raise FormatError(
            f"the header claims {width} x {height} pixels, which take at least {least:,} bytes, in a file of "
            f"{end:,}; {_COPY_AGAIN}"
        )
    return header, entries, cursor.offset


class _Row(NamedTuple):
    """A row of the chunk table as it is stored."""

    kind: int
    required: bool
    length: int
    crc: int


def _parse_rows(cursor: _Cursor) -> list[_Row]:
    rows: list[_Row] = []
    last = False
    while not last:
        if len(rows) == MAX_CHUNKS:
            raise FormatError(f"more than {MAX_CHUNKS} chunks at byte {cursor.offset}; {_COPY_AGAIN}")
        tag = cursor.varint()
        last = bool(tag & 2)
        rows.append(_Row(tag >> 2, bool(tag & 1), cursor.varint(), cursor.u32("the checksum of a chunk")))
    return rows


def _located(rows: list[_Row], offset: int) -> tuple[ChunkEntry, ...]:
    """The rows with the offsets of their bodies, the first of which begins at `offset`."""
    entries = []
    for kind, required, length, crc in rows:
        entries.append(entry := ChunkEntry(kind, required, offset, length, crc))
        if required and kind not in KNOWN_KINDS:
            raise FormatError(f"the file needs {entry.name}, which this semcomp does not know; upgrade semcomp")
        if not required and kind in REQUIRED_KINDS:
            raise FormatError(f"{entry.name} is marked as optional in the chunk table; {_ENCODE_AGAIN}")
        offset += length
    return tuple(entries)


def _table_problem(kinds: Iterable[int]) -> str | None:
    """What is wrong with a list of chunk kinds, in words. None if nothing is. Writer and reader share this rule."""
    seen: set[int] = set()
    for kind in kinds:
        if kind in seen:
            return f"chunk kind {kind} comes twice"
        if not 1 <= kind < MAX_KIND:
            return f"chunk kind is {kind}, expected 1..{MAX_KIND - 1}"
        seen.add(kind)
    if len(seen) > MAX_CHUNKS:
        return f"{len(seen)} chunks, at most {MAX_CHUNKS} fit"
    return None if seen & {ChunkKind.SYMBOLS, ChunkKind.LOSSLESS} else "no SYMBOLS chunk"


class _Cursor:
    """Reads forward through the head of a file. A file that ends too early is a FormatError."""

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
