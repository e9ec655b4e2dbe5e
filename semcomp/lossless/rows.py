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

    def gather(self, lattices: dict[str, Any], channel: int, pixels: tuple[Neighbour, ...], rows: slice) -> Any:
        """Fill the next rows with one plane on some neighbours, (pixels, N), for the cells of ``rows``."""
        views = [view(lattices[pixel.lattice][channel], pixel, rows) for pixel in pixels]
        return self.stack(views)

    def stack(self, views: list[Any]) -> Any:
        """Fill the next rows with arrays of N values each, all of one shape."""
        part = self.take(len(views))
        self._xp.stack(views, out=part.reshape(len(views), *views[0].shape))
        return part
