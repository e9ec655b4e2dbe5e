"""The body of the GENERATOR chunk: which generator a file was made for."""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.fields import check_version, pack_string, pack_varint, unpack_string, unpack_varint
from semcomp.bitstream.regions import _COPY_AGAIN, _GUIDED, ID_BYTES, VERSION
from semcomp.errors import FormatError


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
