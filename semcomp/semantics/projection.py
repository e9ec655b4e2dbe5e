"""What makes an embedding of a head's features: a few values that are alike for photos that show the like.

    features (C,) ──► matrix (D, C), shift (D,) ──► (D,)

The rows of the matrix are the principal components of the features of many photos, fitted in closed form to a codec and
a head (python -m heads.embedding). The head runs as it is, so labels and embeddings come from one network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.semantics.embedding import Embedding
from semcomp.semantics.head import EMBED, Head, load_head
from semcomp.types import Latents
from semcomp.weights.safetensors_reader import read_file

FORMAT = "semcomp-embedding-1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """A matrix for the features of one head."""

    weight: NDArray[np.float32]
    """(D, C)"""
    bias: NDArray[np.float32]
    """(D,)"""
    name: str
    """Name of the embeddings. Only embeddings of one name can be compared."""
    head: str
    """Name of the head whose features it reads."""
    entropy_id: bytes
    """8 bytes: the codec whose latents that head reads."""
    origin: str = ""
    """Data and figures, in words."""

    def of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project features (C,): (D,)."""
        projected: NDArray[np.float32] = self.weight @ features + self.bias
        return projected


class ProjectedHead(Head):
    """A head that gives embeddings and nothing else: a projection of another head's features."""

    task = "embed"

    def __init__(self, projection: Projection, trunk: Head):
        self.projection, self.trunk = projection, trunk
        self.name, self.classes, self.origin = projection.name, (), projection.origin
        self.entropy_id, self.halved_from = projection.entropy_id, trunk.halved_from

    def __call__(self, latents: Latents) -> Embedding:  # type: ignore[override]  # `load_head` gives no such head
        """Embed an image. ModelError for latents of another codec."""
        self.check(latents)
        return Embedding.of(self.features(self.seen(latents)), head=self.name)

    def features(self, latents: Latents) -> NDArray[np.float32]:
        return self.projection.of(self.trunk.features(latents))

    def seen(self, latents: Latents) -> Latents:
        return self.trunk.seen(latents)


def read_projection(path: str | Path) -> Projection:
    """Read a file of `python -m heads.embedding`. ModelError where it is missing or damaged."""
    try:
        tensors, metadata = read_file(path, form=FORMAT)
        weight, bias = (tensors[name].astype(np.float32) for name in ("weight", "bias"))
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ValueError(f"its matrix is {weight.shape}, its shift {bias.shape}")
        return Projection(
            weight=weight,
            bias=bias,
            name=metadata["name"],
            head=metadata["head"],
            entropy_id=bytes.fromhex(metadata["entropy_id"]),
            origin=metadata["origin"],
        )
    except (ModelError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} embeds nothing ({error}); fit it with python -m heads.embedding") from error


def read_projected(path: str | Path) -> ProjectedHead:
    """Read a projection, and load the head whose features it reads. ModelError where either is missing."""
    projection = read_projection(path)
    return ProjectedHead(projection, load_head(projection.head))


def released() -> Projection | None:
    """Return what comes with semcomp. None where nothing does."""
    return read_projection(EMBED) if EMBED.is_file() else None
