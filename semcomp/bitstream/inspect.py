"""`semcomp.info`: what a `.semc` file holds, read with the standard library alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semcomp.bitstream.container import MAX_PIXELS, VERSION, ChunkKind, Container, read, read_header
from semcomp.bitstream.source import SemcSource, read_source
from semcomp.errors import FormatError

if TYPE_CHECKING:
    from semcomp.bitstream.label_map_header import LabelMapHead
    from semcomp.bitstream.lossless_note import LosslessNote
    from semcomp.bitstream.origin import Origin
    from semcomp.bitstream.tags import Tag

MAX_PREVIEW = 4096
"""Bytes of the longest thumbnail that a file may hold."""


@dataclass(frozen=True)
class ChunkInfo:
    """One chunk of a file."""

    kind: str
    """"SYMBOLS", "ICC" and so on, or "chunk 77" for one that this version does not know."""
    bytes: int
    """Length of its body."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """A file's header and chunk table, checked."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    mode: str
    """"RGB" or "L". Alpha is in `has_alpha`."""
    quality: int
    """1..100."""
    bytes: int
    """Size of the whole file."""
    bpp: float
    """Bits of the whole file per pixel."""
    format_version: int
    """Version of the container."""
    flags: int
    """Bit 0: part of the decoded picture may be synthesised."""
    entropy_id: str
    """Hex: names the tables and the integer path that read the symbols."""
    model_id: str
    """Hex: names the weights that the file was made for."""
    chunks: tuple[ChunkInfo, ...]
    """In the order of the file."""
    has_alpha: bool
    """Whether transparency is kept."""
    has_icc: bool
    """Whether a colour profile is kept."""
    has_exif: bool
    """Whether EXIF is kept."""
    has_xmp: bool
    """Whether XMP is kept."""
    color_space: str
    """Name of the stored ICC profile, "sRGB" if there is none."""
    labels: tuple[Tag, ...]
    """What the picture shows, with scores. Empty where nothing is stored."""
    labels_source: str | None
    """Name of the head that gave the labels, "" for a person, None where there are no labels."""
    labels_are_areas: bool
    """Whether the scores of the labels are shares of the image's area."""
    label_map: LabelMapHead | None
    """Cell size, classes and source of the stored label map."""
    synthesised: Origin | None
    """What of the decoded picture is real and what is synthesised. None where all of it is real."""
    embedding: str | None
    """Name of what made the stored embedding. None where there is none."""
    preview: str | None
    """The stored thumbnail as text for `semcomp.thumb_image`. None where there is none."""
    lossless: LosslessNote | None
    """How the exact pixels are coded. None where the file holds none."""
    lost: tuple[str, ...]
    """Damaged optional chunks, each with the reason. Decoding leaves them out."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with keys in the order of the fields."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # tuples become lists
        return values


def info(source: SemcSource, *, max_pixels: int = MAX_PIXELS) -> Info:
    """Check a `.semc` file and describe what is in it. Nothing is decoded.

    Args:
        source: A path, the bytes of a file, or a binary stream.
        max_pixels: Largest picture that is accepted, width x height.

    Returns:
        Header, chunks and semantics of the file.

    Raises:
        FormatError: The file is damaged, truncated or not a `.semc` file, or its picture is too large.
        FileError: The file cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.

    Example:
        >>> import semcomp
        >>> facts = semcomp.info("tests/golden/ramp.semc")
        >>> facts.width, facts.height, facts.mode
        (50, 40, 'L')
    """
    data = read_source(source)
    container = read(data, max_pixels=max_pixels)
    header, table = read_header(data, max_pixels=max_pixels)
    lost = [f"{entry.name}: {entry.reason}" for entry in container.lost]
    labels_source, labels, areas = _read(container, ChunkKind.TAGS, _labels, lost) or (None, (), False)
    return Info(
        width=header.width,
        height=header.height,
        mode=header.mode.name,
        quality=header.quality,
        bytes=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        format_version=VERSION,
        flags=header.flags,
        entropy_id=header.entropy_id.hex(),
        model_id=header.model_id.hex(),
        chunks=tuple(ChunkInfo(entry.name, entry.length) for entry in table),
        has_alpha=container.get(ChunkKind.ALPHA) is not None,
        has_icc=container.get(ChunkKind.ICC) is not None,
        has_exif=container.get(ChunkKind.EXIF) is not None,
        has_xmp=container.get(ChunkKind.XMP) is not None,
        color_space=_read(container, ChunkKind.ICC, _profile_name, lost) or "sRGB",
        labels=labels,
        labels_source=labels_source,
        labels_are_areas=areas,
        label_map=_read(container, ChunkKind.LABEL_MAP, _label_map_head, lost),
        synthesised=_origin(container),
        embedding=_read(container, ChunkKind.EMBEDDING, _embedding_source, lost),
        preview=_read(container, ChunkKind.PREVIEW, _preview_text, lost),
        lossless=_read(container, ChunkKind.LOSSLESS, _lossless_note, lost),
        lost=tuple(lost),
    )


def _preview_text(body: bytes) -> str:
    """The text form of a thumbnail's code, as semcomp.thumbs.text writes it."""
    import base64

    if len(body) > MAX_PREVIEW:
        raise FormatError(f"it holds {len(body):,} bytes, at most {MAX_PREVIEW:,} fit; encode the picture again")
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _read(container: Container, kind: ChunkKind, unpack: Callable[[bytes], Any], lost: list[str]) -> Any:
    """Unpack a chunk. None where it is absent or malformed; a malformed one is added to `lost`."""
    body = container.get(kind)
    if body is None:
        return None
    try:
        return unpack(body)
    except FormatError as error:
        lost.append(f"{kind.name}: {error}")
        return None


# The readers of bodies are imported when a file has the chunk: most files have none, and `semcomp info` answers sooner.


def _labels(body: bytes) -> tuple[str, tuple[Tag, ...], bool]:
    from semcomp.bitstream.tags import are_areas, unpack_tags

    return (*unpack_tags(body), are_areas(body))


def _label_map_head(body: bytes) -> LabelMapHead:
    from semcomp.bitstream.label_map_header import read_head

    return read_head(body)


def _embedding_source(body: bytes) -> str:
    from semcomp.bitstream.fields import check_version, unpack_string

    check_version(body, 1, "the embedding")
    return unpack_string(body, offset=1)[0]


def _lossless_note(body: bytes) -> LosslessNote:
    from semcomp.bitstream.lossless_note import read_note

    return read_note(body)


def _profile_name(body: bytes) -> str:
    from semcomp.bitstream.profile_name import profile_name

    return profile_name(body)


def _origin(container: Container) -> Origin | None:
    if container.get(ChunkKind.GENERATOR) is None and container.get(ChunkKind.REGIONS) is None:
        return None
    from semcomp.bitstream.origin import read_origin

    return read_origin(container)
