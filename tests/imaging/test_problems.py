"""What cannot be read says why in one right sentence, and what can be read is not called damaged."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageCms

from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.picture import as_picture, open_picture
from semcomp.imaging.png import MAX_METADATA
from tests.imaging.files import P3_CHRM, avif, chrm, cicp, file_of, gama, iccp, png, with_chunks

PHOTO = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 50, 3), dtype=np.uint8))
PNG = file_of(PHOTO)
EXIF = b"MM\0*\0\0\0\x08\0\2\x01\x0f\0\2\0\0\0\6\0\0\0\x26\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0Maker\0"
XMP = (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')

NOT_IMAGES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"the file is empty: it has 0 bytes"),
    "text": (b"dear diary,\nnothing happened", r"text: it begins with 'dear diary,'"),
    "UTF-8": ("überhaupt kein Bild\n".encode() * 99, r"text: it begins with 'überhaupt kein Bild'"),
    "UTF-16": ("no image".encode("utf-16"), r"text: it begins with 'no image'"),
    "JSON": (b'{"a": 1}', r"text: it begins with"),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="x"/>', r"an SVG drawing: export it as PNG"),
    "HTML": (b"<!DOCTYPE html><html>", r"a web page: download the image itself"),
    "PDF": (b"%PDF-1.7\n\0\1", r"a PDF document"),
    "ZIP": (b"PK\x03\x04\0\0", r"a ZIP archive"),
    "JPEG XL": (b"\xff\x0a\0\0", r"a JPEG XL image"),
    "video": (b"\0\0\0\x18ftypmp42\0\0", r"a video or another media file \(brand 'mp42'\)"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(99), r"a HEIC image .* pip install pillow-heif"),
    "noise": (bytes(range(0, 256, 3)), r"begins with the bytes 00 03 06 .*convert it to PNG first"),
    "semc": (b"\x89SMC\1", r"a .semc file already"),
    "9 bytes of PNG": (PNG[:9], r"truncated or damaged: it begins like a PNG"),
    "3 bytes of JPEG": (b"\xff\xd8\xff", r"truncated or damaged: it begins like a JPEG"),
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_is_not_an_image(name: str, tmp_path: Path) -> None:
    data, sentence = NOT_IMAGES[name]
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png"):
        with pytest.raises(ImageError, match=sentence) as caught:
            open_picture(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "AVIF", "JPEG2000", "PPM", "HEIF"])
def test_a_cut_file_is_called_truncated_or_damaged(format: str) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = file_of(PHOTO, format)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            open_picture(data[: int(len(data) * share)])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_png_is_truncated(share: float) -> None:
    with pytest.raises(ImageError, match="the image is truncated: the file ends before its pixels do"):
        open_picture(PNG[: int(len(PNG) * share)])


SEEDS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: with_chunks(PNG, gama(50_000), chrm(P3_CHRM), cicp(12, 13), iccp(b"profile"), (b"eXIf", EXIF), XMP),
    "AVIF": lambda: avif(PHOTO, primaries=12, transfer=13, exif=EXIF),
    "JPEG2000": lambda: file_of(PHOTO, "JPEG2000"),
    "TIFF": lambda: file_of(PHOTO, "TIFF", tiffinfo={274: 6, 318: (0.31, 0.32), 319: (0.6, 0.3, 0.2, 0.6, 0.1, 0.05)}),
    "JPEG": lambda: file_of(PHOTO, "JPEG", exif=b"Exif\0\0" + EXIF, icc_profile=b"profile"),
    "BMP": lambda: file_of(PHOTO, "BMP"),
    "PPM": lambda: b"P6 # c\n3 2 65535\n" + bytes(36),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_damaged_bytes_are_an_image_error_or_an_image(name: str) -> None:
    random, whole = Random(name), SEEDS[name]()
    for _ in range(250):
        data = bytearray(whole)
        if random.random() < 0.2:
            data = data[: random.randrange(1, len(data))]
        for _ in range(random.choice((1, 2, 8))):
            data[random.randrange(min(len(data), random.choice((300, 900, 10**6))))] = random.randrange(256)
        with contextlib.suppress(ImageError):
            open_picture(bytes(data), convert=True, max_pixels=10**6)


def itxt(text: bytes, *, key: bytes = b"XML:com.adobe.xmp") -> tuple[bytes, bytes]:
    return b"iTXt", key + b"\0\1\0\0\0" + zlib.compress(text)


def test_png_with_much_text() -> None:
    xmp = b"<x:xmpmeta>" + bytes(range(65, 91)) * 45_000 + b"</x:xmpmeta>"
    data = with_chunks(PNG, itxt(xmp), (b"zTXt", b"Comment\0\0" + zlib.compress(b"words " * 250_000)))
    picture = open_picture(data)
    assert picture.xmp == xmp
    np.testing.assert_array_equal(picture.pixels, np.asarray(PHOTO))


def test_png_with_a_profile_of_3_mb() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = struct.pack(">I", 3_000_000) + profile[4:] + bytes(3_000_000 - len(profile))
    assert open_picture(with_chunks(PNG, iccp(large))).icc == large


def test_a_bomb_in_text_is_left_out_in_words_and_a_bomb_in_a_profile_refused() -> None:
    bomb = bytes(MAX_METADATA + 1)
    with pytest.warns(SemcompWarning, match=r"XMP packet .* more than 16,777,216 bytes, the limit, and is left out"):
        assert open_picture(with_chunks(PNG, itxt(bomb))).xmp is None
    with pytest.raises(ImageError, match=r"ICC profile .* more than 16,777,216 bytes"):
        open_picture(with_chunks(PNG, iccp(bomb)))
    assert open_picture(with_chunks(PNG, itxt(bomb, key=b"Comment"))).xmp is None, "other texts are not even inflated"


def test_damaged_text_in_png_is_not_the_end() -> None:
    broken = bytearray(with_chunks(PNG, (b"tEXt", b"Comment\0hello")))
    broken[50] ^= 1
    with pytest.warns(SemcompWarning, match="checksum of its tEXt chunk is wrong"):
        np.testing.assert_array_equal(open_picture(bytes(broken)).pixels, np.asarray(PHOTO))


def test_profiles_that_imagemagick_writes_as_text() -> None:
    block = b"MM\0*\0\0\0\x08\0\1\x01\x0f\0\2\0\0\0\4me!\0\0\0\0\0"
    text = b"\nexif\n      %d\n" % (len(block) + 6) + (b"Exif\0\0" + block).hex().encode() + b"\n"
    for kind, body in ((b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text))):
        picture = open_picture(with_chunks(PNG, (kind, b"Raw profile type exif\0" + body)))
        assert picture.exif == block


def test_the_formats_limit_is_the_reason() -> None:
    large = png(np.zeros((1, 1)), bits=8, color_type=0)
    for width, height in ((14_000, 13_000), (20_000, 10_000)):
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        data = large[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + large[33:]
        with pytest.raises(ImageError, match=r"a \.semc file holds.* 178,000,000: scale it down"):
            open_picture(data)
    with pytest.raises(ImageError, match=r"limit of 100: raise max_pixels"):
        open_picture(PNG, max_pixels=100)


def test_a_missing_file_stays_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_picture(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        open_picture(tmp_path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_a_closed_pil_image_is_called_closed(format: str, tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a", format)
    with Image.open(tmp_path / "a") as image:
        pass
    with pytest.raises(ImageError, match="was closed before its pixels were read"):
        as_picture(image)


def test_a_stream_is_read_from_its_beginning_wherever_it_is() -> None:
    stream = io.BytesIO(PNG)
    stream.seek(0, 2)
    np.testing.assert_array_equal(as_picture(stream).pixels, np.asarray(PHOTO))


def test_a_stream_of_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with (tmp_path / "a.png").open(encoding="utf-8") as stream:
        for source in (stream, io.StringIO("a")):
            with pytest.raises(ImageError, match="open the file in binary mode"):
                open_picture(source)  # type: ignore[arg-type]
