"""Transparent colours of PNG as libpng reads them, and what is under full transparency."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ColorMode
from semcomp.errors import SemcompWarning
from semcomp.imaging.picture import Picture, as_picture, open_picture
from tests.imaging.files import file_of, png

RNG = np.random.default_rng(11)


def visible_where(picture: Picture) -> NDArray[np.bool_]:
    assert picture.alpha is not None
    assert set(np.unique(picture.alpha)) <= {0, 255}
    assert picture.alpha is not None
    visible: NDArray[np.bool_] = picture.alpha == 255
    return visible


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("level", [0, 1, -1])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_transparent_grey_level(bits: int, level: int, interlaced: bool) -> None:
    top = (1 << bits) - 1
    level %= top + 1
    samples = RNG.integers(0, top + 1, (6, 13))
    samples[2, 3:8] = level
    extra = [(b"tRNS", struct.pack(">H", level))]
    picture = open_picture(png(samples, bits=bits, color_type=0, extra=extra, interlaced=interlaced), convert=True)
    np.testing.assert_array_equal(visible_where(picture), samples != level)
    assert picture.mode == ColorMode.L
    shown = np.round(samples * (255 / top)).astype(np.uint8)
    np.testing.assert_array_equal(picture.pixels[:, :, 0][samples != level], shown[samples != level])


@pytest.mark.parametrize(("bits", "stored"), [(1, 0x0003), (2, 0x0106), (4, 0xFF15), (8, 0x0142)])
def test_only_the_bits_of_the_depth_count(bits: int, stored: int) -> None:
    """libpng masks the value of tRNS, and PNG says that the other bits are ignored."""
    level = stored & ((1 << bits) - 1)
    samples = np.arange(16).reshape(2, 8) % (1 << bits)
    samples[0, 0] = level
    picture = open_picture(png(samples, bits=bits, color_type=0, extra=[(b"tRNS", struct.pack(">H", stored))]))
    np.testing.assert_array_equal(visible_where(picture), samples != level)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_transparent_colour(bits: int, interlaced: bool) -> None:
    samples = RNG.integers(0, 1 << bits, (5, 7, 3))
    samples[1:3, 2:4] = samples[0, 0]
    samples[4, 4] = samples[0, 0] + (1, 0, 0) if samples[0, 0, 0] < (1 << bits) - 1 else samples[0, 0] - (1, 0, 0)
    body = struct.pack(">3H", *samples[0, 0].tolist())
    data = png(samples, bits=bits, color_type=2, extra=[(b"tRNS", body)], interlaced=interlaced)
    picture = open_picture(data, convert=True)
    expected = (samples != samples[0, 0]).any(axis=2)
    np.testing.assert_array_equal(visible_where(picture), expected)
    assert expected[4, 4], "one step beside the transparent colour is opaque, in 16 bits too"


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_with_alpha(bits: int) -> None:
    palette = RNG.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    alphas = RNG.integers(0, 256, min(1 << bits, 9), dtype=np.uint8)
    samples = RNG.integers(0, 1 << bits, (6, 13))
    data = png(samples, bits=bits, color_type=3, extra=[(b"PLTE", palette.tobytes()), (b"tRNS", alphas.tobytes())])
    picture = open_picture(data)
    complete = np.concatenate([alphas, np.full((1 << bits) - len(alphas), 255, np.uint8)])
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, complete[samples])
    seen = picture.alpha > 0
    np.testing.assert_array_equal(picture.pixels[seen], palette[samples][seen])


@pytest.mark.parametrize("color_type", [4, 6])
def test_trns_beside_alpha_is_ignored(color_type: int) -> None:
    samples = RNG.integers(0, 256, (4, 5, 2 if color_type == 4 else 4))
    picture = open_picture(png(samples, bits=8, color_type=color_type, extra=[(b"tRNS", bytes(6))]))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, samples[:, :, -1])


def test_a_short_trns_makes_nothing_transparent() -> None:
    samples = np.zeros((2, 2))
    with pytest.warns(SemcompWarning, match="tRNS chunk is too short"):
        assert open_picture(png(samples, bits=8, color_type=0, extra=[(b"tRNS", b"\0")])).alpha is None


def test_a_pil_image_that_is_not_loaded_yet(tmp_path: Path) -> None:
    samples = np.array([[0, 1, 2, 3]] * 2)
    data = png(samples, bits=2, color_type=0, extra=[(b"tRNS", b"\0\2")])
    (tmp_path / "a.png").write_bytes(data)
    expected = samples != 2
    np.testing.assert_array_equal(visible_where(as_picture(Image.open(io.BytesIO(data)))), expected)
    image = Image.open(tmp_path / "a.png")
    np.testing.assert_array_equal(visible_where(as_picture(image)), expected)
    image.load()
    np.testing.assert_array_equal(visible_where(as_picture(image)), expected)
    assert image.mode == "L" and image.info["transparency"] == 2, "the caller's image is left as it is"


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_pil_image_that_was_loaded_from_memory(bits: int) -> None:
    samples = RNG.integers(0, 1 << bits, (6, 13))
    samples[0, :4] = 1, 3, 2, 0
    image = Image.open(io.BytesIO(png(samples, bits=bits, color_type=0, extra=[(b"tRNS", b"\0\3")])))
    image.load()
    np.testing.assert_array_equal(visible_where(as_picture(image)), samples != 3)


def noisy(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA: a smooth picture where alpha is not zero, noise where it is."""
    y, x = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]]
    rgb = np.stack([x % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8)
    rgb[alpha == 0] = RNG.integers(0, 256, (int((alpha == 0).sum()), 3), dtype=np.uint8)
    return np.dstack([rgb, alpha])


def test_hidden_colour_is_blanked_and_visible_colour_is_not() -> None:
    alpha = np.zeros((90, 70), np.uint8)
    alpha[20:50, 10:40] = 255
    alpha[50:52, 10:40] = 1
    rgba = noisy(alpha)
    for image in (rgba, Image.fromarray(rgba), file_of(Image.fromarray(rgba)), file_of(Image.fromarray(rgba), "TIFF")):
        picture = as_picture(image)
        assert picture.alpha is not None and np.array_equal(picture.alpha, alpha)
        np.testing.assert_array_equal(picture.pixels[alpha > 0], rgba[alpha > 0][:, :3])
        hidden = picture.pixels.astype(int)
        assert np.abs(np.diff(hidden, axis=0))[60:].max() < 30, "noise is gone"
        assert len(np.unique(picture.pixels[alpha == 0], axis=0)) < 200
        kept = as_picture(image, keep_hidden_colour=True)
        np.testing.assert_array_equal(kept.pixels, rgba[:, :, :3])


def test_a_picture_without_a_visible_pixel_is_flat() -> None:
    rgba = noisy(np.zeros((20, 30), np.uint8))
    picture = as_picture(rgba)
    assert picture.pixels.max() == picture.pixels.min() and picture.alpha is not None and not picture.alpha.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (9, 1), (17, 8), (8, 33)])
def test_sizes_that_are_not_whole_tiles(shape: tuple[int, int]) -> None:
    alpha = np.zeros(shape, np.uint8)
    alpha[-1, -1] = 200
    picture = as_picture(np.dstack([np.full((*shape, 3), 77, np.uint8), alpha]))
    assert (picture.pixels == 77).all()


def test_hidden_noise_does_not_make_a_grey_picture_coloured() -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 20:] = 255
    rgba = noisy(alpha)
    rgba[:, 20:, :3] = 90
    image = Image.fromarray(rgba)
    assert as_picture(image).mode == ColorMode.L
    assert as_picture(image, keep_hidden_colour=True).mode == ColorMode.RGB
