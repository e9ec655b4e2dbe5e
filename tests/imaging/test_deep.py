"""Images of 16 bits a channel are read with every bit, the right way up, or refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError
from semcomp.imaging.deep import deep_png
from semcomp.imaging.exact import exact_picture


def deep(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 65536, shape).astype(np.uint16)


@pytest.mark.parametrize("shape", [(13, 9), (13, 9, 3), (1, 1, 3)])
def test_a_png_of_16_bits_keeps_every_bit(shape: tuple[int, ...]) -> None:
    picture = exact_picture(deep_png(deep(*shape), xmp=b"<x/>"))
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, deep(*shape))
    assert picture.xmp == b"<x/>"


def test_a_tiff_of_16_bit_grey_keeps_every_bit() -> None:
    buffer = io.BytesIO()
    Image.fromarray(deep(7, 8)).save(buffer, "TIFF")
    assert np.array_equal(exact_picture(buffer.getvalue()).pixels, deep(7, 8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_are_turned_as_8_bits_are(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    record = exif.tobytes().removeprefix(b"Exif\0\0")
    samples = deep(5, 7)
    small = io.BytesIO()
    Image.fromarray((samples >> 8).astype(np.uint8)).save(small, "PNG", exif=exif)
    turned = exact_picture(deep_png(samples, exif=record)).pixels
    assert np.array_equal((turned >> 8).astype(np.uint8), exact_picture(small.getvalue()).pixels)


def test_a_transparent_colour_of_16_bits_is_refused_in_words() -> None:
    data = deep_png(deep(4, 4))
    at = data.index(b"IDAT") - 4
    body = b"tRNS\x00\x07"
    import struct
    import zlib

    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(ImageError, match="without alpha"):
        exact_picture(data[:at] + chunk + data[at:])


@pytest.mark.parametrize("array", [deep(4, 4, 4), deep(0, 4), deep(2, 2, 2, 2)])
def test_other_arrays_of_16_bits_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="16 bits"):
        exact_picture(array)
