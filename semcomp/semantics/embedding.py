"""Embeddings of images: a head's features, or what is pooled of the latents, by which similar images are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.embedding import StoredEmbedding
from semcomp.semantics.signature import quantized
from semcomp.types import Latents

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

    @classmethod
    def from_stored(cls, stored: StoredEmbedding) -> Embedding:
        """Take the body of a chunk."""
        return cls(vector=np.frombuffer(stored.values, np.int8), head=stored.source)

    def to_stored(self) -> StoredEmbedding:
        """Give the body of a chunk."""
        return StoredEmbedding(self.head, self.vector.tobytes())


def pooled(latents: Latents) -> NDArray[np.float32]:
    """Describe latents by the mean and the standard deviation of each channel: float32 (2 M,)."""
    y = latents.y_hat[0]
    values = np.asarray(y.cpu() if hasattr(y, "cpu") else y, np.float32).reshape(y.shape[0], -1)
    vector: NDArray[np.float32] = np.concatenate([values.mean(1), values.std(1)])
    return vector
