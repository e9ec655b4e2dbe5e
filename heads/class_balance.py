"""How rare classes count for more: crops that show them are seen more often, and their pixels weigh more."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What crops and classes count in a training."""

    often: NDArray[np.float64]
    """How often each crop is seen in an epoch, mean 1, (N,)."""
    weights: Tensor | None = None
    """Weights of a segmenter's classes in the loss, (K,)."""
    counted: Tensor | None = None
    """Factor by which each of a segmenter's classes counts more than its pixels do, by `weights` and `often`, (K,)."""


def balance_of(
    targets: Iterable[NDArray[np.uint8]],
    *,
    classes: int,
    rare: float,
    power: float,
    often: NDArray[np.float64] | None = None,
) -> Balance:
    """Balance the classes of label maps.

    Args:
        targets: The label maps of the crops, each uint8 (H, W).
        classes: Number of the classes.
        rare: As `repeats` says.
        power: As `class_weights` says.
        often: How often each crop is seen beside what `rare` asks for, (N,); None for all alike.
    """
    shown = pixels_of(targets, classes)
    given = np.ones(len(shown)) if often is None else often / often.mean()
    weights = class_weights(shown * given[:, None], power)
    often = repeats(shown, rare) * given
    often = often / often.mean()
    return Balance(often=often, weights=weights, counted=weights * seen_more(shown, often))


def pixels_of(targets: Iterable[NDArray[np.uint8]], classes: int) -> NDArray[np.int64]:
    """How many pixels of each label map show each class, of every sixteenth, float64 (N, K)."""
    return np.array([np.bincount(target[::4, ::4].ravel(), minlength=256)[:classes] for target in targets], np.float64)


def class_weights(shown: NDArray[np.int64], power: float) -> Tensor:
    """Mean 1 over the pixels (N, K): rare classes count for more, by the inverse frequency to a power."""
    counts = shown.sum(0)
    share = np.maximum(counts, 1) / max(1, counts.sum())
    weights = share**-power
    return torch.from_numpy(weights / (weights * share).sum()).float()


def repeats(shown: NDArray[Any], rare: float) -> NDArray[np.float64]:
    """How often each crop of pixels (N, K) is seen in an epoch, mean 1, float64 (N,); a class counts from a hundredth
    of the crop on."""
    present = shown > np.maximum(1, shown.sum(1, keepdims=True)) / 100
    wanted = np.sqrt(np.maximum(1, rare / np.maximum(present.mean(0), 1e-9)))
    often: NDArray[np.float64] = np.where(present, wanted, 1).max(1)
    relative: NDArray[np.float64] = often / often.mean()
    return relative


def seen_more(shown: NDArray[np.int64], often: NDArray[np.float64]) -> Tensor:
    """Oversampling factor of each class, (K,): pixels seen in an epoch / pixels in the data. 1 for absent classes."""
    there = shown.sum(0)
    return torch.from_numpy(np.divide(often @ shown, there, out=np.ones_like(there), where=there > 0)).float()


def epoch(often: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The crops of an epoch in random order, each as `often` as that says, in the mean."""
    times = np.floor(often + rng.random(len(often))).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(often)), times))
