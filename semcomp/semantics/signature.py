"""Signatures that near-duplicates share, made from z alone: neither y nor a pixel is decoded.

    z ── mean over 3x3 fields ──► less its mean, by its spread ──► projection (Z, K) ──► int8 (9 K,)

The projection keeps what differs between photos and drops what JPEG, resizing and cropping change. It is fitted in
closed form for the codec whose z it reads (python -m heads.signature). A signature holds such a vector for the whole
image and for nine crops of it. Two images are compared by the cosine of their whole vectors, and by the cosines between
one whole vector and the crops of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.types import STRIDE_Z
from semcomp.weights.safetensors_reader import read_file

FORMAT = "semcomp-signature-1"
FIELDS = 3
"""Fields a side."""
Window = tuple[float, float, float, float]
"""Left, top, right and bottom as shares of the sides."""
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
CROP = 0.8
"""Share of the sides that a crop has."""
_STARTS = (0.0, (1 - CROP) / 2, 1 - CROP)
WINDOWS: tuple[Window, ...] = (WHOLE, *((x, y, x + CROP, y + CROP) for y in _STARTS for x in _STARTS))
"""What the rows of a signature see."""
CROP_MARGIN = 0.05
"""How much higher the cosine with a crop has to be, because the best of eighteen is high by chance more often than one.
`python -m benchmarks.search` counts the pairs of different photos that are taken for copies."""
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
        """Make the signature of z (Z, a, b): int8 (W, 9 K), a row for each of `WINDOWS`."""
        seen = (fields_of(z, width=width, height=height, window=window) for window in WINDOWS)
        return np.stack([quantized(np.einsum("zrc,zk->krc", fields, self.projection).ravel()) for fields in seen])


def best_cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compare signatures.

    Args:
        one: Signatures whose rows have length 1, (N, W, D).
        other: Others, (M, W, D).

    Returns:
        The highest cosine of each two, (N, M). A cosine with a crop counts `CROP_MARGIN` less.
    """
    best: NDArray[np.float32] = one[:, 0] @ other[:, 0].T
    for crop in range(1, len(WINDOWS)):
        np.maximum(best, one[:, crop] @ other[:, 0].T - np.float32(CROP_MARGIN), out=best)
        np.maximum(best, one[:, 0] @ other[:, crop].T - np.float32(CROP_MARGIN), out=best)
    return best


def unit_rows(signatures: NDArray[np.int8]) -> NDArray[np.float32]:
    """Give each row of signatures (..., W, D) the length 1."""
    rows = signatures.astype(np.float32)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True).clip(1e-9)
    return rows


def fields_of(z: NDArray[np.int16], *, width: int, height: int, window: Window = WHOLE) -> NDArray[np.float32]:
    """Average z (Z, a, b) over 3x3 fields of a window, and leave only how each channel differs among them.

    Args:
        z: The symbols of z.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        window: The part of the image that is looked at.

    Returns:
        float32 (Z, 3, 3).
    """
    left, top, right, bottom = window
    shares = _shares(height, top, bottom), _shares(width, left, right)
    fields = np.einsum("zab,ra,cb->zrc", z.astype(np.float32), *shares, optimize=True)
    fields -= fields.mean((1, 2), keepdims=True)
    result: NDArray[np.float32] = fields / (np.sqrt((fields**2).mean((1, 2), keepdims=True)) + 0.5)
    return result


def _shares(side: int, start: float, end: float) -> NDArray[np.float32]:
    """Share of each position of z in each third of a part of a side: float32 (3, positions), rows sum to 1."""
    starts = np.arange(-(-side // STRIDE_Z)) * STRIDE_Z
    edges = np.linspace(start * side, end * side, FIELDS + 1)
    ends = np.minimum(starts + STRIDE_Z, side)
    inside = np.minimum(ends, edges[1:, None]) - np.maximum(starts, edges[:-1, None])
    shares: NDArray[np.float32] = (np.maximum(inside, 0) * FIELDS / ((end - start) * side)).astype(np.float32)
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
        tensors, metadata = read_file(path, form=FORMAT)
        return Signature(
            projection=tensors["projection"].astype(np.float32),
            threshold=float(metadata["threshold"]),
            entropy_id=bytes.fromhex(metadata["entropy_id"]),
            origin=metadata["origin"],
        )
    except (ModelError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} holds no signature ({error}); fit it with python -m heads.signature") from error
