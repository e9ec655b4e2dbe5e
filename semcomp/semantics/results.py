"""What a head answers: labels of a whole picture, or the class of every pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Palette = tuple[tuple[int, int, int], ...]


def default_palette(classes: int) -> Palette:
    """Pascal VOC's colours: the bits of a class number, spread over the three channels from the highest down."""

    def channel(number: int, which: int) -> int:
        return sum((number >> (3 * bit + which) & 1) << (7 - bit) for bit in range(8))

    return tuple((channel(k, 0), channel(k, 1), channel(k, 2)) for k in range(classes))


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a whole picture shows: names with scores in 0..1, the best first."""

    names: tuple[str, ...]
    scores: tuple[float, ...]
    head: str = ""
    """Name of the head that said so; empty for labels that a person gave."""

    @classmethod
    def ranked(cls, classes: Sequence[str], scores: Sequence[float], *, head: str) -> "Labels":
        """Every class with its score, the best first; equal scores in the order of the classes."""
        order = sorted(range(len(classes)), key=lambda number: -scores[number])
        return cls(names=tuple(classes[k] for k in order), scores=tuple(scores[k] for k in order), head=head)

    def top(self, count: int) -> "Labels":
        """The best `count`."""
        return Labels(names=self.names[:count], scores=self.scores[:count], head=self.head)


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """What every pixel shows."""

    label_map: np.ndarray
    """uint8 (height, width), numbers of `classes`"""
    classes: tuple[str, ...]
    palette: Palette
    """One RGB colour a class."""
    head: str = ""

    def labels(self, *, least: float = 0.005) -> Labels:
        """The classes by the share of the picture that they cover, which is their score; none below `least`.

        A class called "background" is left out.
        """
        shares = np.bincount(self.label_map.ravel(), minlength=len(self.classes)) / self.label_map.size
        order = [k for k in np.argsort(-shares, kind="stable").tolist() if shares[k] >= least]
        order = [k for k in order if self.classes[k].lower() != "background"]
        return Labels(
            names=tuple(self.classes[k] for k in order), scores=tuple(float(shares[k]) for k in order), head=self.head
        )

    @cached_property
    def present(self) -> tuple[int, ...]:
        """Numbers of the classes that occur, ascending."""
        return tuple(np.flatnonzero(np.bincount(self.label_map.ravel())).tolist())
