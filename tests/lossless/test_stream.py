"""Lossless files give back every pixel, at every size and on every backend, and damage is noticed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.errors import FormatError, ImageError, ModelError
from semcomp.lossless import stream
from semcomp.lossless.colour import ColourTransform
from semcomp.lossless.general import decode_general, encode_general
from semcomp.lossless.head import MAX_HEAD_BYTES, VERSION, Form
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.stream import bytes_needed, decode_lossless, encode_lossless
from tests.lossless.conftest import photo

SIDES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)


@pytest.mark.parametrize(("height", "width"), list(itertools.product(SIDES, SIDES)))
def test_every_small_size_comes_back_exactly(model: LosslessModel, height: int, width: int) -> None:
    pixels = photo(height, width, seed=height * 100 + width)
    assert np.array_equal(decode_lossless(encode_lossless(pixels, model=model), model=model), pixels)
    grey = np.ascontiguousarray(pixels[..., 1])
    assert np.array_equal(decode_lossless(encode_lossless(grey, model=model), model=model), grey)


@pytest.mark.parametrize("transform", ColourTransform)
def test_noise_comes_back_under_every_transform(model: LosslessModel, transform: ColourTransform) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    data = encode_lossless(pixels, model=model, transform=transform)
    assert np.array_equal(decode_lossless(data, model=model), pixels)


@pytest.mark.parametrize("value", [0, 255])
def test_flat_images_come_back_and_are_small(model: LosslessModel, value: int) -> None:
    pixels = np.full((64, 64, 3), value, np.uint8)
    data = encode_lossless(pixels, model=model, general=False)
    assert np.array_equal(decode_lossless(data, model=model), pixels)
    assert len(data) < pixels.size / 4


def test_bands_do_not_change_a_byte(model: LosslessModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photo(70, 45)
    whole = encode_lossless(pixels, model=model)
    monkeypatch.setattr("semcomp.lossless.level.ArrayNetworks.band_cells", 50)
    assert encode_lossless(pixels, model=model) == whole


def test_plain_coder_reads_and_writes_the_same_bytes(model: LosslessModel) -> None:
    pixels = photo(33, 29)
    data = encode_lossless(pixels, model=model)
    assert encode_lossless(pixels, model=model, plain=True) == data
    assert np.array_equal(decode_lossless(data, model=model, plain=True), pixels)


def test_a_changed_weight_is_another_model(model: LosslessModel) -> None:
    pixels = photo(20, 20)
    data = encode_lossless(pixels, model=model)
    networks = dict(model.networks)
    network = networks["luma11"]
    entry = network.entry.copy()
    entry[0, 0] += 1
    networks["luma11"] = type(network)(**{**vars(network), "entry": entry})
    other = LosslessModel(config=model.config, networks=networks, banks=model.banks)
    with pytest.raises(ModelError, match=other.id.hex()):
        decode_lossless(data, model=other)


def test_a_cut_file_is_refused_at_every_length(model: LosslessModel) -> None:
    data = encode_lossless(photo(9, 11), model=model)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            decode_lossless(data[:length], model=model)


def test_changed_bytes_are_never_taken_for_the_image(model: LosslessModel) -> None:
    pixels = photo(24, 18)
    data, rng = encode_lossless(pixels, model=model), np.random.default_rng(3)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with pytest.raises((FormatError, ModelError)):
            decode_lossless(bytes(damaged), model=model)


@pytest.mark.parametrize("size", [(70, 45), (33, 8), (2, 1), (1, 9)])
def test_each_reduced_size_needs_only_its_bytes(model: LosslessModel, size: tuple[int, int]) -> None:
    pixels = photo(*size)
    deep: NDArray[Any] = pixels[..., 0].astype(np.uint16) * 257
    for image in (pixels, deep):
        data = encode_lossless(image, model=model)
        for reduce in (1, 2, 3):
            count = bytes_needed(data[:MAX_HEAD_BYTES], reduce)
            assert count is not None
            decoded = decode_lossless(data[:count], model=model, reduce=reduce)
            assert np.array_equal(decoded, image[:: 1 << reduce, :: 1 << reduce])
            for length in range(0, count, 7):
                with pytest.raises(FormatError):
                    decode_lossless(data[:length], model=model, reduce=reduce)
    with pytest.raises(ValueError, match=r"0\.\.3"):
        decode_lossless(data, model=model, reduce=4)


def test_drawn_images_are_reduced_too(model: LosslessModel) -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[10:20] = 7
    data = encode_lossless(pixels, model=model)
    assert bytes_needed(data, 2) is None
    assert np.array_equal(decode_lossless(data, model=model, reduce=2), pixels[::4, ::4])


def test_a_giant_claim_is_refused_before_memory_is_taken(model: LosslessModel) -> None:
    data = bytes([VERSION, 0, 0, 8]) + b"\xff\xff\x3f" * 2 + model.id + bytes(10)
    with pytest.raises(FormatError, match="1048575x1048575"):
        decode_lossless(data, model=model)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_other_pixels_are_refused_in_words(model: LosslessModel, pixels: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="expected"):
        encode_lossless(pixels, model=model)


@pytest.mark.parametrize("near", [1, 2, 5, 8])
def test_near_lossless_keeps_its_promise_and_saves_bytes(model: LosslessModel, near: int) -> None:
    pixels = photo(67, 50)
    pixels[:5], pixels[5:9] = 0, 255  # at both ends of the range errors are cut off
    for image in (pixels, np.ascontiguousarray(pixels[..., 2])):
        exact, data = encode_lossless(image, model=model), encode_lossless(image, model=model, near=near)
        decoded = decode_lossless(data, model=model)
        off = np.abs(decoded.astype(int) - image)
        assert 0 < off.max() <= near
        assert len(data) < len(exact)


def test_near_lossless_refuses_what_would_break_its_promise(model: LosslessModel) -> None:
    with pytest.raises(ValueError, match=r"0\.\.8"):
        encode_lossless(photo(8, 8), model=model, near=9)
    with pytest.raises(ValueError, match="add up"):
        encode_lossless(photo(8, 8), model=model, near=1, transform=ColourTransform.YCOCG)


def test_drawn_images_take_the_general_coder_and_come_back_exactly(model: LosslessModel) -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:30, 20:50] = (200, 30, 5)
    pixels[::7] = 255
    for image, form in ((pixels, Form.GENERAL), (pixels[..., 0].copy(), Form.GENERAL_GREY)):
        data = encode_lossless(image, model=model)
        assert data[1] == form
        assert np.array_equal(decode_lossless(data, model=model), image)
        assert len(data) < len(encode_lossless(image, model=model, general=False))
        with pytest.raises(FormatError):
            decode_lossless(data[:-9], model=model)


def test_a_drawing_that_claims_to_be_a_giant_is_refused_in_words() -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    data = bytearray(encode_general(pixels))
    at = 1  # after a byte of signature: 14 bits of the width minus 1, 14 bits of the height minus 1
    data[at : at + 4] = ((1 << 28) - 1 | data[at + 3] >> 4 << 28).to_bytes(4, "little")
    with pytest.raises(FormatError, match="general coder"):
        decode_general(bytes(data), width=40, height=30)


def test_photos_do_not_take_the_general_coder(model: LosslessModel) -> None:
    assert encode_lossless(photo(50, 50), model=model)[1] == Form.RGB + ColourTransform.YCOCG


@pytest.mark.parametrize(("share", "searched"), [(0.5, True), (2.0, False)])
def test_only_what_a_quick_try_makes_small_is_searched_thoroughly(
    model: LosslessModel, monkeypatch: pytest.MonkeyPatch, share: float, searched: bool
) -> None:
    image = np.repeat(photo(40, 20), 2, axis=1)
    size, calls = len(encode_lossless(image, model=model, general=False)), []

    def general(pixels: NDArray[Any], *, quick: bool = False) -> bytes:
        calls.append(quick)
        return bytes(round(share * size))

    monkeypatch.setattr(stream, "encode_general", general)
    data = encode_lossless(image, model=model)
    assert calls == ([True, False] if searched else [True])
    assert (data[1] == Form.GENERAL) is searched


def deep(kind: str) -> NDArray[Any]:
    """uint16 (40, 31, 3): a photo with real low bits, noise of all 16 bits, or extremes side by side."""
    rng = np.random.default_rng(4)
    if kind == "photo":
        return photo(40, 31).astype(np.uint16) * 256 + rng.integers(0, 256, (40, 31, 3)).astype(np.uint16)
    if kind == "12 bits":
        return (photo(40, 31).astype(np.uint16) * 16 + rng.integers(0, 16, (40, 31, 3)).astype(np.uint16)) << 4
    if kind == "noise":
        return rng.integers(0, 65536, (40, 31, 3)).astype(np.uint16)
    if kind == "8 bits":
        return photo(40, 31).astype(np.uint16) * 257
    return (rng.integers(0, 8, (40, 31, 3)) // 7 * 65535 ^ 1).astype(np.uint16)


@pytest.mark.parametrize("kind", ["photo", "12 bits", "8 bits", "noise", "extremes"])
def test_16_bits_come_back_exactly(model: LosslessModel, kind: str) -> None:
    pixels = deep(kind)
    for image in (pixels, np.ascontiguousarray(pixels[..., 0])):
        data = encode_lossless(image, model=model)
        decoded = decode_lossless(data, model=model)
        assert decoded.dtype == np.uint16
        assert np.array_equal(decoded, image)


def test_16_bits_of_which_12_are_used_cost_no_more_than_12(model: LosslessModel) -> None:
    pixels = deep("12 bits")
    assert len(encode_lossless(pixels, model=model)) <= 2 + len(encode_lossless(np.right_shift(pixels, 4), model=model))


def test_16_bits_that_repeat_8_cost_what_8_cost(model: LosslessModel) -> None:
    data = encode_lossless(deep("8 bits"), model=model)
    assert len(data) == len(encode_lossless(photo(40, 31), model=model))
    flat = np.full((40, 31), 257 * 9, np.uint16)
    drawn = encode_lossless(flat, model=model)
    assert drawn[1] == Form.GENERAL_GREY
    assert np.array_equal(decode_lossless(drawn, model=model), flat)


def test_damaged_16_bits_are_never_taken_for_the_image(model: LosslessModel) -> None:
    data, rng = encode_lossless(deep("extremes")[:12, :9], model=model), np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with pytest.raises((FormatError, ModelError)):
            decode_lossless(bytes(damaged), model=model)
