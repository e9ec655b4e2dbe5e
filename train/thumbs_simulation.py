"""Walks many thumbnails together, as semcomp.thumbs.walk does with one, and computes the constants of the walk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.thumbs.context import TOP
from semcomp.thumbs.transform import COLOUR, DCT
from semcomp.thumbs.walk import HOPELESS

Scales = Callable[[NDArray[Any], NDArray[Any], int], NDArray[Any]]
"""(high, middle, plane) -> scales, as semcomp.thumbs.context.scales gives them."""
Chances = Callable[[NDArray[Any], NDArray[Any], int], NDArray[Any]]
"""(scale, high, plane) -> probability that the plane is reached."""


def weights_of(*, chroma: float, lowest: float, alpha: float) -> NDArray[Any]:
    """Weight of every coefficient, float64 (4, 32, 32).

    Luma's follow the window of structural similarity (sigma 1.5 pixels), which hardly sees the lowest frequencies.
    """
    square = (np.arange(32)[:, None] ** 2 + np.arange(32)[None] ** 2) / 64**2
    luma = np.sqrt(1 - lowest * np.exp(-4 * np.pi**2 * 1.5**2 * square))
    flat = (np.full((32, 32), value) for value in (chroma, chroma, alpha))
    return np.asarray(np.round(np.stack([luma, *flat]), 4))


def coefficients(pixels: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """int32 (N, C, 32, 32) of uint8 (N, 32, 32, 3) or alpha planes (N, 32, 32)."""
    planes = pixels.astype(np.float64) - 128
    planes = np.moveaxis(planes @ COLOUR.T, -1, 1) if pixels.ndim == 4 else planes[:, None]
    scale = weights[:3] if pixels.ndim == 4 else weights[3:]
    return np.asarray(np.rint(DCT @ planes @ DCT.T * scale), np.int32)


def constants(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Prior and look-up tables, of mean magnitudes (4, 32, 32)."""
    prior = np.clip(np.rint(16 * np.log2(means + 1e-9)), -32, 191).astype(np.int64)
    x = np.exp2((np.arange(512) - 64) / 16)
    bound = np.rint(16 * np.clip(1 - x * np.exp(-x) / -np.expm1(-x), 0, 1)).astype(np.int64)
    inverse = np.rint(2**19 / np.exp2((np.arange(320) - 64) / 16)).astype(np.int64)
    compand = np.rint(16 * np.log2(1 + np.arange(256) / 4)).astype(np.int64)
    return {"prior": prior, "bound": bound, "inverse": inverse, "compand": compand}


def zones_of(prior: NDArray[Any]) -> NDArray[Any]:
    """Side of the zone on each plane, a multiple of 4: beyond it no coefficient has a prior near the plane."""
    sides = []
    for plane in range(TOP):
        near = (prior[:3] >= 16 * plane - 40).any(0)
        reach = max(np.flatnonzero(near.any(0)).max(initial=3), np.flatnonzero(near.any(1)).max(initial=3)) + 1
        sides.append(32 if plane == 0 else max(8, int(-(-reach // 4) * 4)))
    return np.array(sides)


@dataclass(kw_only=True)
class Visit:
    """One pass over a batch: what was asked, and what is known before and after."""

    plane: int
    asked: NDArray[Any]
    reached: NDArray[Any]
    high: NDArray[Any]
    middle: NDArray[Any]
    scale: NDArray[Any]
    refined: NDArray[Any] | None
    known: NDArray[Any]
    magnitude: NDArray[Any]


def simulate(
    values: NDArray[Any],
    prior: NDArray[Any],
    zones: NDArray[Any],
    scales: Scales,
    chances: Chances,
    lowest: int,
    limits: tuple[float, float],
) -> Iterator[Visit]:
    """Walk all thumbnails of a batch together, as semcomp.thumbs.walk does with one."""
    magnitude = np.abs(values)
    high, low, width = np.full(values.shape, TOP), np.zeros_like(values), np.zeros_like(values)
    for plane in range(TOP - 1, lowest - 1, -1):
        cut = np.s_[:, :, : zones[plane], : zones[plane]]
        size = magnitude[cut]
        before = low[cut] > 0
        visited = before.copy()
        for number, limit in enumerate(limits):
            bound, middle = high[cut].copy(), 2 * low[cut] + width[cut]
            scale = scales(bound, middle, plane)
            limit = limit if plane or not number else 0.0
            near = (prior[: values.shape[1]][cut[1:]] >= 16 * plane - HOPELESS) | (plane == 0)
            asked = ~visited & near & (bound > plane) & (chances(scale, bound, plane) >= limit)
            reached = asked & (size >= 1 << plane)
            refined = before & (width[cut] > 1 << plane) if number == 0 else None
            known = low[cut].copy()
            yield Visit(
                plane=plane,
                asked=asked,
                reached=reached,
                high=bound,
                middle=middle,
                scale=scale,
                refined=refined,
                known=known,
                magnitude=size,
            )
            visited |= asked
            high[cut] = np.where(asked & ~reached, plane, high[cut])
            told = reached | before if number == 0 else reached
            low[cut] = np.where(told, size >> plane << plane, low[cut])
            width[cut] = np.where(told, 1 << plane, width[cut])


def laplace(scale: Tensor, high: Tensor, plane: int) -> Tensor:
    """P(magnitude >= 2^plane | < 2^high) of a Laplace distribution with mean magnitude 2^(scale / 16)."""
    mean = torch.exp2(scale / 16 - plane).clamp(1e-2, 1e4)
    ends = torch.exp(-torch.exp2(high - plane) / mean)
    return ((torch.exp(-1 / mean) - ends) / (1 - ends).clamp_min(1e-6)).clamp(1e-5, 1 - 1e-5)


def chances_by_laplace(scale: NDArray[Any], high: NDArray[Any], plane: int) -> NDArray[Any]:
    return laplace(torch.from_numpy(scale).float(), torch.from_numpy(high).float(), plane).numpy()
