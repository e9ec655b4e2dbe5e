"""Pictures in and out: kept exactly, or refused with a sentence that says what to do."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from semcomp.bitstream.alpha import pack_alpha, unpack_alpha
from semcomp.bitstream.container import ColorMode
from semcomp.errors import FormatError, ImageError, SemcompWarning
from semcomp.imaging.picture import Picture, as_picture, from_array, from_tensor, open_picture, to_pil
from tests.imaging.files import tiff

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_of_16_bits(*, color_type: int, channels: int) -> bytes:
    values = RNG.integers(0, 65536, (4, 5 * channels), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, color_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def assert_convertible(data: bytes, *, says: str) -> Picture:
    """Refused with one sentence that names the way out, and taken with convert=True."""
    with pytest.raises(ImageError, match=says) as caught:
        open_picture(data)
    assert "pass convert=True to" in str(caught.value)
    assert "\n" not in str(caught.value)
    return open_picture(data, convert=True)


def test_rgb_comes_back_as_it_was() -> None:
    picture = open_picture(file_of(Image.fromarray(RGB)))
    assert picture.mode is ColorMode.RGB and picture.alpha is None and (picture.width, picture.height) == (9, 6)
    np.testing.assert_array_equal(picture.pixels, RGB)
    np.testing.assert_array_equal(np.asarray(to_pil(picture)), RGB)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", None])
def test_every_8_bit_mode_shows_the_same_picture_afterwards(mode: str, format: str | None) -> None:
    image = Image.fromarray(np.dstack([RGB, ALPHA]) if mode.endswith("A") else RGB).convert(mode)
    if format:
        image = Image.open(io.BytesIO(file_of(image, format)))
    restored = to_pil(as_picture(image))
    assert restored.mode in ("L", "LA", "RGB", "RGBA")
    assert restored.mode.startswith("L") == (mode in ("1", "L", "LA"))
    assert restored.mode.endswith("A") == mode.endswith("A")
    np.testing.assert_array_equal(np.asarray(restored.convert("RGBA")), np.asarray(image.convert("RGBA")))


@pytest.mark.parametrize("image", [Image.fromarray(RGB), Image.fromarray(GREY), Image.fromarray(RGB).quantize(5)])
def test_a_transparent_colour_becomes_alpha(image: Image.Image) -> None:
    pixel = image.getpixel((2, 3))
    opened = Image.open(io.BytesIO(file_of(image, transparency=pixel)))
    restored = to_pil(as_picture(opened))
    assert restored.mode in ("LA", "RGBA")
    assert np.asarray(restored.getchannel("A"))[3, 2] == 0
    expected = np.asarray(opened.convert("RGBA"))
    visible = expected[:, :, 3] > 0
    np.testing.assert_array_equal(np.asarray(restored.convert("RGBA"))[visible], expected[visible])
    np.testing.assert_array_equal(np.asarray(restored.getchannel("A")), expected[:, :, 3])


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_never_reduced_silently(color_type: int, channels: int) -> None:
    picture = assert_convertible(png_of_16_bits(color_type=color_type, channels=channels), says="16 bits a channel")
    assert (picture.width, picture.height) == (5, 4)
    assert (picture.alpha is not None) == (channels in (2, 4))


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    picture = assert_convertible(file_of(Image.fromarray(ramp), "TIFF"), says="16 bits a channel")
    assert picture.mode is ColorMode.L
    assert picture.pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_ppm_is_refused() -> None:
    assert_convertible(b"P6 2 1 65535\n" + bytes(range(12)), says="16 bits a channel")


def test_float_values_outside_the_range_are_refused_even_with_convert() -> None:
    inside = file_of(Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32)), "TIFF")
    assert assert_convertible(inside, says="32 bits a channel").pixels[0, :, 0].tolist() == [0, 128, 255]
    outside = file_of(Image.fromarray(np.array([[0, 300.0]], dtype=np.float32)), "TIFF")
    with pytest.raises(ImageError, match=r"\[0, 300\], outside \[0, 1\]"):
        open_picture(outside, convert=True)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "HSV"])
def test_other_colour_spaces_are_converted_on_demand_only(mode: str) -> None:
    colour = Image.new("RGB", (3, 2), (200, 30, 60))
    if mode == "LAB":
        source, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(colour, source, target, outputMode="LAB")
        assert converted is not None
        image = converted
    else:
        image = colour.convert(mode)
    with pytest.raises(ImageError, match=rf"the image is {mode} .*convert=True"):
        as_picture(image)
    picture = as_picture(image, convert=True)
    assert np.abs(picture.pixels[0, 0].astype(int) - (200, 30, 60)).max() <= 4
    assert picture.icc is None


def test_cmyk_jpeg() -> None:
    picture = assert_convertible(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), says="CMYK")
    assert picture.pixels[0, 0, 0] > 200 and picture.pixels[0, 0, 1:].max() < 40


def test_animation_is_refused_and_its_first_frame_taken_on_demand() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    picture = assert_convertible(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), says="3 frames")
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]


def test_the_second_view_of_a_phone_photo_is_no_animation() -> None:
    views = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = file_of(views[0], "MPO", save_all=True, append_images=views[1:])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert open_picture(data).pixels[8, 8, 0] > 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied_and_its_tag_dropped(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    complete = Image.Exif()
    complete.load(exif.tobytes())  # the TIFF writer forgets a directory that was never serialised
    upright = Image.new("L", (24, 16))
    upright.paste(255, (0, 0, 8, 8))  # a white block at the top left
    back = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]  # stores it as such a camera would
    turns = [None, None, *(Image.Transpose(value) for value in (0, 3, 1, 5, 4, 6, 2))]
    turn = turns[back]
    stored = upright.transpose(turn) if turn is not None else upright
    options = {"lossless": True} if format == "WEBP" else {}
    picture = open_picture(file_of(stored.convert("RGB"), format, exif=complete, **options))
    assert (picture.width, picture.height) == (24, 16)
    assert picture.pixels[:7, :7].min() > 200 and picture.pixels[9:].max() < 50 and picture.pixels[:, 9:].max() < 50
    kept = to_pil(picture).getexif()
    assert kept.get(0x0112, 1) == 1
    assert kept[0x010F] == "Maker"
    assert kept.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"


def test_exif_and_profile_are_kept_to_the_byte() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = open_picture(file_of(Image.fromarray(RGB), "JPEG", exif=exif, icc_profile=icc))
    assert picture.icc == icc
    assert picture.exif == exif.tobytes().removeprefix(b"Exif\0\0")
    restored = Image.open(io.BytesIO(file_of(to_pil(picture), "PNG", exif=to_pil(picture).getexif())))
    assert restored.getexif()[0x010E] == "a description" and restored.info["icc_profile"] == icc


def test_a_plain_image_keeps_nothing_but_pixels() -> None:
    picture = open_picture(file_of(Image.fromarray(RGB), "TIFF"))
    assert picture.icc is None and picture.exif is None


def test_the_callers_image_is_left_as_it_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(io.BytesIO(file_of(Image.fromarray(RGB), exif=exif)))
    assert as_picture(image).width == 6
    assert image.size == (9, 6) and image.getexif()[0x0112] == 6


def test_broken_exif_turns_nothing() -> None:
    data = file_of(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\xff")
    with pytest.warns(SemcompWarning, match="metadata of the image is damaged"):
        picture = open_picture(data)
    assert (picture.width, picture.height) == (9, 6)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM"])
def test_cut_files_are_refused_at_every_length(format: str) -> None:
    data = file_of(Image.fromarray(np.tile(RGB, (4, 4, 1))), format)
    for length in {0, 1, 7, 12, len(data) // 3, len(data) // 2, len(data) - 40}:
        with pytest.raises(ImageError):
            open_picture(data[:length])


def test_sources(tmp_path: Path) -> None:
    data = file_of(Image.fromarray(RGB))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with path.open("rb") as stream:
        for source in (path, str(path), data, io.BytesIO(data), stream, Image.open(path), RGB, from_array(RGB)):
            np.testing.assert_array_equal(as_picture(source).pixels, RGB)
        assert not stream.closed
    with pytest.raises(FileNotFoundError):
        open_picture(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="int is not an image"):
        open_picture(3)  # type: ignore[arg-type]


def test_limits() -> None:
    with pytest.raises(ImageError, match=r"9x6 = 54 pixels.*limit of 50"):
        open_picture(file_of(Image.fromarray(RGB)), max_pixels=50)
    with pytest.raises(ImageError, match="no side may exceed"):
        open_picture(file_of(Image.new("1", (2**20 + 1, 1))))


def test_arrays() -> None:
    assert from_array(GREY).mode is ColorMode.L
    np.testing.assert_array_equal(from_array(GREY[:, :, None]).pixels[:, :, 2], GREY)
    alpha = from_array(np.dstack([RGB, ALPHA])).alpha
    assert alpha is not None and np.array_equal(alpha, ALPHA)
    both = from_array(np.dstack([GREY, ALPHA]))
    assert both.mode is ColorMode.L and both.alpha is not None and np.array_equal(both.alpha, ALPHA)
    np.testing.assert_array_equal(from_array(RGB[::2, ::-1]).pixels, RGB[::2, ::-1])
    shapes = [np.zeros(shape, np.uint8) for shape in ((2, 3, 3, 3), (2, 3, 5), (0, 4, 3))]
    wrongs: list[NDArray[Any]] = [RGB.astype(np.float32), *shapes]
    for wrong in wrongs:
        with pytest.raises(ImageError):
            from_array(wrong)


def test_tensors() -> None:
    tensor = torch.from_numpy(RGB.copy()).permute(2, 0, 1)[None].float() / 255
    np.testing.assert_array_equal(from_tensor(tensor).pixels, RGB)
    np.testing.assert_array_equal(as_picture(tensor.double().requires_grad_()).pixels, RGB)
    assert from_tensor(tensor[:, :1]).mode is ColorMode.L
    for wrong in (tensor[0], tensor.repeat(2, 1, 1, 1), tensor * 255, tensor.to(torch.uint8), tensor * torch.nan):
        with pytest.raises(ImageError):
            from_tensor(wrong)


def test_the_mean_of_three_channels_is_the_grey_value() -> None:
    pixels = np.array([[[10, 11, 13], [255, 255, 255]]], dtype=np.uint8)
    image = to_pil(Picture(pixels=pixels, mode=ColorMode.L))
    assert image.mode == "L" and np.asarray(image).tolist() == [[11, 255]]


def test_alpha_is_kept_exactly() -> None:
    np.testing.assert_array_equal(unpack_alpha(pack_alpha(ALPHA), width=9, height=6), ALPHA)


def test_damaged_alpha_is_a_format_error() -> None:
    data = pack_alpha(ALPHA)
    with pytest.raises(FormatError, match="not 8-bit grey of 9x7"):
        unpack_alpha(data, width=9, height=7)
    with pytest.raises(FormatError):
        unpack_alpha(file_of(Image.fromarray(RGB)), width=9, height=6)
    for length in range(len(data) - 13):
        with pytest.raises(FormatError):
            unpack_alpha(data[:length], width=9, height=6)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            assert unpack_alpha(bytes(damaged), width=9, height=6).shape == (6, 9)
        except FormatError as error:
            assert "encode the picture again" in str(error)


def test_alpha_holds_pixels_and_nothing_else() -> None:
    data = pack_alpha(ALPHA)
    end = data.index(b"IEND") - 4
    text = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b"))
    long = struct.pack(">I", 1 << 30) + data[end + 4 :]
    for changed in (data[:end] + text + data[end:], data[:end] + long, data + data[8:33]):
        with pytest.raises(FormatError, match="the alpha chunk is damaged at its byte"):
            unpack_alpha(changed, width=9, height=6)


def test_a_read_only_array_is_copied_and_nothing_is_aliased_by_accident() -> None:
    frozen = RGB.copy()
    frozen.flags.writeable = False
    assert from_array(frozen).pixels.flags.writeable


def test_arrays_and_tensors_keep_their_channels() -> None:
    """A caller of an array gets the shape back that was put in."""
    grey = np.repeat(GREY[:, :, None], 3, axis=2)
    assert as_picture(grey).mode is ColorMode.RGB
    assert as_picture(torch.from_numpy(grey).permute(2, 0, 1)[None] / 255).mode is ColorMode.RGB
    assert as_picture(Image.fromarray(grey)).mode is ColorMode.L


def psd(samples: NDArray[np.uint8], *, mode: int, resources: dict[int, bytes] | None = None) -> bytes:
    """A Photoshop file of the merged picture alone."""
    height, width, channels = samples.shape
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, 8, mode)
    blocks = b"".join(
        b"8BIM" + struct.pack(">H2xI", number, len(body)) + body + bytes(len(body) % 2)
        for number, body in (resources or {}).items()
    )
    return head + struct.pack(">II", 0, len(blocks)) + blocks + bytes(6) + samples.transpose(2, 0, 1).tobytes()


def test_exif_and_xmp_of_psd_are_kept() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    data = psd(RGB, mode=3, resources={1058: exif.tobytes()[6:], 1060: b"<x/>"})
    picture = open_picture(data)
    assert np.array_equal(picture.pixels, RGB), "Photoshop has turned the pixels"
    assert picture.xmp == b"<x/>" and to_pil(picture).getexif()[0x010F] == "Maker"


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (lambda: tiff(np.dstack([RGB, GREY]), photometric=2, tags={338: 0}), "1 more channel than RGB"),
        (lambda: tiff(np.dstack([GREY, ALPHA]), photometric=1, tags={338: 0}), "1 more channel than L"),
        (lambda: psd(np.dstack([GREY, ALPHA]), mode=1), "1 more channel than L"),
    ],
)
def test_channels_that_pillow_drops_are_named(data: Any, more: str) -> None:
    with pytest.warns(SemcompWarning, match=more):
        open_picture(data())


def test_a_preview_is_not_taken_for_the_picture() -> None:
    data = tiff(RGB, photometric=2, tags={254: 1, 330: 8})
    with pytest.raises(ImageError, match=r"preview of 9x6.*develop it"):
        open_picture(data, convert=True)
