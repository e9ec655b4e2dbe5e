"""What a head answers: labels of a whole image, or the class of every pixel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.label_map_header import VOID as VOID

Palette = tuple[tuple[int, int, int], ...]

LEAST_AREA = 0.01
"""Smallest share of an image that a class must cover to be listed as a label."""


def default_palette(classes: int) -> Palette:
    """Return Pascal VOC's colours: the bits of a class number, spread over the three channels from the highest down."""

    def channel(number: int, which: int) -> int:
        return sum((number >> (3 * bit + which) & 1) << (7 - bit) for bit in range(8))

    return tuple((channel(k, 0), channel(k, 1), channel(k, 2)) for k in range(classes))


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a whole image shows: names with scores in 0..1, the best first. No name means that nothing is known."""

    names: tuple[str, ...]
    scores: tuple[float, ...]
    head: str = ""
    """Name of the head that said so; empty for labels that a person gave."""
    areas: bool = False
    """True where the scores are shares of the image's area, false where they are probabilities."""

    @classmethod
    def ranked(cls, classes: Sequence[str], scores: Sequence[float], *, head: str) -> "Labels":
        """List every class with its score, the best first. Equal scores keep the order of the classes."""
        order = sorted(range(len(classes)), key=lambda number: -scores[number])
        return cls(names=tuple(classes[k] for k in order), scores=tuple(scores[k] for k in order), head=head)

    def top(self, count: int) -> "Labels":
        """Keep the best `count` labels."""
        return Labels(names=self.names[:count], scores=self.scores[:count], head=self.head, areas=self.areas)


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """What every pixel shows."""

    label_map: NDArray[np.uint8]
    """uint8 (height, width): numbers of `classes`, or VOID where nothing is known."""
    classes: tuple[str, ...]
    palette: Palette
    """One RGB colour for each class."""
    head: str = ""
    """Name of the head that made the map; empty for a map that a person gave."""

    def labels(self, *, least: float = LEAST_AREA) -> Labels:
        """List the classes by the share of the image that they cover, which is their score.

        Classes that cover less than `least` of the image are left out, and so are VOID and a class called "background".
        """
        order = [k for k in np.argsort(-self.shares, kind="stable").tolist() if self.shares[k] >= least]
        order = [k for k in order if self.shares[k] > 0 and self.classes[k].lower() != "background"]
        return Labels(
            names=tuple(self.classes[k] for k in order),
            scores=tuple(float(self.shares[k]) for k in order),
            head=self.head,
            areas=True,
        )

    def enlarged(self, *, height: int, width: int) -> "Segmentation":
        """Give the map of a picture that this one shows smaller, by a power of two."""
        rows, columns = self.label_map.shape
        if (rows, columns) == (height, width):
            return self
        factor = 1
        while -(-height // factor) > rows or -(-width // factor) > columns:
            factor *= 2
        whole = self.label_map.repeat(factor, 0).repeat(factor, 1)[:height, :width]
        return replace(self, label_map=np.ascontiguousarray(whole))

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Share of the image that each class covers, shape (K,). VOID belongs to no class: the sum may be below 1."""
        counts = np.bincount(self.label_map.ravel(), minlength=VOID + 1)
        shares: NDArray[np.float64] = counts[: len(self.classes)] / self.label_map.size
        return shares

    @cached_property
    def void_share(self) -> float:
        """Share of the image of which nothing is known."""
        return float((self.label_map == VOID).mean())

    @cached_property
    def present(self) -> tuple[int, ...]:
        """Numbers of the classes that occur, ascending. VOID is not a class."""
        return tuple(np.flatnonzero(self.shares).tolist())
