"""Bit depth is noticed wherever a file says it, however the image comes in, and 8 bits are not refused."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError
from semcomp.imaging.picture import as_picture, open_picture
from tests.imaging.files import boxed_late, deep_avif, file_of, heic, jp2, png, tiff

RNG = np.random.default_rng(5)
DEEP_RGB = RNG.integers(0, 65536, (8, 9, 3), dtype=np.uint16)
DEEP_GREY = RNG.integers(0, 65536, (8, 9), dtype=np.uint16)
DEEP_RGB[0, :3], DEEP_GREY[0, :3] = np.array([[0], [65535], [65500]]), (0, 65535, 65500)
SMOOTH_RGB = np.dstack([np.add.outer(np.arange(8) * 3000, np.arange(9) * 1000) + i * 2000 for i in range(3)]).astype(
    np.uint16
)
PHOTO = Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8))


DEEP: dict[str, Callable[[], bytes]] = {
    "png grey": lambda: png(DEEP_GREY, bits=16, color_type=0),
    "png rgb": lambda: png(DEEP_RGB, bits=16, color_type=2),
    "png rgb behind 9 KB of text": lambda: png(
        DEEP_RGB, bits=16, color_type=2, extra=[(b"tEXt", b"Comment\0" + bytes(9000))]
    ),
    "png grey alpha": lambda: png(np.dstack([DEEP_GREY, DEEP_GREY]), bits=16, color_type=4),
    "png rgba": lambda: png(np.dstack([DEEP_RGB, DEEP_GREY]), bits=16, color_type=6),
    "jp2 rgb": lambda: jp2(DEEP_RGB),
    "jp2 grey": lambda: jp2(DEEP_GREY),
    "jp2 behind 9 KB": lambda: boxed_late(jp2(DEEP_RGB)),
    "jp2 of 12 bits behind 9 KB": lambda: boxed_late(jp2(DEEP_RGB >> 4, bitspersample=12)),
    "jp2 irreversible": lambda: jp2(DEEP_RGB, reversible=False),
    "jp2 rgba": lambda: jp2(np.dstack([DEEP_RGB, DEEP_GREY])),
    "j2k": lambda: jp2(DEEP_RGB, codecformat="j2k"),
    "tiff rgb": lambda: tiff(DEEP_RGB, photometric=2),
    "tiff grey": lambda: tiff(DEEP_GREY, photometric=1),
    "tiff int32": lambda: tiff(DEEP_GREY.astype(np.int32), photometric=1),
    "tiff float": lambda: tiff((DEEP_GREY / 65535).astype(np.float32), photometric=1),
    "ppm": lambda: b"P6 9 8 65535\n" + DEEP_RGB.astype(">u2").tobytes(),
    "ppm of 10 bits": lambda: b"P6 9 8 1023\n" + (DEEP_RGB >> 6).astype(">u2").tobytes(),
    "pgm": lambda: b"P5 9 8 65535\n" + DEEP_GREY.astype(">u2").tobytes(),
    "avif of 10 bits": lambda: deep_avif(SMOOTH_RGB, bits=10),
    "avif of 12 bits": lambda: deep_avif(SMOOTH_RGB, bits=12),
    "heic of 10 bits": lambda: heic(SMOOTH_RGB, bits=10),
    "heic of 12 bits": lambda: heic(SMOOTH_RGB, bits=12),
}
REFUSED = r"(16|12|10|32) bits a channel.*convert=True"


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_refused_and_converted(name: str, tmp_path: Path) -> None:
    data = DEEP[name]()
    (tmp_path / "a").write_bytes(data)
    for source in (data, io.BytesIO(data), tmp_path / "a"):
        with pytest.raises(ImageError, match=REFUSED):
            open_picture(source)
    lossy = "heic" in name or "avif" in name
    grey = any(word in name for word in ("grey", "pgm", "int32", "float"))
    expected = SMOOTH_RGB if lossy else np.repeat(DEEP_GREY[:, :, None], 3, 2) if grey else DEEP_RGB
    difference = np.abs(open_picture(data, convert=True, keep_hidden_colour=True).pixels - expected / 257)
    assert difference.max() <= (12 if lossy else 1.5)


@pytest.mark.parametrize("name", DEEP)
def test_a_lazily_opened_pil_image_is_refused_too(name: str, tmp_path: Path) -> None:
    data = DEEP[name]()
    if "heic" in name:
        pytest.importorskip("pillow_heif").register_heif_opener()
    with Image.open(io.BytesIO(data)) as image, pytest.raises(ImageError, match=REFUSED):
        as_picture(image)
    (tmp_path / "a").write_bytes(data)
    with Image.open(tmp_path / "a") as image:
        with pytest.raises(ImageError, match=REFUSED):
            as_picture(image)
        image.load()
        with pytest.raises(ImageError, match=REFUSED):
            as_picture(image)
        assert as_picture(image, convert=True).width == 9


def bmp_of_16_bits_a_pixel(masks: tuple[int, int, int] | None) -> tuple[bytes, NDArray[np.uint8]]:
    """A BMP of 5, 6 and 5 bits a channel, or of 5 each where there are no masks; and its colours."""
    values = RNG.integers(0, 65536, (6, 8), dtype=np.uint16)
    green_bits = 6 if masks else 5
    shifts = (5 + green_bits, 5, 0)
    channels = [(values >> shift) & ((1 << bits) - 1) for shift, bits in zip(shifts, (5, green_bits, 5), strict=True)]
    tops = (31, (1 << green_bits) - 1, 31)
    rgb = np.dstack([channel * 255 // top for channel, top in zip(channels, tops, strict=True)]).astype(np.uint8)
    info = struct.pack("<IiiHHIIiiII", 40, 8, 6, 1, 16, 3 if masks else 0, values.nbytes, 0, 0, 0, 0)
    tail = struct.pack("<3I", *masks) if masks else b""
    offset = 14 + len(info) + len(tail)
    head = b"BM" + struct.pack("<IHHI", offset + values.nbytes, 0, 0, offset)
    return head + info + tail + values[::-1].astype("<u2").tobytes(), rgb


@pytest.mark.parametrize("masks", [None, (0xF800, 0x07E0, 0x001F)])
def test_16_bits_a_pixel_are_8_bit_colours(masks: tuple[int, int, int] | None) -> None:
    data, colours = bmp_of_16_bits_a_pixel(masks)
    for source in (data, Image.open(io.BytesIO(data))):
        picture = as_picture(source)
        assert np.abs(picture.pixels.astype(int) - colours).max() <= 8


@pytest.mark.parametrize("format", ["PNG", "JPEG", "JPEG2000", "TIFF", "WEBP", "AVIF", "BMP", "GIF", "PPM", "TGA"])
def test_8_bits_are_never_refused(format: str) -> None:
    assert open_picture(file_of(PHOTO, format)).width == 32


def test_12_bits_in_tiff_fill_the_range() -> None:
    """Pillow unpacks them to 0..4095."""
    values = np.array([0, 4095, 2048, 1024])
    packed = bytes([0, 0x0F, 0xFF, 0x80, 0x04, 0x00])
    tags = [(256, 4, 1, 4), (257, 4, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 6)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    data = b"II*\0" + struct.pack("<I", 14) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)
    with pytest.raises(ImageError, match="12 bits a channel"):
        open_picture(data)
    assert open_picture(data, convert=True).pixels[0, :, 0].tolist() == np.round(values / 4095 * 255).tolist()


def test_white_is_zero_of_16_bits() -> None:
    picture = open_picture(tiff(np.array([[0, 65535, 257]], np.uint16), photometric=0), convert=True)
    assert picture.pixels[0, :, 0].tolist() == [255, 0, 254]
