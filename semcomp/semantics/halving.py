"""Latents of a picture -> latents of the picture at half its size, without a pixel.

    y_hat (1, M, h, w) ──► 2x2 convolution of stride 2 ──► (1, M, h/2, w/2)

Analysis and synthesis of the codec are nearly linear in what large structures look like, and halving a picture is
linear. So one matrix of four positions comes near to what the analysis would make of the smaller picture. It is found
by least squares for the codec whose latents it reads (python -m heads.halving). Heads know pictures of some hundred
pixels a side: what is larger they read halved, as often as needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.types import Latents
from semcomp.weights.safetensors_reader import read_file

FORMAT = "semcomp-halving-1"
A = TypeVar("A")
"""A tensor of torch, or an array"""
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
        tensors, metadata = read_file(path, form=FORMAT)
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


def released_for(entropy_id: bytes) -> Halving | None:
    """Return what comes with semcomp for the latents of a codec. None where nothing does."""
    halving = released()
    return halving if halving is not None and halving.entropy_id == entropy_id else None


def halved_with(latents: Latents[A], half: Callable[[A], A]) -> Latents[A]:
    """Make the latents of the picture at half its size; `half` halves y_hat. Odd sides are rounded up."""
    width, height = -(-latents.width // 2), -(-latents.height // 2)
    return replace(latents, y_hat=half(latents.y_hat), width=width, height=height, keep=None)


def halved_down(latents: Latents[A], least: int | None, half: Callable[[A], A] | None) -> Latents[A]:
    """Halve latents as long as the picture's shorter side has `least` pixels. None for either leaves them alone."""
    while least and half and min(latents.height, latents.width) >= least:
        latents = halved_with(latents, half)
    return latents
