"""Small ICC profiles, written from primaries and a tone curve (ICC.1:2010, version 4.3).

A file that describes its colours without a profile (PNG chunks, nclx codes) gets the profile that says the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SMALLEST_AREA = 1e-4
"""Twice the smallest area of a triangle of primaries in the xy plane. The triangle of sRGB has 0.22."""

Xy: TypeAlias = tuple[float, float]
Curve: TypeAlias = float | tuple[float, float, float, float, float] | tuple[int, ...]
"""Tone curve from code value to light: a gamma; g, a, b, c, d of ICC's parametric curve 3; or 256 or more 16-bit
samples."""
SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SMPTE_240M_CURVE: Curve = (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 0.25, 0.0913)


@dataclass(frozen=True, kw_only=True)
class Primaries:
    """CIE xy of the three colours and of white."""

    red: Xy
    green: Xy
    blue: Xy
    white: Xy = (0.3127, 0.3290)

    def __post_init__(self) -> None:
        (rx, ry), (gx, gy), (bx, by) = self.red, self.green, self.blue
        area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry))
        if area < _SMALLEST_AREA or min(ry, gy, by, self.white[1]) < 1e-4:
            raise ValueError(
                f"the primaries {self.red}, {self.green}, {self.blue} with white {self.white} span nothing"
            )

    def differ_from(self, other: Primaries, *, by_more_than: float = 0.002) -> bool:
        """Whether a coordinate is further from the other one's than `by_more_than`."""
        mine, others = (np.array([p.red, p.green, p.blue, p.white]) for p in (self, other))
        return bool(np.abs(mine - others).max() > by_more_than)


SRGB = Primaries(red=(0.64, 0.33), green=(0.30, 0.60), blue=(0.15, 0.06))


def srgb_to_linear(value: float) -> float:
    """Light of an sRGB code value, both in 0..1."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def rgb_profile(name: str, *, primaries: Primaries, curves: Sequence[Curve]) -> bytes:
    """A matrix profile of RGB colours.

    Args:
        name: What viewers show as the profile's description.
        primaries: Colours of the three channels, and white.
        curves: One tone curve for all channels, or one each of red, green and blue.

    Returns:
        The bytes of the profile.

    Raises:
        ValueError: The primaries leave a channel no light.

    Example:
        >>> rgb_profile("linear sRGB", primaries=SRGB, curves=[1.0])[16:20]
        b'RGB '
    """
    adaptation = _adaptation(primaries.white)
    columns = (adaptation @ _matrix(primaries)).T
    trcs = [_curve(curve) for curve in (curves if len(curves) == 3 else [curves[0]] * 3)]
    colors = {kind: _xyz(column) for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tones = dict(zip((b"rTRC", b"gTRC", b"bTRC"), trcs, strict=True))
    return _profile(name, b"RGB ", {b"chad": _fixed_array(adaptation.ravel()), **colors, **tones})


def gray_profile(name: str, *, curve: Curve) -> bytes:
    """A profile of grey pictures: a tone curve alone. `name` is its description.

    Example:
        >>> gray_profile("linear grey", curve=1.0)[16:20]
        b'GRAY'
    """
    return _profile(name, b"GRAY", {b"kTRC": _curve(curve)})


def color_space_of(profile: bytes) -> bytes:
    """The four letters of a profile's colour space: `b"RGB "`, `b"GRAY"`, `b"CMYK"`. Empty for a cut profile."""
    return profile[16:20]


def _xyz_of(xy: Xy) -> NDArray[np.float64]:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _matrix(primaries: Primaries) -> NDArray[np.float64]:
    """Linear RGB -> XYZ (3, 3), with white at Y = 1."""
    columns = np.stack([_xyz_of(xy) for xy in (primaries.red, primaries.green, primaries.blue)], axis=1)
    scale = np.linalg.solve(columns, _xyz_of(primaries.white))
    if scale.min() <= 0:
        raise ValueError(f"the white point {primaries.white} is outside the triangle of the primaries")
    return np.asarray(columns * scale)


def _adaptation(white: Xy) -> NDArray[np.float64]:
    """Bradford's matrix from a white point to D50, where ICC profiles are defined."""
    ratio = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ _xyz_of(white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD)


def _fixed(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    """s15Fixed16Number of each value."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _fixed_array(values: NDArray[np.float64]) -> bytes:
    return b"sf32\0\0\0\0" + _fixed(values)


def _xyz(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def _curve(curve: Curve) -> bytes:
    if isinstance(curve, (int, float)):
        return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + _fixed([curve])
    if len(curve) == 5:
        return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(curve)
    return b"curv\0\0\0\0" + struct.pack(f">I{len(curve)}H", len(curve), *(int(value) for value in curve))


def _profile(name: str, space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Header, tag table and bodies; equal bodies are stored once."""
    tags = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": _xyz(_D50), **tags}
    start = 128 + 4 + 12 * len(tags)
    table, bodies, offsets = struct.pack(">I", len(tags)), b"", {}
    for kind, body in tags.items():
        if body not in offsets:
            offsets[body] = start + len(bodies)
            bodies += body + bytes(-len(body) % 4)
        table += struct.pack(">4sII", kind, offsets[body], len(body))
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI12s4s44x",
        *(start + len(bodies), b"\0" * 4, 0x04300000, b"mntr", space, b"XYZ "),
        *(2026, 1, 1, 0, 0, 0),
        *(b"acsp", b"\0" * 4, 0, 0, 0, 0, 0, _fixed(_D50), b"\0" * 4),
    )
    return header + table + bodies
