"""How far the probabilities of a head can be believed: a temperature, and the expected calibration error.

A temperature divides the scores of a head (Guo et al. 2017). It is fitted on held-out images when a head has learned,
and the last layer takes it in, so that whatever runs the head, exported graphs too, gives calibrated probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from heads.classifier import ClassifierNetwork
from heads.head_file import Network, NetworkHead
from semcomp.semantics.results import VOID
from semcomp.semantics.upsample import FINE

TEMPERATURES = np.geomspace(0.25, 4.0, 81)
PRIOR = 10
"""Held-out images that weigh as much as the assumption that no temperature is needed."""
BINS = 15
POSITIONS = 1000
"""Largest number of positions of an image that count for a segmenter."""


@dataclass(frozen=True, kw_only=True)
class HeldScores:
    """Scores of held-out images with what is true: one row for an image, or for a position of one."""

    scores: Tensor
    """float32 (N, K)"""
    target: Tensor
    """int64 (N,)"""
    image: Tensor
    """Number of each row's image, int64 (N,)."""

    def only(self, chosen: Tensor) -> "HeldScores":
        """Keep the rows that are chosen, bool (N,)."""
        return HeldScores(scores=self.scores[chosen], target=self.target[chosen], image=self.image[chosen])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The temperature of a head and what it achieves."""

    temperature: float
    error: float
    """Expected calibration error in percent, of images that did not set the temperature."""
    before: float
    """Expected calibration error in percent at temperature 1."""

    def __str__(self) -> str:
        return (
            f"temperature {self.temperature:.2f}: expected calibration error {self.error:.1f} %, "
            f"{self.before:.1f} % without it"
        )


NOT_NEEDED = Calibration(temperature=1.0, error=0.0, before=0.0)
"""Stands for the calibration of a head that gives no probabilities."""


@torch.inference_mode()
def held_scores(head: NetworkHead, held: Sequence[tuple[Tensor, int, int | NDArray[np.uint8]]]) -> HeldScores:
    """Run a head on held-out images.

    Args:
        head: The head, before its temperature.
        held: What the network is given of each image, its quality, and its class number or its mask.
    """
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for number, (value, quality, truth) in enumerate(held):
        logits = head.logits(value.float(), quality)[0]
        if isinstance(truth, np.ndarray):
            scores, target = _positions(logits, truth)
        else:
            scores, target = logits[None], torch.tensor([truth])
        rows.append((scores.cpu(), target, torch.full((len(target),), number)))
    scores, target, image = (torch.cat(columns) for columns in zip(*rows, strict=True))
    return HeldScores(scores=scores, target=target, image=image)


def _positions(logits: Tensor, truth: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Scores (n, K) and classes (n,) of evenly spaced positions of a label map whose truth is known."""
    target = torch.from_numpy(truth[FINE // 2 :: FINE, FINE // 2 :: FINE].astype(np.int64))
    rows, columns = target.shape
    scores = logits[:, :rows, :columns].flatten(1).T
    known = torch.nonzero(target.flatten() != VOID)[:, 0]
    chosen = known[:: max(1, len(known) // POSITIONS)]
    return scores[chosen], target.flatten()[chosen]


def temperature_of(held: HeldScores) -> float:
    """Find the temperature under which what is true was likeliest, near 1 where few images tell."""
    images = max(1, len(held.image.unique()))
    losses = [
        float(F.cross_entropy(held.scores / value, held.target)) + PRIOR / images * np.log(value) ** 2
        for value in TEMPERATURES
    ]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 3)


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Compute the expected calibration error in percent: how far confidence is from the share of right answers.

    Args:
        confidence: Probability of each answer, (N,).
        right: Whether each answer is right, bool (N,).

    Example:
        >>> sure = torch.full((100,), 0.9)
        >>> calibration_error(sure, torch.arange(100) < 90), calibration_error(sure, torch.arange(100) < 60)
        (0.0, 30.0)
    """
    places = (confidence * BINS).long().clamp(0, BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, places, right.double() - confidence.double())
    return round(100 * float(gaps.abs().sum()) / max(1, len(confidence)), 2)


def calibrate(held: HeldScores) -> Calibration:
    """Fit the temperature on all images. Its error is measured on each half with the temperature of the other."""
    even = held.image % 2 == 0
    confidence = torch.zeros(len(held.target))
    for half in (even, ~even):
        other = held.only(~half)
        value = temperature_of(other) if len(other.target) else 1.0
        confidence[half] = (held.scores[half] / value).softmax(1).amax(1)
    right = held.scores.argmax(1) == held.target
    return Calibration(
        temperature=temperature_of(held),
        error=calibration_error(confidence, right),
        before=calibration_error(held.scores.softmax(1).amax(1), right),
    )


@torch.no_grad()
def divide_scores(network: Network, temperature: float) -> None:
    """Divide what a network will give by a temperature, in place."""
    layer: Any = network.linear if isinstance(network, ClassifierNetwork) else network.logits
    layer.weight /= temperature
    layer.bias /= temperature
