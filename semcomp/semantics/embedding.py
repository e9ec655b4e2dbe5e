"""Embeddings of images: a head's features, or what is pooled of the latents, by which similar images are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.fields import check_version, pack_string, pack_varint, unpack_string, unpack_varint
from semcomp.errors import FormatError
from semcomp.semantics.signature import quantized
from semcomp.types import Latents

VERSION = 1
MAX_VALUES = 4096
_COPY_AGAIN = "copy the file again"
POOLED = "latents"
"""Name of the embedding that needs no head: mean and standard deviation of each channel of the latents."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """A vector whose direction says what an image shows."""

    vector: NDArray[np.int8]
    """(D,)"""
    head: str
    """Name of the head whose features it holds, or POOLED."""

    @classmethod
    def of(cls, vector: NDArray[np.floating[Any]], *, head: str) -> Embedding:
        """Round a vector to int8."""
        return cls(vector=quantized(vector), head=head)


def pack_embedding(embedding: Embedding) -> bytes:
    """Write the body of an EMBEDDING chunk, see FORMAT_PAYLOADS.md. ValueError for a length that does not fit."""
    values = embedding.vector.tobytes()
    if not 1 <= len(values) <= MAX_VALUES:
        raise ValueError(f"an embedding has 1 to {MAX_VALUES} values, not {len(values)}")
    return bytes([VERSION]) + pack_string(embedding.head) + pack_varint(len(values)) + values


def unpack_embedding(data: bytes) -> Embedding:
    """Read the body of an EMBEDDING chunk. FormatError for one that `pack_embedding` never writes.

    Example:
        >>> unpack_embedding(pack_embedding(Embedding.of(np.array([0.5, -1]), head="embed"))).vector.tolist()
        [64, -127]
    """
    check_version(data, VERSION, "the embedding")
    source, offset = unpack_string(data, offset=1)
    count, offset = unpack_varint(data, offset=offset)
    if not 1 <= count <= MAX_VALUES:
        raise FormatError(f"the body claims {count} values, 1 to {MAX_VALUES} are allowed; {_COPY_AGAIN}")
    if len(data) - offset != count:
        raise FormatError(f"the body claims {count} values and holds {len(data) - offset}; {_COPY_AGAIN}")
    return Embedding(vector=np.frombuffer(data, np.int8, offset=offset), head=source)


def pooled(latents: Latents) -> NDArray[np.float32]:
    """Describe latents by the mean and the standard deviation of each channel: float32 (2 M,)."""
    y = latents.y_hat[0]
    values = np.asarray(y.cpu() if hasattr(y, "cpu") else y, np.float32).reshape(y.shape[0], -1)
    vector: NDArray[np.float32] = np.concatenate([values.mean(1), values.std(1)])
    return vector
