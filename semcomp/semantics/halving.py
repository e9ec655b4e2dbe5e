"""Latents of a picture -> latents of the picture at half its size, without a pixel.

    y_hat (1, M, h, w) ──► 2x2 convolution of stride 2 ──► (1, M, h/2, w/2)

Analysis and synthesis of the codec are nearly linear in what large structures look like, and halving a picture is
linear. So one matrix of four positions comes near to what the analysis would make of the smaller picture. It is found
by least squares for the codec whose latents it reads (python -m heads.halving). Heads know pictures of some hundred
pixels a side: what is larger they read halved, as often as needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.weights.safetensors_reader import parse_metadata, parse_tensors

FORMAT = "semcomp-halving-1"
RELEASED = Path(__file__).parents[1] / "weights" / "halving.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Halving:
    """What halves latents of one codec."""

    weight: NDArray[np.float32]
    """(M, M, 2, 2), the weight of a convolution."""
    bias: NDArray[np.float32]
    """(M,)"""
    entropy_id: bytes
    """8 bytes: the codec whose latents it reads."""
    origin: str = ""
    """Data and figures, in words."""


def load_halving(path: str | Path = RELEASED) -> Halving:
    """Read a file of `python -m heads.halving`. ModelError where it is missing or damaged."""
    try:
        data = Path(path).read_bytes()
        tensors, metadata = parse_tensors(data, name=path), parse_metadata(data, name=path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is {metadata.get('format')}, not {FORMAT}")
        return Halving(
            weight=tensors["weight"].astype(np.float32),
            bias=tensors["bias"].astype(np.float32),
            entropy_id=bytes.fromhex(metadata["entropy_id"]),
            origin=metadata["origin"],
        )
    except (ModelError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} halves no latents ({error}); fit it with python -m heads.halving") from error


@lru_cache(maxsize=1)
def released() -> Halving | None:
    """Return what comes with semcomp. None where nothing does."""
    return load_halving(RELEASED) if RELEASED.is_file() else None
