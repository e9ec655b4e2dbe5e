"""What predicts the pixels of a level: the interface of backends, and how numpy and torch fill it in.

The compiled backend for 8-bit images is in `semcomp.networks.lossless_compiled`. It predicts the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from semcomp.lossless.coding import PLAIN, Coding
from semcomp.lossless.features import Windows, chroma_step, luma_step
from semcomp.lossless.fits import LumaFit
from semcomp.lossless.geometry import KINDS
from semcomp.lossless.known import Known, Place
from semcomp.lossless.step import Prediction, in_eighths, predicted

T = TypeVar("T")
R = TypeVar("R")


class Level(Protocol):
    """A level: the lattices that are known, and predictions of the next one. Arrays are the backend's."""

    def add(self, lattice: str, planes: Any, errors: Any) -> None:
        """Enter a lattice whose planes and errors (3, h, w) are known."""

    def begin(self, target: str) -> None:
        """The lattice ``target`` is predicted next, plane after plane."""

    def add_values(self, planes: Any) -> None:
        """Enter the first planes (C, h, w) of the lattice that is being predicted."""

    def predict(self, channel: int, before: Sequence[tuple[Any, Any]], rows: slice) -> Prediction:
        """Predict a plane of the lattice in some rows of cells. It runs on several threads at once.

        ``before`` has the values and the errors of the predicted pixels in each plane before, (N,) each.
        """


class Networks(Protocol):
    """The networks of a backend, on its arrays."""

    @property
    def xp(self) -> Any:
        """numpy or torch"""

    @property
    def coding(self) -> Coding:
        """How symbols become words."""

    @property
    def few_cells(self) -> int:
        """Levels of at most this size are predicted by numpy alone."""

    @property
    def band_cells(self) -> int:
        """Cells that are predicted together, so that what they need fits into a processor's cache."""

    @property
    def at_once(self) -> int:
        """How many items `each` works on at a time."""

    def suited(self, *, pixels: int, bits: int) -> Networks:
        """The networks for an image of this size and depth: these, or others that give the same integers sooner."""

    def level(self, place: Place, rows: int, columns: int) -> Level:
        """A level without known lattices, of some rows and columns of cells."""

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """The results of ``work`` on every item, in their order."""


class ArrayNetworks:
    """What backends that run networks on arrays of features (numpy, torch, onnxruntime) have in common."""

    xp: Any
    windows: dict[str, Windows]
    """The windows of every pass."""
    coding: ClassVar[Coding] = PLAIN
    few_cells: ClassVar[int] = 1 << 8
    band_cells: ClassVar[int] = 1 << 14
    """numpy starts an operation sooner than other backends do."""

    @property
    def at_once(self) -> int:
        """How many items `each` works on at a time."""
        return 1

    def run(self, name: str, features: Any) -> Any:
        """Mean and scale (2, N) that one network, "luma11" for example, gives for features (F, N)."""
        raise NotImplementedError

    def suited(self, *, pixels: int, bits: int) -> Networks:
        """These networks suit every image."""
        return self

    def level(self, place: Place, rows: int, columns: int) -> Level:
        """A level on arrays."""
        return ArrayLevel(self, place)

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """The results of ``work`` on one item after the other."""
        return map(work, items)


class ArrayLevel:
    """A level on numpy or torch."""

    def __init__(self, networks: ArrayNetworks, place: Place) -> None:
        self._networks, self._place = networks, place
        self._known = Known(networks.xp, bits=place.bits)
        self._target = ""
        self._fit: LumaFit

    def add(self, lattice: str, planes: Any, errors: Any) -> None:
        """Enter a lattice whose planes and errors (3, h, w) are known."""
        self._known.add(lattice, planes[:, None], errors[:, None])

    def begin(self, target: str) -> None:
        """The lattice ``target`` is predicted next."""
        self._target = target
        self._fit = LumaFit(self._networks.xp, self._known.planes, target, bits=self._place.bits)

    def add_values(self, planes: Any) -> None:
        """Enter the first planes (C, h, w) of the lattice that is being predicted."""
        self._known.add_values(self._target, planes[:, None])

    def predict(self, channel: int, before: Sequence[tuple[Any, Any]], rows: slice) -> Prediction:
        """Predict a plane of the lattice in some rows of cells."""
        known, place, xp = self._known, self._place, self._networks.xp
        windows = self._networks.windows[self._target]
        if channel == 0:
            step = luma_step(known, windows, self._fit, place=place, rows=rows)
        else:
            columns = known.boxes["00"].shape[3]
            span = slice(rows.start * columns, rows.stop * columns)
            done, errors = (tuple(flat[span] for flat in kind) for kind in zip(*before, strict=True))
            step = chroma_step(known, windows, done, errors, place=place, rows=rows)
        output = self._networks.run(KINDS[channel] + self._target, step.features)
        mean = in_eighths(xp, output[0], step.k)
        return predicted(xp, step.initial, mean, output[1], step.k, place.bits)
