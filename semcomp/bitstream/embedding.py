"""Embeddings: a vector that is near the vectors of similar images, the body of an EMBEDDING chunk.

FORMAT_PAYLOADS.md specifies it. Only the standard library is needed.
"""

from __future__ import annotations

from typing import NamedTuple

from semcomp.bitstream.fields import check_version, pack_string, pack_varint, unpack_string, unpack_varint
from semcomp.errors import FormatError

VERSION = 1
MAX_VALUES = 4096
_COPY_AGAIN = "copy the file again"


class StoredEmbedding(NamedTuple):
    """The body of an EMBEDDING chunk."""

    source: str
    """Name of what made it"""
    values: bytes
    """One int8 for each value; only the direction of the vector means something"""


def pack_embedding(embedding: StoredEmbedding) -> bytes:
    """Write the body of an EMBEDDING chunk. ValueError for a length that is not 1 to MAX_VALUES."""
    if not 1 <= len(embedding.values) <= MAX_VALUES:
        raise ValueError(f"an embedding has 1 to {MAX_VALUES} values, not {len(embedding.values)}")
    head = bytes([VERSION]) + pack_string(embedding.source) + pack_varint(len(embedding.values))
    return head + embedding.values


def unpack_embedding(data: bytes) -> StoredEmbedding:
    """Read the body of an EMBEDDING chunk. FormatError for one that `pack_embedding` never writes.

    Example:
        >>> unpack_embedding(pack_embedding(StoredEmbedding("embed", bytes([1, 255]))))
        StoredEmbedding(source='embed', values=b'\\x01\\xff')
    """
    check_version(data, VERSION, "the embedding")
    source, offset = unpack_string(data, offset=1)
    count, offset = unpack_varint(data, offset=offset)
    if not 1 <= count <= MAX_VALUES:
        raise FormatError(f"the body claims {count} values, 1 to {MAX_VALUES} are allowed; {_COPY_AGAIN}")
    if len(data) - offset != count:
        raise FormatError(f"the body claims {count} values and holds {len(data) - offset}; {_COPY_AGAIN}")
    return StoredEmbedding(source, bytes(data[offset:]))
