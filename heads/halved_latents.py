"""Latents of a picture at half its size, in torch (semcomp/semantics/halving.py says how)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.semantics.halving import Halving, released
from semcomp.types import Latents

LEAST = 64
"""Least value of halved_from. Smaller pictures show nothing."""


def check_halved_from(value: int | None) -> None:
    """ValueError where a head would halve latents of pictures that show nothing any more."""
    if value is not None and value < LEAST:
        raise ValueError(f"halved_from is {LEAST} pixels or more, or null, not {value}")


def halved(latents: Latents[Tensor], halving: Halving) -> Latents[Tensor]:
    """Make the latents of the picture at half its size. An odd side is as if its last position were there twice."""
    weight, bias = (torch.from_numpy(value).to(latents.y_hat.device) for value in (halving.weight, halving.bias))
    y_hat = F.conv2d(F.pad(latents.y_hat, (0, 1, 0, 1), mode="replicate"), weight, bias, stride=2)
    width, height = -(-latents.width // 2), -(-latents.height // 2)
    return replace(latents, y_hat=y_hat, width=width, height=height, keep=None)


def halved_down(latents: Latents[Tensor], least: int | None) -> Latents[Tensor]:
    """Halve latents as long as the picture's shorter side has `least` pixels. None, or no fit that comes with semcomp
    for this codec, leaves them as they are."""
    halving = released()
    if halving is not None and halving.entropy_id == latents.entropy_id:
        while least and min(latents.height, latents.width) >= least:
            latents = halved(latents, halving)
    return latents
