"""Tags: labels with scores, the body of a TAGS chunk. FORMAT_PAYLOADS.md specifies it.

Only the standard library is needed, so that `semcomp info` can print them. Every optional chunk
has such strings: short UTF-8 without control characters, so that printing one cannot drive a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semcomp.bitstream.fields import check_version, pack_string, pack_varint, unpack_string, unpack_varint
from semcomp.errors import FormatError

VERSION = 1
"""Version of tags whose scores are probabilities, or what a person said."""
VERSION_OF_AREAS = 2
"""Version of tags whose scores are shares of the image's area."""
MAX_TAGS = 256
_SCORE_ONE = 65535
_COPY_AGAIN = "copy the file again"
_WRITE_AGAIN = "write the tags again"


@dataclass(frozen=True)
class Tag:
    """One label of an image. ``ValueError`` for an empty name and for a score outside 0..1."""

    name: str
    """1..200 bytes of UTF-8."""
    score: float
    """0..1; kept in steps of 1/65535."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a tag has no name")
        if not 0 <= self.score <= 1:  # false for NaN too
            raise ValueError(f"the score of tag {self.name!r} is {self.score}, expected 0..1")


def pack_tags(tags: Sequence[Tag], *, source: str = "", areas: bool = False) -> bytes:
    """Write the body of a TAGS chunk.

    ``source`` names the head that made the tags, "" is for a user's own; ``areas`` says that the scores are shares of
    the image's area. ``ValueError`` for more than 256 tags, a name that is given twice, and a string that is too long
    or holds a control character.
    """
    if len(tags) > MAX_TAGS:
        raise ValueError(f"{len(tags)} tags, at most {MAX_TAGS} fit into a file")
    if twice := _first_twice([tag.name for tag in tags]):
        raise ValueError(f"the tag {twice!r} is given twice")
    parts = [bytes([VERSION_OF_AREAS if areas else VERSION]), pack_string(source), pack_varint(len(tags))]
    for tag in tags:
        parts += [pack_string(tag.name), round(tag.score * _SCORE_ONE).to_bytes(2, "little")]
    return b"".join(parts)


def unpack_tags(data: bytes) -> tuple[str, tuple[Tag, ...]]:
    """Read ``(source, tags)`` from the body of a TAGS chunk. FormatError for one that :func:`pack_tags` never writes.

    >>> unpack_tags(pack_tags([Tag("dog", 1.0)], source="linear"))
    ('linear', (Tag(name='dog', score=1.0),))
    """
    check_version(data, (VERSION, VERSION_OF_AREAS), "the tags")
    source, offset = unpack_string(data, offset=1)
    count, offset = unpack_varint(data, offset=offset)
    if count > MAX_TAGS:
        raise FormatError(f"the body claims {count} tags, at most {MAX_TAGS} are allowed; {_COPY_AGAIN}")
    tags = []
    for number in range(count):
        start = offset
        name, offset = unpack_string(data, offset=start)
        if not name:
            raise FormatError(f"tag {number} (byte {start}) has no name; {_WRITE_AGAIN}")
        if offset + 2 > len(data):
            raise FormatError(f"the tags are cut off at byte {len(data)}, in a score; {_COPY_AGAIN}")
        tags.append(Tag(name, int.from_bytes(data[offset : offset + 2], "little") / _SCORE_ONE))
        offset += 2
    if offset != len(data):
        raise FormatError(f"{len(data) - offset} bytes follow the tags, which end at byte {offset}; {_COPY_AGAIN}")
    if twice := _first_twice([tag.name for tag in tags]):
        raise FormatError(f"the tag {twice!r} is given twice; {_WRITE_AGAIN}")
    return source, tuple(tags)


def are_areas(data: bytes) -> bool:
    """Whether the scores of a TAGS chunk's body are shares of the image's area."""
    return data[:1] == bytes([VERSION_OF_AREAS])


def _first_twice(names: list[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]
