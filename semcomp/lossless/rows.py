"""The features of a step in one array, filled row by row, so that no row is copied twice."""

from __future__ import annotations

from typing import Any

from semcomp.lossless.fits import view
from semcomp.lossless.geometry import Neighbour


class Rows:
    """An array (F, N) that is filled from the top."""

    def __init__(self, xp: Any, count: int, cells: int, kind: Any) -> None:
        self.values = xp.empty((count, cells), dtype=kind)
        self._xp = xp
        self._used = 0

    def take(self, count: int) -> Any:
        """The next ``count`` rows, (count, N), to be filled."""
        start, self._used = self._used, self._used + count
        return self.values[start : self._used]

    def filled(self) -> Any:
        """All rows that have been taken."""
        return self.values[: self._used]

    def gather(self, lattices: dict[str, Any], channels: slice, pixels: tuple[Neighbour, ...], rows: slice) -> Any:
        """Fill the next rows with planes on some neighbours, (channels, pixels, N), for the cells of ``rows``."""
        planes = {lattice: lattices[lattice][channels] for lattice in {pixel.lattice for pixel in pixels}}
        views = [view(planes[pixel.lattice], pixel, rows) for pixel in pixels]
        count, *cells = views[0].shape
        part = self.take(count * len(views))
        self._xp.stack(views, 1, out=part.reshape(count, len(views), *cells))
        return part.reshape(count, len(views), -1)

    def append(self, values: Any) -> None:
        """Fill the next rows with (rows, ...), N values each."""
        self.take(len(values))[:] = values.reshape(len(values), -1)
