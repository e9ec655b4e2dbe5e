"""The header and the chunks of a `.semc` file, as data. Only the standard library is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

SYNTHESISED = 1
"""Bit of `Header.flags`: a part of the decoded picture may be synthesised rather than reconstructed."""
MAX_SIDE = 1 << 20
"""Longest side in pixels. Padding a thin picture to whole blocks must not multiply it beyond the pixel limit."""
MAX_FLAGS = 1 << 12
MAX_KIND = 1 << 12


class ColorMode(IntEnum):
    """Colour of the decoded pixels. Alpha is a separate chunk, which both modes may have."""

    RGB = 0
    L = 1


class ChunkKind(IntEnum):
    """Kinds of chunks."""

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
    LOSSLESS = 12
    PREVIEW = 16
    EMBEDDING = 17


REQUIRED_KINDS = frozenset(
    {ChunkKind.SYMBOLS, ChunkKind.ALPHA, ChunkKind.REGIONS, ChunkKind.GENERATOR, ChunkKind.LOSSLESS}
)
"""The picture would be another one without these. They always carry the required flag."""

NO_ID = bytes(8)
"""Entropy id and model id of a file without latents."""

KNOWN_KINDS = frozenset(ChunkKind)
"""The kinds that this version knows."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a reader has to know before it reads a chunk. A field out of range is a ValueError."""

    width: int
    """Width in pixels before padding, 1..2**20."""
    height: int
    """Height in pixels before padding, 1..2**20."""
    mode: ColorMode
    quality: int
    """1..100. It selects tables and the integer bias of the sigma path."""
    flags: int = 0
    """Bit 0: see SYNTHESISED. A reader keeps and ignores bits that it does not know."""
    entropy_id: bytes
    """8 bytes: the integer path and the tables that read the symbols."""
    model_id: bytes
    """8 bytes: the release whose synthesis the file was made for."""
    symbol_crc: int
    """Checksum of the symbols and of the fields that decide the picture, see FORMAT.md."""
    z_check: int
    """16 bits of the checksum of z alone. A wrong size is noticed before more than z is read."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, MAX_SIDE),
            ("height", 1, MAX_SIDE),
            ("quality", 1, 100),
            ("flags", 0, MAX_FLAGS - 1),
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
    """One typed piece of the file. Kinds in REQUIRED_KINDS are required even if `required` is False."""

    kind: int
    data: bytes
    required: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.kind < MAX_KIND:
            raise ValueError(f"chunk kind is {self.kind}, expected 1..{MAX_KIND - 1}")
        object.__setattr__(self, "required", bool(self.required) or self.kind in REQUIRED_KINDS)


class ChunkEntry(NamedTuple):
    """A row of the chunk table: kind, place and checksum of a chunk, without its body."""

    kind: int
    required: bool
    offset: int
    """First byte of the body, counted from the start of the file."""
    length: int
    """Bytes of the body."""
    crc: int

    @property
    def name(self) -> str:
        """ "ICC", or "chunk 77" for a kind that this version does not know."""
        try:
            return ChunkKind(self.kind).name
        except ValueError:
            return f"chunk {self.kind}"


class LostChunk(NamedTuple):
    """An optional chunk that a reader left out, because it is damaged."""

    name: str
    reason: str


@dataclass(frozen=True)
class Container:
    """A whole file in memory. Only `container.read` fills `lost`."""

    header: Header
    chunks: tuple[Chunk, ...]
    lost: tuple[LostChunk, ...] = field(default=(), compare=False)

    def get(self, kind: int) -> bytes | None:
        """The body of the chunk of this kind, or None."""
        return next((chunk.data for chunk in self.chunks if chunk.kind == kind), None)
