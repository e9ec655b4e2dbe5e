"""Signatures that near-duplicates share, made from z alone: neither y nor a pixel is decoded.

    z ── mean over 3x3 fields ──► less its mean, by its spread ──► projection (Z, K) ──► int8 (9 K,)

The projection keeps what differs between photos and drops what JPEG, resizing and cropping change. It is fitted in
closed form for the codec whose z it reads (python -m heads.signature). Two signatures are compared by their cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.types import STRIDE_Z
from semcomp.weights.safetensors_reader import parse_metadata, parse_tensors

FORMAT = "semcomp-signature-1"
FIELDS = 3
"""Fields a side."""
RELEASED = Path(__file__).parents[1] / "weights" / "signature.safetensors"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What makes signatures of the z of one codec."""

    projection: NDArray[np.float32]
    """(Z, K)"""
    threshold: float
    """Least cosine of two near-duplicates."""
    entropy_id: bytes
    """8 bytes: the codec whose z it reads."""
    origin: str = ""
    """Data and figures, in words."""

    def of(self, z: NDArray[np.int16], *, width: int, height: int) -> NDArray[np.int8]:
        """Make the signature of z (Z, a, b): int8 (9 K,)."""
        return quantized(np.einsum("zrc,zk->krc", fields_of(z, width=width, height=height), self.projection).ravel())


def fields_of(z: NDArray[np.int16], *, width: int, height: int) -> NDArray[np.float32]:
    """Average z (Z, a, b) over 3x3 fields of the image, and leave only how each channel differs among them.

    Args:
        z: The symbols of z.
        width: Width of the image in pixels.
        height: Height of the image in pixels.

    Returns:
        float32 (Z, 3, 3).
    """
    fields = np.einsum("zab,ra,cb->zrc", z.astype(np.float32), _shares(height), _shares(width), optimize=True)
    fields -= fields.mean((1, 2), keepdims=True)
    result: NDArray[np.float32] = fields / (np.sqrt((fields**2).mean((1, 2), keepdims=True)) + 0.5)
    return result


def _shares(side: int) -> NDArray[np.float32]:
    """Share of each position of z in each third of a side of the image: float32 (3, positions), rows sum to 1."""
    starts = np.arange(-(-side // STRIDE_Z)) * STRIDE_Z
    edges = np.linspace(0, side, FIELDS + 1)
    ends = np.minimum(starts + STRIDE_Z, side)
    inside = np.minimum(ends, edges[1:, None]) - np.maximum(starts, edges[:-1, None])
    shares: NDArray[np.float32] = (np.maximum(inside, 0) * FIELDS / side).astype(np.float32)
    return shares


def quantized(vector: NDArray[np.floating[Any]]) -> NDArray[np.int8]:
    """Round a vector to int8 so that its largest value becomes 127 or -127. Its length is lost.

    Example:
        >>> quantized(np.array([0.5, -1.0, 0.0])).tolist()
        [64, -127, 0]
    """
    largest = float(np.abs(vector).max(initial=0.0))
    rounded: NDArray[np.int8] = np.rint(vector * (127 / largest) if largest else 0 * vector).astype(np.int8)
    return rounded


def load_signature(path: str | Path = RELEASED) -> Signature:
    """Read a file of `python -m heads.signature`. ModelError where it is missing or damaged."""
    try:
        data = Path(path).read_bytes()
        tensors, metadata = parse_tensors(data, name=path), parse_metadata(data, name=path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is {metadata.get('format')}, not {FORMAT}")
        return Signature(
            projection=tensors["projection"].astype(np.float32),
            threshold=float(metadata["threshold"]),
            entropy_id=bytes.fromhex(metadata["entropy_id"]),
            origin=metadata["origin"],
        )
    except (ModelError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} holds no signature ({error}); fit it with python -m heads.signature") from error
