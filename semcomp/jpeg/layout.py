"""How the planes of a JPEG file form a picture: luma with chroma, or channels that stand alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.jpeg.reader import JpegFile, JpegPlane
from semcomp.jpeg.records import is_rgb

PLANE_RANGE = (-128.0, 127.5)
"""Values that planes of YCbCr can have, level shift removed: Cb of pure blue and Cr of pure red are 127.5. They are
clipped before they become RGB, as decoders do (T.871), because an overshoot of one plane would change the colour."""

MARGIN = 0.5
"""Distance of a restored coefficient from the edge of its cell, at most an eighth of a step: rounding pixels to whole
numbers moves coefficients by about 0.3."""
LARGEST = 2048.0
"""Largest magnitude of a coefficient of 8-bit samples: 1024, and no step rounds that to more than its double. Larger
ones are damage or malice. They are clipped, because the network would carry them to the blocks around."""
COARSEST = 255
"""Largest step of 8 bits. No network has learned the coarser ones that some encoders write, which count as this one."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Planes that are restored together."""

    planes: tuple[JpegPlane, ...]
    """Luma, Cb and Cr, or one plane alone."""
    factors: tuple[int, int] = (1, 1)
    """How many (rows, columns) of luma share one value of chroma."""


def groups_of(file: JpegFile) -> tuple[Group, ...]:
    """Sort the planes of a file: one group for grey and YCbCr, three for RGB.

    Raises:
        ImageError: The file has four colours, or a subsampling that the restorer does not know.
    """
    count = len(file.planes)
    if count == 4:
        raise ImageError(
            "the JPEG file is CMYK, and the restorer knows grey, YCbCr and RGB: convert it with its profile first"
        )
    if count not in (1, 3):
        raise ImageError(f"the JPEG file has {count} colour planes, and the restorer knows files with 1 or 3")
    if count == 1:
        return (_alone(file.planes[0], file),)
    rgb = is_rgb(file)
    if rgb and len({(plane.vertical, plane.horizontal) for plane in file.planes}) == 1:
        return tuple(_alone(plane, file) for plane in file.planes)
    luma, *chroma = file.planes
    vertical, horizontal = file.factors
    shares = {(vertical / plane.vertical, horizontal / plane.horizontal) for plane in chroma}
    wanted = (luma.vertical, luma.horizontal) == (vertical, horizontal) and len(shares) == 1 and not rgb
    if not wanted or not shares <= {(v, h) for v in (1, 2, 4) for h in (1, 2, 4)}:
        names = ", ".join(f"{plane.horizontal}x{plane.vertical}" for plane in file.planes)
        raise ImageError(
            f"the JPEG file has the sampling factors {names}, and the restorer knows luma at full size with chroma at "
            "1/1, 1/2 or 1/4 of it: decode and encode it again as 4:2:0"
        )
    ((down, across),) = shares
    return (Group(planes=file.planes, factors=(int(down), int(across))),)


def _alone(plane: JpegPlane, file: JpegFile) -> Group:
    """One plane. Its own blocks are enough: units of one component are single blocks."""
    rows, columns = -(-file.height // 8), -(-file.width // 8)
    return Group(planes=(replace(plane, coefficients=plane.coefficients[:rows, :columns]),))


def dequantised(plane: JpegPlane, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
    """The coefficients of a plane times their steps, (rows, columns, 64), at most `LARGEST` in magnitude."""
    values = plane.coefficients[rows, columns].astype(np.float32) * plane.steps.astype(np.float32)
    return values.clip(-LARGEST, LARGEST, out=values)


def bounded_steps(plane: JpegPlane) -> NDArray[np.float32]:
    """The steps of a plane, (64,), at most `COARSEST`. A narrower cell around the stored value is inside of its own."""
    return plane.steps.astype(np.float32).clip(max=COARSEST)
