"""When a head keeps quiet: thresholds on its confidence, measured on images that it never saw.

A head knows a list of classes and sees every image as one of them. Its limits say when that is worth nothing: the image
is not of the head's kind, the head is unsure of a class, or the class covers a speck. What falls below a limit becomes
VOID in a label map, and is left out of labels. Limits live beside the head's weights, in NAME.limits.json, and an
exported head carries them in its manifest. No torch is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError, TargetError
from semcomp.semantics.results import VOID, Labels
from semcomp.semantics.upsample import FINE

FORMAT = "semcomp-limits-1"
SUFFIX = ".limits.json"
NEVER = 2.0
"""Confidence that no class reaches: a class with this limit is never said."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Thresholds below which a head says nothing. ValueError for one out of range."""

    energy: float | None = None
    """Least mean energy of an image of the head's kind: log(sum(exp(logits))), over all positions. None: no limit."""
    area: float = 0.0
    """Least share of the image for which a class must reach its confidence."""
    confidence: tuple[float, ...] = ()
    """Least probability of each class, reached by at least `area` of the image. NEVER: the class is never said. Empty:
    no limit."""
    experimental: bool = False
    """Whether the head is too often wrong to be relied on."""
    measured: str = ""
    """How the thresholds were found and what they achieve, in words."""

    def __post_init__(self) -> None:
        if not 0 <= self.area < 1:
            raise ValueError(f"area is a share from 0 to 1, not {self.area}")
        wrong = [value for value in self.confidence if not (0 <= value <= 1 or value == NEVER)]
        if wrong:
            raise ValueError(f"a confidence is 0 to 1, or {NEVER} for never, not {wrong[0]}")

    def at_least(self, confidence: float, classes: Sequence[str]) -> Limits:
        """Raise the confidence of every class but the background to this one where it is lower.

        Raises:
            TargetError: It is not 0 to 1.
        """
        if not 0 <= confidence <= 1:
            raise TargetError(f"a confidence is a number from 0 to 1, not {confidence}")
        least = [0.0 if name.lower() == "background" else confidence for name in classes]
        own = self.confidence or (0.0,) * len(least)
        return replace(self, confidence=tuple(map(max, own, least)))

    def said(self, logits: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.bool_]:
        """Decide which classes a segmenter may say of an image of that size, bool (K,); `logits` as in `evidence`."""
        if self.energy is None and not self.confidence and not self.area:
            return np.ones(logits.shape[1], bool)
        energy, confidence = evidence(logits, area=self.area, height=height, width=width)
        if self.energy is not None and energy < self.energy:
            return np.zeros(logits.shape[1], bool)
        wanted = np.array(self.confidence or (0.0,) * len(confidence), np.float32)
        said: NDArray[np.bool_] = (confidence > 0) & (confidence >= wanted)
        return said

    def quiet(
        self, label_map: NDArray[np.uint8], logits: NDArray[np.float32], *, height: int, width: int
    ) -> NDArray[np.uint8]:
        """Replace the classes that may not be said of an image by VOID. The logits are what made the label map."""
        said = self.said(logits, height=height, width=width)
        if said.all():
            return label_map
        shown = np.full(VOID + 1, VOID, np.uint8)
        shown[: len(said)][said] = np.flatnonzero(said)
        return shown[label_map]

    def quiet_labels(self, labels: Labels, energy: float) -> Labels:
        """Leave out what a classifier may not say: everything where the image is not of its kind.

        Args:
            labels: Every class with its probability, the best first.
            energy: log(sum(exp(logits))) of the image.
        """
        if self.energy is not None and energy < self.energy:
            return Labels(names=(), scores=(), head=labels.head)
        return labels

    def to_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Give the limits as plain JSON values, confidences by class name. null is a class that is never said."""
        confidence = {
            name: None if value == NEVER else value
            for name, value in zip(classes, self.confidence or (), strict=bool(self.confidence))
        }
        return {
            "format": FORMAT,
            "experimental": self.experimental,
            "energy": self.energy,
            "area": self.area,
            "confidence": confidence,
            "measured": self.measured,
        }

    def sure_labels(self, labels: Labels, classes: Sequence[str]) -> Labels:
        """Leave out the labels whose probability is below the confidence of their class."""
        if not self.confidence:
            return labels
        least = dict(zip(classes, self.confidence, strict=True))
        pairs = zip(labels.names, labels.scores, strict=True)
        sure = [(name, score) for name, score in pairs if score >= least.get(name, 0.0)]
        return replace(labels, names=tuple(name for name, _ in sure), scores=tuple(score for _, score in sure))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], classes: Sequence[str]) -> Limits:
        """Make limits from what `to_dict` gave. ModelError where the values do not fit the head's classes."""
        try:
            if values["format"] != FORMAT:
                raise ValueError(f"their format is {values['format']}, not {FORMAT}")
            given = values["confidence"]
            if given and sorted(given) != sorted(classes):
                raise ValueError("their classes are not the classes of the head")
            confidence = (
                tuple(NEVER if given[name] is None else float(given[name]) for name in classes) if given else ()
            )
            energy = values["energy"]
            return cls(
                energy=None if energy is None else float(energy),
                area=float(values["area"]),
                confidence=confidence,
                experimental=bool(values["experimental"]),
                measured=str(values["measured"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the limits of a head are damaged or have another version: {error}; measure them again"
            ) from error


def evidence(logits: NDArray[np.float32], *, area: float, height: int, width: int) -> tuple[float, NDArray[np.float32]]:
    """Measure how sure a segmenter is of an image and of each class in it.

    Args:
        logits: float32 (1, K, h, w), a score for each class at every position of FINE x FINE pixels.
        area: Share of the image, 0 for one position.
        height: Pixels. Positions beyond the image, which fill up a grid of 16x16 pixels, do not count.
        width: Pixels.

    Returns:
        The mean energy, and the probability that each class reaches at `area` of the image or more, float32 (K,): 0
        for a class that is the likeliest at less than that.
    """
    scores = logits[0, :, : -(-height // FINE), : -(-width // FINE)].reshape(logits.shape[1], -1)
    best, highest = scores.argmax(0), scores.max(0)
    total = np.exp(scores - highest).sum(0)
    confidence = np.zeros(len(scores), np.float32)
    least = max(1, int(np.ceil(area * best.size)))
    for number in np.unique(best).tolist():
        probability = 1 / total[best == number]
        if probability.size >= least:
            confidence[number] = np.partition(probability, -least)[-least]
    return float((highest + np.log(total)).mean()), confidence


NO_LIMITS = Limits()
"""The limits of a head that always answers."""


def limits_file(head_file: str | Path) -> Path:
    """Name the file of limits that belongs to a head's file."""
    path = Path(head_file)
    return path.with_name(path.name.removesuffix(path.suffix) + SUFFIX)


def read_limits(head_file: str | Path, classes: Sequence[str]) -> Limits:
    """Read the limits beside a head's file. A head without that file has no limits.

    Raises:
        ModelError: The file is damaged, or belongs to a head with other classes.
    """
    path = limits_file(head_file)
    if not path.is_file():
        return NO_LIMITS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); measure the limits again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no limits; measure them again")
    return Limits.from_dict(values, classes)


def write_limits(limits: Limits, head_file: str | Path, classes: Sequence[str]) -> Path:
    """Write the limits beside a head's file; returns the path."""
    path = limits_file(head_file)
    path.write_text(json.dumps(limits.to_dict(classes), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
