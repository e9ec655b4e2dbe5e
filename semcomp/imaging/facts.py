"""What a file says about its pixels that Pillow does not pass on: depth, colour space, profile, EXIF and XMP."""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image

from semcomp.errors import SemcompWarning
from semcomp.imaging.boxes import BoxFacts, read_heif
from semcomp.imaging.color_space import ADOBE_RGB, ROMM_RGB, ColorSpace, from_codes, from_gamma
from semcomp.imaging.exif import EXIF_PREFIX, is_adobe_rgb
from semcomp.imaging.gif import read_gif_profile
from semcomp.imaging.icc import SRGB, SRGB_CURVE, Curve, Primaries, srgb_to_linear
from semcomp.imaging.jpeg2000 import read_jpeg2000
from semcomp.imaging.png import PngFacts, read_png

_NETPBM = re.compile(rb"P[2356]\s")
_TIFF_TRANSFER, _TIFF_WHITE, _TIFF_PRIMARIES = 301, 318, 319
_JP2_SRGB_AND_KIN = (0, 12, 14, 15, 16, 17, 18)
"""Enumerated colour spaces of JP2 that are sRGB, or that Pillow's mode tells: bilevel, CMYK, Lab, grey, sYCC."""
_JP2_ROMM_RGB = 21
_BMP_CALIBRATED, _BMP_EMBEDDED = 0, int.from_bytes(b"MBED", "big")


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What the bytes of a file say. All is empty without the bytes: a PIL image that was loaded has none."""

    png: PngFacts | None = None
    boxes: BoxFacts | None = None
    bmp: ColorSpace | None = None
    channels: int = 0
    """Channels that a PSD file has, 0 for other formats."""
    netpbm_maximum: int = 255
    """Largest value of a channel of a PGM or PPM file."""
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def bits(self) -> int:
        """Bits of a channel, at least 8."""
        netpbm = self.netpbm_maximum.bit_length()
        return max(8, netpbm, self.png.bits if self.png else 8, self.boxes.bits if self.boxes else 8)


def read_facts(stream: BinaryIO) -> tuple[FileFacts, BinaryIO]:
    """The facts of a file, and the stream that Pillow should read in its place."""
    stream.seek(0)
    if (found := read_png(stream)) is not None:
        png, smaller = found
        return FileFacts(png=png, icc=png.icc, exif=png.exif, xmp=png.xmp), smaller
    if (boxes := read_jpeg2000(stream)) is not None:
        return FileFacts(boxes=boxes, icc=boxes.icc), stream
    if (boxes := read_heif(stream)) is not None:
        return FileFacts(boxes=boxes, icc=boxes.icc, exif=boxes.exif), _without_exif(stream, boxes)
    stream.seek(0)
    head = stream.read(150)
    if head[:2] == b"BM":
        return _facts_of_bmp(stream, head), stream
    if head[:4] == b"GIF8":
        return FileFacts(icc=read_gif_profile(stream)), stream
    if head[:4] == b"8BPS":
        return FileFacts(channels=int.from_bytes(head[12:14], "big")), stream
    if _NETPBM.match(head):
        return FileFacts(netpbm_maximum=netpbm_maximum(stream)), stream
    return FileFacts(), stream


def netpbm_maximum(stream: BinaryIO) -> int:
    """Largest value of a PGM or PPM file: the third number of its header. Comments there may have any length."""
    stream.seek(2)
    text = re.sub(rb"#[^\n\r]*", b" ", stream.read(1 << 20))
    numbers = text.split(maxsplit=3)
    return int(numbers[2]) if len(numbers) > 2 and numbers[2].isdigit() and len(numbers[2]) < 6 else 255


def _without_exif(stream: BinaryIO, boxes: BoxFacts) -> BinaryIO:
    """The file with its EXIF item renamed: Pillow's reader of AVIF fails on EXIF that Pillow cannot write again."""
    stream.seek(0)
    if boxes.exif_kind_at is None or stream.read(12)[8:10] != b"av":
        return stream
    stream.seek(0)
    data = bytearray(stream.read())
    data[boxes.exif_kind_at : boxes.exif_kind_at + 4] = b"skip"
    return io.BytesIO(bytes(data))


def facts_behind(image: Image.Image) -> tuple[FileFacts, BinaryIO | None]:
    """The facts of the file that a PIL image was opened from, and that file, where it can still be read."""
    if image.format is None:
        return FileFacts(), None
    stream: Any = getattr(image, "fp", None)
    try:
        if stream is not None and stream.seekable():
            position = stream.tell()
            try:
                return read_facts(stream)
            finally:
                stream.seek(position)
        if name := getattr(image, "filename", ""):
            with open(name, "rb") as file:  # noqa: PTH123  # the name may be bytes
                return read_facts(file)[0], None
    except (OSError, ValueError):  # closed or gone
        pass
    return FileFacts(), None


def color_of(image: Image.Image, facts: FileFacts, *, icc: bytes | None, exif: bytes | None) -> ColorSpace | None:
    """What the pixels mean where it is neither sRGB nor what `icc` says.

    A colour space that outranks the profile, as cICP does in PNG, is returned although `icc` is given.

    Raises:
        ImageError: The file has high dynamic range.
    """
    codes = facts.png.codes() if facts.png else facts.boxes.nclx if facts.boxes and not icc else _nclx_in(image, icc)
    if codes is not None:
        color = from_codes(codes[0], codes[1], full_range=codes[2], of_rgb=facts.png is not None)
        if color is not None:
            return color
        if not icc:
            _unknown(f"codes {codes[0]} and {codes[1]}")
    if icc:
        return None
    if facts.png:
        return facts.png.color_space()
    if facts.bmp:
        return facts.bmp
    if facts.boxes and facts.boxes.enumerated not in (None, *_JP2_SRGB_AND_KIN):
        if facts.boxes.enumerated == _JP2_ROMM_RGB:
            return ROMM_RGB
        _unknown(f"number {facts.boxes.enumerated} of JPEG 2000")
    if is_adobe_rgb((exif or b"").removeprefix(EXIF_PREFIX)):
        return ADOBE_RGB
    return _of_tiff(image) if image.format == "TIFF" else _of_info(image)


def _unknown(what: str) -> None:
    text = f"the colour space of the image ({what}) is unknown here, and its pixels are taken for sRGB"
    warnings.warn(text, SemcompWarning, stacklevel=2)


def _nclx_in(image: Image.Image, icc: bytes | None) -> tuple[int, int, bool] | None:
    """The codes that pillow-heif notes in `info`."""
    nclx = image.info.get("nclx_profile")
    if icc or not isinstance(nclx, dict):
        return None
    return int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2)), True


def _of_info(image: Image.Image) -> ColorSpace | None:
    """What Pillow notes in `info` when it opens a PNG."""
    if "srgb" in image.info:
        return None
    gamma, values = image.info.get("gamma"), image.info.get("chromaticity")
    primaries = None
    if isinstance(values, tuple) and len(values) == 8 and image.mode not in ("1", "L", "LA", "I;16"):
        try:
            white, red, green, blue = zip(values[::2], values[1::2], strict=True)
            primaries = Primaries(red=red, green=green, blue=blue, white=white)
        except (ValueError, TypeError):
            primaries = None
    plausible = isinstance(gamma, float) and 0.05 <= gamma <= 20
    return from_gamma(gamma if plausible else None, primaries)


def _of_tiff(image: Image.Image) -> ColorSpace | None:
    """The colorimetry tags of TIFF 6.0, section 20."""
    tags: Any = getattr(image, "tag_v2", {})
    numbers, white, transfer = tags.get(_TIFF_PRIMARIES), tags.get(_TIFF_WHITE), tags.get(_TIFF_TRANSFER)
    primaries = SRGB
    try:
        if numbers and len(numbers) == 6:
            values = [float(value) for value in numbers]
            red, green, blue = zip(values[::2], values[1::2], strict=True)
            given = (float(white[0]), float(white[1])) if white and len(white) == 2 else SRGB.white
            primaries = Primaries(red=red, green=green, blue=blue, white=given)
    except (ValueError, TypeError, ZeroDivisionError):
        _unknown("its TIFF primaries span nothing")
    curves: list[Curve] = [SRGB_CURVE]
    if transfer and len(transfer) in (256, 768):
        samples = [int(value) for value in transfer]
        curves = [_curve_of(samples[start : start + 256]) for start in range(0, len(samples), 256)]
    return ColorSpace(name="colorimetry of a TIFF file", primaries=primaries, curves=tuple(curves))


def _curve_of(samples: list[int]) -> Curve:
    """The curve of sRGB where the samples are within 1 % of it, else the samples."""
    srgb = (srgb_to_linear(number / 255) for number in range(256))
    near = all(abs(sample / 65535 - value) < 0.01 for sample, value in zip(samples, srgb, strict=True))
    return SRGB_CURVE if near else tuple(samples)


def _facts_of_bmp(stream: BinaryIO, head: bytes) -> FileFacts:
    """The colour space of a version 4 or 5 header: endpoints and gammas, or an embedded profile."""
    if len(head) < 138 or struct.unpack_from("<I", head, 14)[0] not in (108, 124):
        return FileFacts()
    (kind,) = struct.unpack_from("<I", head, 70)
    if kind == _BMP_EMBEDDED:
        offset, size = struct.unpack_from("<II", head, 126)
        stream.seek(14 + offset)
        return FileFacts(icc=stream.read(min(size, 1 << 24)) or None)
    if kind != _BMP_CALIBRATED:
        return FileFacts()
    ends = [value / (1 << 30) for value in struct.unpack_from("<9i", head, 74)]
    gammas = [value / 65536 for value in struct.unpack_from("<3I", head, 110)]
    sums = [sum(ends[start : start + 3]) for start in (0, 3, 6)]
    if min(sums) <= 0 or not all(0.05 <= gamma <= 20 for gamma in gammas):
        return FileFacts()  # writers leave zeros here that mean nothing
    red, green, blue = ((ends[3 * i] / sums[i], ends[3 * i + 1] / sums[i]) for i in range(3))
    x, y, z = (sum(ends[i::3]) for i in range(3))
    try:
        primaries = Primaries(red=red, green=green, blue=blue, white=(x / (x + y + z), y / (x + y + z)))
    except ValueError:
        return FileFacts()
    gammas = [1 / gamma if gamma < 1 else gamma for gamma in gammas]  # some writers store the encoder's exponent
    if all(abs(gamma - 2.2) < 0.05 for gamma in gammas) and not primaries.differ_from(SRGB, by_more_than=0.005):
        return FileFacts()
    return FileFacts(bmp=ColorSpace(name="colours of a BMP header", primaries=primaries, curves=tuple(gammas)))
