"""Colour spaces that files name without a profile: kept as an equivalent profile, converted, or refused in words."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from semcomp.bitstream.container import ColorMode
from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.color_space import ADOBE_RGB
from semcomp.imaging.icc import SRGB, SRGB_CURVE, Primaries, rgb_profile
from semcomp.imaging.picture import Picture, as_picture, open_picture, to_pil
from tests.imaging.files import (
    P3_CHRM,
    SRGB_CHRM,
    SRGB_GAMMA,
    avif,
    chrm,
    cicp,
    file_of,
    gama,
    iccp,
    png,
    srgb_of,
    with_chunks,
)

COLOURS = np.array([[128, 128, 128], [255, 255, 255], [0, 0, 0], [200, 60, 50], [40, 150, 60], [30, 60, 180]], np.uint8)
SWATCHES = Image.fromarray(np.repeat(np.repeat(COLOURS[None], 16, axis=0), 16, axis=1))
P3 = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
BT2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
"""Linear light to linear sRGB, from the standards."""


def linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4), np.float64)


def shown(
    colours: NDArray[np.uint8],
    matrix: NDArray[np.float64] | None = None,
    curve: Callable[[NDArray[np.float64]], NDArray[np.float64]] = linear,
) -> NDArray[np.float64]:
    """What the standards say that sRGB shows for colours of another space, computed without a profile."""
    light = curve(colours / 255) @ (np.eye(3) if matrix is None else matrix).T
    light = np.clip(light, 0, 1)
    encoded: NDArray[np.float64] = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return 255 * encoded


def colours_of(picture: Picture) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture.pixels[8, 8::16])


PNG = file_of(SWATCHES)
NAMED: dict[str, tuple[bytes, NDArray[np.float64]]] = {
    "gAMA 1.0": (with_chunks(PNG, gama(100_000)), shown(COLOURS, curve=lambda v: v)),
    "gAMA 1/1.8": (with_chunks(PNG, gama(55_556)), shown(COLOURS, curve=lambda v: v**1.8)),
    "gAMA and cHRM of P3": (with_chunks(PNG, gama(SRGB_GAMMA), chrm(P3_CHRM)), shown(COLOURS, P3, lambda v: v**2.2)),
    "cHRM of P3 alone": (with_chunks(PNG, chrm(P3_CHRM)), shown(COLOURS, P3)),
    "cICP of P3": (with_chunks(PNG, cicp(12, 13)), shown(COLOURS, P3)),
    "cICP of BT.2020": (with_chunks(PNG, cicp(9, 14)), shown(COLOURS, BT2020)),
    "cICP linear": (with_chunks(PNG, cicp(1, 8)), shown(COLOURS, curve=lambda v: v)),
    "cICP before iCCP, sRGB, gAMA": (
        with_chunks(PNG, gama(100_000), (b"sRGB", b"\0"), cicp(12, 13)),
        shown(COLOURS, P3),
    ),
    "AVIF of P3": (avif(SWATCHES, primaries=12, transfer=13), shown(COLOURS, P3)),
    "AVIF of BT.2020": (avif(SWATCHES, primaries=9, transfer=1), shown(COLOURS, BT2020)),
    "AVIF of P3, transfer unspecified": (avif(SWATCHES, primaries=12, transfer=2), shown(COLOURS, P3)),
    "AVIF of gamma 2.8": (avif(SWATCHES, primaries=1, transfer=5), shown(COLOURS, curve=lambda v: v**2.8)),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_named_colour_space_becomes_an_equivalent_profile(name: str, tmp_path: Path) -> None:
    data, expected = NAMED[name]
    (tmp_path / "a").write_bytes(data)
    for source in (data, tmp_path / "a", Image.open(io.BytesIO(data)), Image.open(tmp_path / "a")):
        picture = as_picture(source)
        assert picture.icc is not None and len(picture.icc) < 700
        assert np.abs(colours_of(picture).astype(int) - COLOURS).max() <= 3, "the pixels are not touched"
        assert np.abs(srgb_of(picture.icc, colours_of(picture)) - expected).max() <= 5
    assert to_pil(picture).info["icc_profile"] == picture.icc


@pytest.mark.parametrize("name", NAMED)
def test_colours_are_converted_on_demand(name: str) -> None:
    data, expected = NAMED[name]
    picture = open_picture(data, convert_colour=True)
    assert picture.icc is None
    assert np.abs(colours_of(picture) - expected).max() <= 5


SAME: dict[str, bytes] = {
    "nothing": PNG,
    "sRGB": with_chunks(PNG, (b"sRGB", b"\0")),
    "sRGB before gAMA": with_chunks(PNG, gama(100_000), chrm(P3_CHRM), (b"sRGB", b"\0")),
    "gAMA of sRGB": with_chunks(PNG, gama(SRGB_GAMMA)),
    "gAMA and cHRM of sRGB": with_chunks(PNG, gama(SRGB_GAMMA), chrm(SRGB_CHRM)),
    "cICP of sRGB": with_chunks(PNG, cicp(1, 13)),
    "cICP of sRGB before iCCP": with_chunks(PNG, iccp(b"another"), cicp(1, 13)),
    "AVIF of sRGB": avif(SWATCHES, primaries=1, transfer=13),
    "AVIF of BT.709": avif(SWATCHES, primaries=1, transfer=1),
    "AVIF, unspecified": avif(SWATCHES, primaries=2, transfer=2),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_srgb_needs_no_profile(name: str) -> None:
    assert open_picture(SAME[name]).icc is None


@pytest.mark.parametrize(("transfer", "word"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.parametrize("format", ["PNG", "AVIF", "HEIF", "PNG of 16 bits"])
@pytest.mark.parametrize("convert", [False, True])
def test_high_dynamic_range_is_refused_in_words(transfer: int, word: str, format: str, convert: bool) -> None:
    if format == "PNG of 16 bits":
        data = png(np.zeros((4, 4, 3)), bits=16, color_type=2, extra=[cicp(9, transfer)])
    elif format == "PNG":
        data = with_chunks(PNG, cicp(9, transfer))
    elif format == "AVIF":
        data = avif(SWATCHES, primaries=9, transfer=transfer)
    else:
        data = heic(primaries=9, transfer=transfer)
    with pytest.raises(ImageError, match=rf"high dynamic range \({word}.*tone-map"):
        open_picture(data, convert=convert, convert_colour=convert)


def heic(*, primaries: int, transfer: int) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    image = pillow_heif.from_pillow(SWATCHES)
    options = {"color_primaries": primaries, "transfer_characteristics": transfer, "transfer_characteristic": transfer}
    image.save(buffer, quality=-1, save_nclx_profile=True, **options)
    data = bytearray(buffer.getvalue())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def test_heic_of_p3() -> None:
    picture = open_picture(heic(primaries=12, transfer=13))
    assert np.abs(srgb_of(picture.icc, colours_of(picture)) - shown(COLOURS, P3)).max() <= 6


def test_video_range_in_cicp_is_refused() -> None:
    with pytest.raises(ImageError, match="video range"):
        open_picture(with_chunks(PNG, cicp(1, 13, full_range=False)))


def test_a_profile_in_the_file_is_kept_to_the_byte_and_outranks_gama() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert open_picture(with_chunks(PNG, iccp(profile), gama(100_000))).icc == profile
    assert open_picture(with_chunks(PNG, gama(100_000), iccp(profile))).icc == profile


def test_a_profile_in_avif_outranks_nclx() -> None:
    profile = ADOBE_RGB.profile(grey=False)
    data = file_of(SWATCHES, "AVIF", icc_profile=profile)
    assert open_picture(data).icc == profile


def test_a_damaged_profile_in_png_is_left_out_with_a_warning() -> None:
    data = with_chunks(PNG, (b"iCCP", b"x\0\0not zlib"))
    with pytest.warns(SemcompWarning, match="ICC profile is damaged"):
        assert open_picture(data).icc is None


@pytest.mark.parametrize("extra", [gama(0), gama(2**31), chrm((0,) * 8), chrm((31270, 32900) * 4)])
def test_nonsense_is_taken_for_srgb_with_a_warning(extra: tuple[bytes, bytes]) -> None:
    with pytest.warns(SemcompWarning, match="makes no sense"):
        assert open_picture(with_chunks(PNG, extra)).icc is None


def test_unknown_codes_warn() -> None:
    with pytest.warns(SemcompWarning, match="colour space of the image .* unknown"):
        assert open_picture(avif(SWATCHES, primaries=99, transfer=13)).icc is None


def test_grey_pictures_get_a_profile_of_grey() -> None:
    grey = np.arange(256).reshape(16, 16)
    data = png(grey, bits=8, color_type=0, extra=[gama(100_000), chrm(P3_CHRM)])
    picture = open_picture(data)
    assert picture.mode == ColorMode.L and picture.icc is not None and picture.icc[16:20] == b"GRAY"
    assert to_pil(picture).mode == "L"
    expected = shown(np.repeat(grey.reshape(-1, 1), 3, 1).astype(np.uint8), curve=lambda v: v)
    triples = np.repeat(grey.reshape(-1, 1), 3, 1).astype(np.uint8)
    assert np.abs(srgb_of(picture.icc, triples) - expected).max() <= 2
    converted = open_picture(data, convert_colour=True)
    assert converted.mode == ColorMode.L and converted.icc is None
    assert np.abs(converted.pixels.reshape(-1, 3) - expected).max() <= 2


def test_grey_stored_as_rgb_stays_grey_and_its_rgb_profile_still_fits() -> None:
    profile = rgb_profile("wide", primaries=ADOBE_RGB.primaries, curves=[2.2])
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    picture = open_picture(file_of(grey, "PNG", icc_profile=profile))
    assert picture.mode == ColorMode.L and picture.icc == profile
    restored = to_pil(picture)
    assert restored.mode == "RGB" and restored.info["icc_profile"] == profile
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(grey))


@pytest.mark.parametrize("kind", ["1-bit BMP", "8-bit BMP", "grey JPEG", "RGB JPEG", "palette PNG", "RGBA PNG", "GIF"])
def test_grey_in_any_mode_is_grey(kind: str) -> None:
    grey = Image.fromarray((np.arange(256) % 16 * 16).astype(np.uint8).reshape(16, 16))
    data = {
        "1-bit BMP": lambda: file_of(grey.convert("1"), "BMP"),
        "8-bit BMP": lambda: file_of(grey.convert("P"), "BMP"),
        "grey JPEG": lambda: file_of(grey, "JPEG"),
        "RGB JPEG": lambda: file_of(grey.convert("RGB"), "JPEG"),
        "palette PNG": lambda: file_of(grey.convert("RGB").quantize(256), "PNG"),
        "RGBA PNG": lambda: file_of(grey.convert("RGBA"), "PNG"),
        "GIF": lambda: file_of(grey.convert("P"), "GIF"),
    }[kind]()
    picture = open_picture(data)
    assert picture.mode == ColorMode.L
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    np.testing.assert_array_equal(np.asarray(to_pil(picture).convert("L")), expected)


def test_cameras_name_adobe_rgb_in_exif() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    picture = open_picture(file_of(SWATCHES, "JPEG", exif=exif))
    assert picture.icc == ADOBE_RGB.profile(grey=False)
    exif.get_ifd(0x8769)[0xA001] = 1
    assert open_picture(file_of(SWATCHES, "JPEG", exif=exif)).icc is None


def test_tiff_colorimetry() -> None:
    tags = {318: (0.3127, 0.3290), 319: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)}
    picture = open_picture(file_of(SWATCHES, "TIFF", tiffinfo=tags))
    assert np.abs(srgb_of(picture.icc, COLOURS) - shown(COLOURS, P3)).max() <= 5
    tags[319] = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    assert open_picture(file_of(SWATCHES, "TIFF", tiffinfo=tags)).icc is None


def bmp(kind: bytes, *, gamma: float = 2.2, profile: bytes = b"") -> bytes:
    """A BMP with a version 5 header and the primaries of Display P3."""
    old = file_of(SWATCHES, "BMP")
    ends = []
    for x, y in ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)):
        ends += [x / y * 0.3, 0.3, (1 - x - y) / y * 0.3]
    matrix = np.array(ends).reshape(3, 3)
    white = np.array([0.3127, 0.3290, 1 - 0.3127 - 0.3290]) / 0.3290
    scale = np.linalg.solve(matrix.T, white)
    ends = (matrix * scale[:, None]).ravel().tolist()
    pixels = old[54:]
    header = struct.pack("<I", 124) + old[18:54] + struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0)
    header += kind + struct.pack("<9i", *(round(value * 2**30) for value in ends))
    header += struct.pack("<3I", *[round(gamma * 65536)] * 3)
    header += struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + header + pixels + profile


def test_bmp_headers_name_colours() -> None:
    picture = open_picture(bmp(struct.pack("<I", 0)))
    assert np.abs(srgb_of(picture.icc, COLOURS) - shown(COLOURS, P3, lambda v: v**2.2)).max() <= 5
    assert open_picture(bmp(b"BGRs")).icc is None
    assert open_picture(bmp(b"DEBM", profile=b"a profile")).icc == b"a profile"


def test_a_profile_in_jp2_is_kept() -> None:
    profile = ADOBE_RGB.profile(grey=False)
    assert profile is not None
    data = file_of(SWATCHES, "JPEG2000")
    at = data.index(b"colr") - 4
    (length,) = struct.unpack(">I", data[at : at + 4])
    box = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    head = data.index(b"jp2h") - 4
    (size,) = struct.unpack(">I", data[head : head + 4])
    data = data[:at] + box + data[at + length :]
    data = data[:head] + struct.pack(">I", size - length + len(box)) + data[head + 4 :]
    assert open_picture(data).icc == profile
    assert as_picture(Image.open(io.BytesIO(data))).icc == profile


def test_an_unusable_profile_is_refused_where_it_is_needed() -> None:
    data = file_of(SWATCHES, "PNG", icc_profile=b"no profile at all")
    assert open_picture(data).icc == b"no profile at all"
    with pytest.raises(ImageError, match=r"cannot be used .*leave out convert_colour=True"):
        open_picture(data, convert_colour=True)


def test_our_profile_of_srgb_changes_nothing() -> None:
    profile = rgb_profile("sRGB", primaries=SRGB, curves=[SRGB_CURVE])
    assert np.abs(srgb_of(profile, COLOURS).astype(int) - COLOURS).max() <= 1
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() == "sRGB"


def test_primaries_that_span_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="span nothing"):
        Primaries(red=(0.3, 0.3), green=(0.4, 0.4), blue=(0.5, 0.5))


@pytest.mark.parametrize("comment", [b"", b"made by hand"])
def test_a_profile_of_a_gif_is_kept(comment: bytes) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = file_of(SWATCHES.convert("P"), "GIF")
    table = 13 + (3 << ((plain[10] & 7) + 1)) * (plain[10] >> 7)
    blocks = b"".join(bytes([len(part)]) + part for part in _pieces(profile))
    before = b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0" if comment else b""
    data = plain[:table] + before + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + plain[table:]
    assert open_picture(data).icc == profile
    assert open_picture(plain).icc is None


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + 255] for start in range(0, len(data), 255)]
