"""Training crops as they are seen at one step: mirrored, and some of them enlarged or reduced, and moved."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MOVED = 1 / 16
"""Largest move of a crop that keeps its size, in sides; one that changes it may move as far as it then can."""
_WHOLE = torch.eye(2, 3)


def draw(count: int, rescale: float, rng: np.random.Generator) -> Tensor:
    """Where the places of what is seen lie in each crop, float32 (B, 2, 3), for `warped`.

    Half of the crops are mirrored, left to right. With `rescale` above 1, half are also enlarged or reduced by up to
    that factor, and moved.
    """
    mirrored = rng.random(count) < 0.5
    size = np.exp(rng.uniform(-1, 1, count) * math.log(rescale))
    moves = rng.uniform(-1, 1, (count, 2)) * (np.abs(1 - size) + 2 * MOVED)[:, None]
    changed = (rng.random(count) < 0.5) & (rescale > 1)
    size, moves = np.where(changed, size, 1), np.where(changed[:, None], moves, 0)
    places = np.zeros((count, 2, 3), np.float32)
    places[:, 0, 0], places[:, 1, 1], places[:, :, 2] = np.where(mirrored, -size, size), size, moves
    return torch.from_numpy(places)


def warped(value: Tensor, places: Tensor, *, nearest: bool = False) -> Tensor:
    """What is seen of crops (B, C, H, W); beyond its border a crop is reflected. Pixels between others are
    interpolated, or with `nearest` taken over.
    """
    mirrored, moved = places[:, 0, 0] < 0, (places.abs() != _WHOLE).flatten(1).any(1)
    seen = torch.where(mirrored[:, None, None, None], value.flip(3), value)
    if bool(moved.any()):
        crops, mode = value[moved].float(), "nearest" if nearest else "bilinear"
        grid = F.affine_grid(places[moved], list(crops.shape), align_corners=False)
        changed = F.grid_sample(crops, grid, mode, padding_mode="reflection", align_corners=False)
        seen[moved] = changed.to(value.dtype)
    return seen
