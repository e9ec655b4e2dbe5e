"""Colour spaces that a file names without an ICC profile, and the profile that says the same.

Sources: ITU-T H.273 (code points of primaries and transfer), PNG third edition, section 4.3 (which chunk wins).
"""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.errors import ImageError
from semcomp.imaging.icc import SMPTE_240M_CURVE, SRGB, SRGB_CURVE, Curve, Primaries, gray_profile, rgb_profile

_P3, _P3_BLUE = ((0.680, 0.320), (0.265, 0.690)), (0.150, 0.060)
_C = (0.310, 0.316)
PRIMARIES = {
    1: ("sRGB", SRGB),
    4: ("BT.470 M", Primaries(red=(0.67, 0.33), green=(0.21, 0.71), blue=(0.14, 0.08), white=_C)),
    5: ("BT.470 BG", Primaries(red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06))),
    6: ("SMPTE 170M", Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070))),
    7: ("SMPTE 240M", Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070))),
    8: ("generic film", Primaries(red=(0.681, 0.319), green=(0.243, 0.692), blue=(0.145, 0.049), white=_C)),
    9: ("BT.2020", Primaries(red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046))),
    11: ("DCI P3", Primaries(red=_P3[0], green=_P3[1], blue=_P3_BLUE, white=(0.314, 0.351))),
    12: ("Display P3", Primaries(red=_P3[0], green=_P3[1], blue=_P3_BLUE)),
    22: ("EBU 3213", Primaries(red=(0.630, 0.340), green=(0.295, 0.605), blue=(0.155, 0.077))),
}
"""H.273 code of colour primaries -> its name and its colours."""
CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 11, 12, 13, 14, 15), SRGB_CURVE),
    **{4: 2.2, 5: 2.8, 7: SMPTE_240M_CURVE, 8: 1.0, 17: 2.6},
}
"""H.273 code of the transfer -> tone curve. The camera curve of BT.709 and its relatives is shown with the curve of
sRGB, as web browsers do: encoders write those codes for photos that were sRGB."""
_HDR = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_ADOBE_RGB = Primaries(red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06))
_SRGB_GAMMA, _GAMMA_TOLERANCE = 1 / 2.2, 0.01


@dataclass(frozen=True, kw_only=True)
class ColorSpace:
    """What the numbers of a picture mean, other than sRGB."""

    name: str
    primaries: Primaries
    curves: tuple[Curve, ...]
    """One curve for all channels, or one each."""

    def profile(self, *, grey: bool) -> bytes | None:
        """The ICC profile that says the same, or None for sRGB and for grey with the curve of sRGB."""
        if grey:
            return None if self.curves[0] == SRGB_CURVE else gray_profile(f"{self.name}, grey", curve=self.curves[0])
        if set(self.curves) == {SRGB_CURVE} and not self.primaries.differ_from(SRGB):
            return None
        return rgb_profile(self.name, primaries=self.primaries, curves=self.curves)


ADOBE_RGB = ColorSpace(name="compatible with Adobe RGB (1998)", primaries=_ADOBE_RGB, curves=(563 / 256,))
ROMM_RGB = ColorSpace(
    name="ROMM RGB",
    primaries=Primaries(red=(0.7347, 0.2653), green=(0.1596, 0.8404), blue=(0.0366, 0.0001), white=(0.3457, 0.3585)),
    curves=(1.8,),
)


def from_codes(primaries: int, transfer: int, *, full_range: bool = True, of_rgb: bool = False) -> ColorSpace | None:
    """Look up H.273 codes (nclx, cICP). Returns None where a code is unknown.

    Args:
        primaries: Code of the colour primaries. Unspecified ones are taken for sRGB.
        transfer: Code of the transfer characteristics. An unspecified one is taken for sRGB.
        full_range: Whether the values use all of 0..255.
        of_rgb: Whether the codes stand beside RGB values. The range of YCbCr is the decoder's affair.

    Raises:
        ImageError: The transfer belongs to HDR, or the RGB values have video range. Neither fits into 8-bit sRGB.

    Example:
        >>> from_codes(12, 13).name
        'Display P3'
    """
    if transfer in _HDR:
        raise ImageError(
            f"the image has high dynamic range ({_HDR[transfer]}, transfer code {transfer}) and standard range "
            "can be encoded: tone-map it to sRGB first"
        )
    if of_rgb and not full_range:
        raise ImageError("the image has video range (cICP with the full-range flag 0): convert it to full range first")
    if (primaries != _UNSPECIFIED and primaries not in PRIMARIES) or (
        transfer != _UNSPECIFIED and transfer not in CURVES
    ):
        return None
    name, colors = PRIMARIES.get(primaries, PRIMARIES[1])
    curve = CURVES.get(transfer, SRGB_CURVE)
    if curve == 1.0:
        name = f"linear {name}"
    elif curve != SRGB_CURVE:
        name = f"{name}, transfer code {transfer}"
    return ColorSpace(name=name, primaries=colors, curves=(curve,))


def from_gamma(gamma: float | None, primaries: Primaries | None) -> ColorSpace | None:
    """Colour space of PNG's gAMA (0.45455 for 1/2.2) and cHRM chunks, None for sRGB.

    A gamma near 1/2.2 with the primaries of sRGB is sRGB, as PNG's authors meant it.

    Example:
        >>> from_gamma(0.45455, None) is None
        True
        >>> from_gamma(1.0, None).name
        'linear, sRGB primaries'
    """
    own = primaries is not None and primaries.differ_from(SRGB)
    near = gamma is None or abs(gamma - _SRGB_GAMMA) <= _GAMMA_TOLERANCE
    if not own and near:
        return None
    colors = primaries if own and primaries is not None else SRGB
    if gamma is None:
        return ColorSpace(name="own primaries", primaries=colors, curves=(SRGB_CURVE,))
    label = "linear" if abs(gamma - 1) < 1e-4 else f"gamma {1 / gamma:.2f}"
    return ColorSpace(
        name=f"{label}, {'own' if own else 'sRGB'} primaries", primaries=colors, curves=(round(1 / gamma, 5),)
    )
