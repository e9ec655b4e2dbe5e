"""Masks and label maps as image files: every integer type, and files that cannot hold numbers."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError
from semcomp.semantics.label_png import read_label_png
from semcomp.semantics.mask_file import read_mask, read_numbers

IDS = np.array([[0, 1, 7], [0, 0, 3]])


def saved(array: Any, path: Path, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("dtype", "suffix", "factor"),
    [
        (np.uint8, "png", 1),
        (np.uint8, "tif", 1),
        (np.uint8, "bmp", 1),
        (np.uint16, "png", 1),
        (np.uint16, "png", 300),
        (np.uint16, "png", 256),
        (np.uint16, "tif", 9000),
        (np.int16, "tif", 300),
        (np.int32, "tif", 1),
        (np.int32, "tif", 65536),
        (np.int32, "tif", -5),
        (np.uint32, "tif", 70000),
        (np.float32, "tif", 2),
    ],
)
def test_every_id_but_zero_is_marked(tmp_path: Path, dtype: Any, suffix: str, factor: int) -> None:
    path = saved((IDS * factor).astype(dtype), tmp_path / f"ids.{suffix}")
    assert np.array_equal(read_mask(path), IDS != 0)
    assert np.array_equal(read_numbers(path), IDS * factor)


@pytest.mark.parametrize("read", [read_mask, read_numbers])
def test_a_tiff_in_which_0_is_white_is_refused(tmp_path: Path, read: Any) -> None:
    path = saved(IDS.astype(np.uint8), tmp_path / "ids.tif")
    black_is_0, white_is_0 = (struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0))
    assert path.read_bytes().count(black_is_0) == 1
    path.write_bytes(path.read_bytes().replace(black_is_0, white_is_0))
    with pytest.raises(ImageError, match="0 is white"):
        read(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_numbers_of_few_bits_are_not_scaled(tmp_path: Path, bits: int) -> None:
    numbers = np.array([[0, 1, 2**bits - 1], [1, 0, 0]], np.uint8)
    path = tmp_path / "few.png"
    path.write_bytes(grey_png(numbers, bits))
    assert np.array_equal(read_numbers(path), numbers)
    assert np.array_equal(read_mask(path), numbers != 0)


@pytest.mark.parametrize(("maximum", "kind"), [(4, b"P5"), (7, b"P2"), (255, b"P5"), (1000, b"P5"), (65535, b"P5")])
def test_numbers_of_pgm_are_as_in_the_file(tmp_path: Path, maximum: int, kind: bytes) -> None:
    numbers = np.array([[0, 1, 4], [2, 3, 4]])
    plain = " ".join(str(number) for number in numbers.ravel()).encode()
    binary = numbers.astype(">u2" if maximum > 255 else "u1").tobytes()
    path = tmp_path / "classes.pgm"
    path.write_bytes(b"%s\n3 2\n# a comment\n%d\n%s" % (kind, maximum, plain if kind == b"P2" else binary))
    assert np.array_equal(read_numbers(path), numbers)


@pytest.mark.parametrize(
    ("name", "options", "loses"),
    [
        ("a.webp", {"lossless": True}, False),
        ("a.webp", {"quality": 80, "icc_profile": bytes(300)}, True),
        ("a.avif", {}, True),
        ("a.jp2", {"irreversible": True}, True),
        ("a.jp2", {}, False),
    ],
)
def test_masks_with_loss_are_refused(tmp_path: Path, name: str, options: dict[str, Any], loses: bool) -> None:
    marked = np.zeros((16, 16), np.uint8)
    marked[4:9, 3:8] = 200
    path = saved(np.repeat(marked[:, :, None], 3, axis=2), tmp_path / name, **options)
    if not loses:
        assert np.array_equal(read_mask(path), marked > 0)
        return
    with pytest.raises(ImageError, match="changes numbers; save it as a PNG"):
        read_mask(path)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    image = Image.fromarray(IDS.astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 0, 0] + [0, 9, 0] * 6)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    writer = Thread(target=pipe.write_bytes, args=(buffer.getvalue(),))
    writer.start()
    segmentation = read_label_png(pipe)
    writer.join()
    assert np.array_equal(segmentation.label_map, IDS) and segmentation.palette[1] == (255, 0, 0)


def grey_png(numbers: NDArray[np.integer[Any]], bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits, which Pillow does not write."""
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = numbers.shape
    rows = b""
    for row in numbers:
        text = "".join(f"{number:0{bits}b}" for number in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_indices_of_a_palette_are_ids_even_where_they_are_black(tmp_path: Path) -> None:
    image = Image.fromarray(IDS.astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 0, 0])  # 3 and 7 have no colour of their own
    image.save(tmp_path / "ids.png")
    assert np.array_equal(read_mask(tmp_path / "ids.png"), IDS != 0)


def test_a_drawing_with_white_first_keeps_what_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "drawing.png")
    assert read_mask(tmp_path / "drawing.png").tolist() == [[True, False, False]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_marked_where_they_are_not_black(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "painted.png"
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[0, 1] = (0, 0, 1, 255) if mode != "LA" else (9, 9, 9, 255)
    pixels[1, 2] = (255, 255, 255, 0)  # hidden under transparency
    Image.fromarray(pixels).convert(mode).save(path)
    expected = np.zeros((2, 3), bool)
    expected[0, 1] = True
    expected[1, 2] = mode == "RGB"
    assert np.array_equal(read_mask(path), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "not an image"),
        (lambda path: path.write_text("ids"), "not an image"),
        (lambda path: Image.new("L", (9, 9), 3).save(path, "JPEG"), "JPEG, which changes numbers"),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "cannot be read"),
        (
            lambda path: path.write_bytes(grey_png(np.random.default_rng(0).integers(0, 9, (64, 64)), 4)[:700]),
            "cannot be read",
        ),
    ],
)
@pytest.mark.parametrize("read", [read_mask, read_numbers])
def test_what_holds_no_numbers_is_one_sentence(tmp_path: Path, make: Any, message: str, read: Any) -> None:
    path = tmp_path / "mask.png"
    make(path)
    with pytest.raises(ImageError, match=message) as caught:
        read(path)
    assert "mask.png" in str(caught.value)


def test_a_colour_image_is_no_label_map(tmp_path: Path) -> None:
    path = saved(np.zeros((3, 3, 3), np.uint8), tmp_path / "photo.png")
    with pytest.raises(ImageError, match="RGB pixels; expected a grey or palette PNG"):
        read_numbers(path)


def test_fractions_are_no_numbers(tmp_path: Path) -> None:
    path = saved(np.array([[0.5]], np.float32), tmp_path / "soft.tif")
    with pytest.raises(ImageError, match="fractions"):
        read_mask(path)
