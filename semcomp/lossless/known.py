"""What is known of a level while it is coded: planes and prediction errors of each lattice, with their edges repeated.

    lattice   (C, B, h, w)   one value a cell, B images of equal size
    padded    (C, B, h + 4, w + 4)   the same with its edges repeated REACH times

The code runs on numpy arrays and on torch tensors alike: ``xp`` is the module, numpy or torch. Planes of 8-bit images
are int16. Planes of 16-bit images are int32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from semcomp.lossless.fits import wide_kind
from semcomp.lossless.geometry import REACH

CHANNELS = 3
BOX_SHIFT = 3


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a step is told besides pixels: where it is, and what the planes mean."""

    level: int
    """0 is the full size."""
    differences: bool
    """The planes are green and differences to green. Otherwise they are YCoCg-R, or grey."""
    bits: int = 8
    """Depth of the image's samples, 8 or 16."""

    @property
    def value_limit(self) -> int:
        """The largest magnitude of luma and colour differences."""
        return (1 << self.bits) - 1

    def limited(self, xp: Any, errors: Any) -> Any:
        """Errors, as later predictions see them."""
        return xp.clip(errors, -self.value_limit, self.value_limit)


@dataclass
class Known:
    """The known lattices of one level."""

    xp: Any
    bits: int = 8
    planes: dict[str, Any] = field(default_factory=dict)
    """Padded. The lattice that is being coded has the channels that are coded already."""
    errors: dict[str, Any] = field(default_factory=dict)
    """Padded: decoded value minus the integer mean of the prediction, within +-`Place.value_limit`."""
    boxes: dict[str, Any] = field(default_factory=dict)
    """(3, B, h, w): magnitudes of errors summed over 5x5 cells, >> BOX_SHIFT."""

    def add(self, lattice: str, planes: Any, errors: Any) -> None:
        """Enter a lattice whose planes and errors (3, B, h, w) are known."""
        xp = self.xp
        self.planes[lattice] = padded(xp, planes)
        around = padded(xp, errors)
        self.errors[lattice] = around
        self.boxes[lattice] = box_sums(xp.abs(around)) >> BOX_SHIFT

    def add_values(self, lattice: str, planes: Any) -> None:
        """Enter the first planes (C, B, h, w) of a lattice whose others are about to be coded."""
        self.planes[lattice] = padded(self.xp, planes)

    def error_products(self, pairs: list[tuple[int, int]], rows: slice) -> dict[str, Any]:
        """Errors of pairs of channels multiplied, by lattice: padded (pairs, B, rows + 4, w + 4)."""
        span, products = slice(rows.start, rows.stop + 2 * REACH), {}
        for lattice, errors in self.errors.items():
            wide = self.xp.asarray(errors[:, :, span], dtype=wide_kind(self.xp, self.bits))
            products[lattice] = self.xp.empty((len(pairs), *wide.shape[1:]), dtype=wide.dtype)
            for number, (first, second) in enumerate(pairs):
                self.xp.multiply(wide[first], wide[second], out=products[lattice][number])
        return products

    @property
    def kind(self) -> Any:
        """Type of planes and errors."""
        return self.xp.int16 if self.bits == 8 else self.xp.int32

    def cells(self, rows: slice) -> int:
        """Number of cells N in ``rows``, over all images."""
        images, _, columns = self.boxes["00"].shape[1:]
        return int(images * (rows.stop - rows.start) * columns)


def padded(xp: Any, lattice: Any) -> Any:
    """Repeat the edges of (C, B, h, w) REACH times on each side."""
    top, bottom = lattice[:, :, :1], lattice[:, :, -1:]
    lattice = xp.concatenate([top] * REACH + [lattice] + [bottom] * REACH, 2)
    left, right = lattice[..., :1], lattice[..., -1:]
    return xp.concatenate([left] * REACH + [lattice] + [right] * REACH, 3)


def box_sums(lattice: Any) -> Any:
    """Sums over 5x5 cells of a padded lattice, of the size of the unpadded one."""
    rows, columns = (side - 2 * REACH for side in lattice.shape[2:])
    sums = sum(lattice[:, :, row : row + rows] for row in range(2 * REACH + 1))
    return sum(sums[..., column : column + columns] for column in range(2 * REACH + 1))
