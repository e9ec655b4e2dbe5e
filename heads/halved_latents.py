"""Latents of a picture at half its size, in torch (semcomp/semantics/halving.py says how)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.semantics.halving import Halving, halved_down, halved_with, released_for
from semcomp.types import Latents

LEAST = 64
"""Least value of halved_from. Smaller pictures show nothing."""


def check_halved_from(value: int | None) -> None:
    """ValueError where a head would halve latents of pictures that show nothing any more."""
    if value is not None and value < LEAST:
        raise ValueError(f"halved_from is {LEAST} pixels or more, or null, not {value}")


def halved(latents: Latents[Tensor], halving: Halving) -> Latents[Tensor]:
    """Make the latents of the picture at half its size. An odd side is as if its last position were there twice."""
    return halved_with(latents, partial(_half, halving))


def seen_from(latents: Latents[Tensor], least: int | None) -> Latents[Tensor]:
    """Halve latents as long as the picture's shorter side has `least` pixels. None, or no fit that comes with semcomp
    for this codec, leaves them as they are."""
    halving = released_for(latents.entropy_id)
    return halved_down(latents, least, None if halving is None else partial(_half, halving))


def _half(halving: Halving, y_hat: Tensor) -> Tensor:
    weight, bias = (torch.from_numpy(value).to(y_hat.device) for value in (halving.weight, halving.bias))
    return F.conv2d(F.pad(y_hat, (0, 1, 0, 1), mode="replicate"), weight, bias, stride=2)
