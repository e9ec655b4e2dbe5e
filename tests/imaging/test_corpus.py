"""Every input format x mode x depth x metadata goes through the codec and comes back, or is refused with a reason.

The members are generated, so that what is in them is known. The file's own reading by Pillow says what a member holds:
whatever is there has to be there again after encode and decode. A new silent loss fails a test here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semcomp.codec.codec import Codec
from semcomp.errors import ImageError
from semcomp.imaging.color_space import ADOBE_RGB
from tests.imaging.files import boxed_late, cicp, deep_avif, file_of, heic, jp2, png, tiff

pytestmark = pytest.mark.filterwarnings(
    "ignore:Image.Image.getdata is deprecated",  # pillow-heif calls it
    "ignore:quality 100 keeps only",  # black and white is dithered
)
WIDTH, HEIGHT = 64, 48
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
SCENE = np.dstack([_X * 3 + 20, _Y * 4 + 20, 220 - _X * 2 - _Y]).astype(np.uint8)
ALPHA = np.where(_X < 20, 0, np.clip(_Y * 8, 1, 255)).astype(np.uint8)
HOLE = _X < 20
"""Pixels of a palette that are transparent."""
ICC = ADOBE_RGB.profile(grey=False)
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\2\x01\x0f\0\2\0\0\0\6\0\0\0\x26\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0Maker\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a packet</x:xmpmeta>'
LARGEST_MEAN_ERROR, LARGEST_ERROR = 3.0, 40
"""Tolerance of the codec at quality 100, in levels of 255, for a smooth picture."""


def image_of(mode: str) -> Image.Image:
    """The scene in a mode of Pillow."""
    colour, grey = Image.fromarray(SCENE), Image.fromarray(SCENE[:, :, 1])
    if mode == "P with a hole":
        palette = Image.fromarray(SCENE).quantize(200)
        indices = np.asarray(palette).copy()
        indices[HOLE] = 255
        holed = palette.copy()
        holed.putdata(indices.ravel().tolist())
        holed.info["transparency"] = 255
        return holed
    if mode in ("LA", "RGBA"):
        image = (grey if mode == "LA" else colour).copy()
        image.putalpha(Image.fromarray(ALPHA))
        return image
    if mode == "I;16":
        return Image.fromarray(SCENE[:, :, 1].astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(SCENE[:, :, 1].astype(np.int32) * 257)
    if mode == "F":
        return Image.fromarray((SCENE[:, :, 1] / 255).astype(np.float32))
    if mode in ("1", "L"):
        return grey.convert(mode)
    if mode == "grey RGB":
        return grey.convert("RGB")
    if mode == "grey P":
        return grey.convert("RGB").quantize(256)
    return colour.quantize(200) if mode == "P" else colour.convert(mode)


MODES = ["1", "L", "LA", "P", "P with a hole", "grey P", "RGB", "grey RGB", "RGBA", "CMYK", "YCbCr", "LAB"]
MODES += ["I;16", "I", "F"]
DEEP = ("I", "I;16", "F")
NEED_CONVERSION = ("CMYK", "YCbCr", "LAB", "HSV", "I;16", "I", "F")


class Format(NamedTuple):
    """How a format is written, and what its own loss may be on top of the codec's."""

    name: str
    options: dict[str, Any]
    loss: int = 0


FORMATS = [
    Format("PNG", {}),
    Format("TIFF", {}),
    Format("TIFF", {"compression": "tiff_lzw"}),
    Format("JPEG", {"quality": 95, "subsampling": 0}, 12),
    Format("MPO", {"quality": 95, "subsampling": 0}, 12),
    Format("JPEG2000", {}, 2),
    Format("WEBP", {"lossless": True, "exact": True}),
    Format("WEBP", {"quality": 95}, 25),
    Format("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 12),
    Format("HEIF", {"quality": 95}, 25),
    Format("GIF", {}, 4),
    Format("BMP", {}),
    Format("DIB", {}),
    Format("PPM", {}),
    Format("TGA", {}),
    Format("TGA", {"compression": "tga_rle"}),
    Format("ICO", {"sizes": [(WIDTH, HEIGHT)]}),
    Format("PCX", {}),
    Format("SGI", {}),
    Format("QOI", {}),
    Format("DDS", {}),
    Format("MSP", {}),
    Format("XBM", {}),
]
RECORDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "profile": {"icc_profile": ICC},
    "EXIF": {"exif": EXIF},
    "XMP": {"xmp": XMP},
}
WITH_RECORDS = ("PNG", "TIFF", "JPEG", "WEBP", "AVIF", "HEIF")


def member(format: Format, mode: str, record: str) -> bytes | None:
    """The file, or None where Pillow does not write such a one."""
    if format.name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    image = image_of(mode)
    options = {**format.options, **RECORDS[record]}
    if record != "plain" and format.name not in WITH_RECORDS:
        return None
    if "xmp" in options and format.name == "PNG":
        return None  # test_orientation.py has it
    if "xmp" in options and format.name == "TIFF":
        options = {**format.options, "tiffinfo": {700: XMP}}
    try:
        data = file_of(image, format.name, **options)
    except (OSError, KeyError, ValueError, TypeError):
        return None
    written = Image.open(io.BytesIO(data)).mode
    return None if mode in DEEP and not written.startswith(DEEP) else data  # some writers clip deep values


TABLE = [
    pytest.param(format, record, id="-".join([format.name, *map(str, format.options.values()), record]))
    for format in FORMATS
    for record in RECORDS
    if record == "plain" or format.name in WITH_RECORDS
]


def expected_of(data: bytes) -> tuple[Image.Image, Image.Image]:
    """The file as Pillow opens it, and its RGBA pixels the right way up."""
    opened = Image.open(io.BytesIO(data))
    opened.info = dict(opened.info)
    info, exif = dict(opened.info), opened.getexif()
    has_maker = exif.get(0x010F)
    upright = ImageOps.exif_transpose(opened)
    opened.info = {**info, "maker": has_maker}
    return opened, upright


@pytest.mark.parametrize(("format", "record"), TABLE)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency", "ignore:unclosed file")
def test_members_come_back(codec: Codec, format: Format, record: str) -> None:
    for mode in MODES if record == "plain" else ("L", "P", "RGB", "RGBA"):
        data = member(format, mode, record)
        if data is None:
            continue
        try:
            assert_comes_back(codec, data, mode, format.loss)
        except (AssertionError, pytest.fail.Exception, ImageError) as error:
            raise AssertionError(f"{format.name} of mode {mode}: {error}") from error


def assert_comes_back(codec: Codec, data: bytes, mode: str, loss: int) -> None:
    opened, upright = expected_of(data)
    convert = opened.mode in NEED_CONVERSION
    if convert:
        with pytest.raises(ImageError, match=r"(bits a channel|the image is) .*convert=True"):
            codec.encode(data)
    decoded = codec.decode(codec.encode(data, quality=100, convert=convert))
    assert decoded.size == upright.size
    loss += 40 if mode.startswith("P") else 8
    assert_same_pixels(decoded, upright, bilevel=mode == "1", holed=mode == "P with a hole", loss=loss)
    assert_same_records(decoded, opened, recoloured=convert and not opened.mode.startswith(("I", "F")))


def eight_bits(image: Image.Image) -> Image.Image:
    """RGBA as the scene has it: deep grey scaled, all else as Pillow converts it."""
    if image.mode.startswith("I") or image.mode == "F":
        top = 1.0 if image.mode == "F" else 65535.0
        return Image.fromarray(np.round(np.asarray(image) / top * 255).astype(np.uint8)).convert("RGBA")
    if image.mode == "LAB":
        return Image.fromarray(SCENE).convert("RGBA")
    return image.convert("RGBA")


def assert_same_pixels(decoded: Image.Image, upright: Image.Image, *, bilevel: bool, holed: bool, loss: int) -> None:
    ours, theirs = np.asarray(decoded.convert("RGBA")).astype(int), np.asarray(eight_bits(upright)).astype(int)
    np.testing.assert_array_equal(ours[:, :, 3], theirs[:, :, 3], "alpha is exact")
    seen = theirs[:, :, 3] > 0
    difference = np.abs(ours - theirs)[:, :, :3][seen]
    if not bilevel:  # dithering to black and white is nothing that the codec holds well
        assert difference.mean() <= LARGEST_MEAN_ERROR and difference.max() <= LARGEST_ERROR
        shows = seen & ~HOLE if holed else seen
        assert np.abs(theirs[:, :, 1] - upright_scene(upright))[shows].max() <= loss, "the member shows the scene"
    grey = np.ptp(theirs[:, :, :3][seen], axis=1).max() == 0
    if grey:
        assert np.ptp(ours[:, :, :3], axis=2).max() == 0, "grey stays grey"


def upright_scene(image: Image.Image) -> NDArray[np.int64]:
    """The green channel of the scene, which is the grey one too, turned as EXIF's orientation 6 says."""
    green = SCENE[:, :, 1].astype(np.int64)
    return np.rot90(green, -1) if image.size == (HEIGHT, WIDTH) else green


def assert_same_records(decoded: Image.Image, opened: Image.Image, *, recoloured: bool) -> None:
    if not recoloured:
        assert decoded.info.get("icc_profile") == (opened.info.get("icc_profile") or None)
    assert decoded.getexif().get(0x010F) == opened.info["maker"]
    assert decoded.getexif().get(0x0112, 1) == 1
    assert decoded.info.get("xmp") == opened.info.get("xmp")


DEEP_SCENE: NDArray[np.uint16] = (SCENE.astype(np.int64) * 257).astype(np.uint16)
DEEP_GREY: NDArray[np.uint16] = DEEP_SCENE[:, :, 1]
TRANSPARENT = int(DEEP_GREY[10, 10])
DEEP_FILES: dict[str, Callable[[], bytes]] = {
    "PNG grey": lambda: png(DEEP_GREY, bits=16, color_type=0),
    "PNG grey, one level transparent": lambda: png(
        DEEP_GREY, bits=16, color_type=0, extra=[(b"tRNS", struct.pack(">H", TRANSPARENT))]
    ),
    "PNG RGB": lambda: png(DEEP_SCENE, bits=16, color_type=2),
    "PNG RGB of Display P3": lambda: png(DEEP_SCENE, bits=16, color_type=2, extra=[cicp(12, 13)]),
    "PNG RGBA": lambda: png(np.dstack([DEEP_SCENE, np.full_like(DEEP_GREY, 65535)]), bits=16, color_type=6),
    "JPEG 2000": lambda: jp2(DEEP_SCENE),
    "JPEG 2000, 10 bits, late": lambda: boxed_late(jp2(DEEP_SCENE >> 6, bitspersample=10)),
    "JPEG 2000 grey": lambda: jp2(DEEP_GREY),
    "TIFF RGB": lambda: tiff(DEEP_SCENE, photometric=2),
    "TIFF grey": lambda: tiff(DEEP_GREY, photometric=1),
    "TIFF int32": lambda: tiff(DEEP_GREY.astype(np.int32), photometric=1),
    "TIFF float32": lambda: tiff((DEEP_GREY / 65535).astype(np.float32), photometric=1),
    "PPM": lambda: b"P6 64 48 65535\n" + DEEP_SCENE.astype(">u2").tobytes(),
    "PGM": lambda: b"P5 64 48 65535\n" + DEEP_GREY.astype(">u2").tobytes(),
    "AVIF, 10 bits": lambda: deep_avif(DEEP_SCENE, bits=10),
    "AVIF, 12 bits": lambda: deep_avif(DEEP_SCENE, bits=12),
    "HEIC, 10 bits": lambda: heic(DEEP_SCENE, bits=10),
    "HEIC, 12 bits": lambda: heic(DEEP_SCENE, bits=12),
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_a_deep_member_is_refused_or_converted(codec: Codec, name: str) -> None:
    data = DEEP_FILES[name]()
    with pytest.raises(ImageError, match=r"(16|12|10|32) bits a channel.*convert=True"):
        codec.encode(data)
    decoded = codec.decode(codec.encode(data, quality=100, convert=True))
    grey = any(word in name for word in ("grey", "PGM", "int32", "float32"))
    assert decoded.mode.startswith("L") == grey
    ours, theirs = np.asarray(decoded.convert("RGB")).astype(int), SCENE[:, :, [1, 1, 1]] if grey else SCENE
    seen = np.ones((HEIGHT, WIDTH), bool)
    if "transparent" in name:
        seen = DEEP_GREY != TRANSPARENT
        np.testing.assert_array_equal(np.asarray(decoded.getchannel("A")) > 0, seen)
    difference = np.abs(ours - theirs)[seen]
    assert difference.mean() <= LARGEST_MEAN_ERROR and difference.max() <= LARGEST_ERROR
    assert ("icc_profile" in decoded.info) == ("Display P3" in name)


def test_the_table_is_not_empty() -> None:
    """A format that stops being written would leave its members out in silence."""
    written = {(format.name, mode) for format in FORMATS for mode in MODES if member(format, mode, "plain") is not None}
    assert len(written) >= 110
    assert {name for name, _ in written} == {format.name for format in FORMATS}
    assert {mode for _, mode in written} == set(MODES)
    for name in WITH_RECORDS:
        format = next(format for format in FORMATS if format.name == name)
        assert member(format, "RGB", "profile") and member(format, "RGB", "EXIF"), name
