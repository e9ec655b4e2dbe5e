"""Releases whose later passes refine their tables: files decode to the encoder's latents, in every arrangement."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.codec.codec import Codec
from semcomp.codec.release import load_release, save_release
from semcomp.codec.self_test import arranged
from semcomp.errors import FormatError, ModelError
from semcomp.imaging.picture import from_array
from semcomp.pipeline.passes import FOUR, quarter
from tests.releases import untrained


def size_of(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    return {"height": pixels.shape[0], "width": pixels.shape[1]}


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "22 channels, centroid": {"latents": 22, "centroid": True},
    "scales, filters, wide kernels": {"kernel16": 5, "synthesis_scales": True, "synthesis_filters4": 1},
}


@pytest.fixture(scope="module", params=OPTIONS)
def refined(request: pytest.FixtureRequest) -> Codec:
    return Codec(untrained(**OPTIONS[request.param]))


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_a_file_decodes_to_the_latents_of_its_encoder(refined: Codec, photo: NDArray[np.uint8], quality: int) -> None:
    picture = from_array(photo)
    symbols, y_hat = refined.coder.quantize(
        refined.analyse(picture), height=picture.height, width=picture.width, quality=quality
    )
    data = refined.coder.write(symbols, quality=quality)
    for plain in (False, True):
        read = refined.coder.read(data, height=picture.height, width=picture.width, quality=quality, plain=plain)
        assert np.array_equal(read.y, symbols.y) and np.array_equal(read.z, symbols.z)
        assert np.array_equal(read.index, symbols.index)
    assert torch.equal(refined.coder.dequantize(read, quality=quality), y_hat)
    bits = refined.release.tables_y.estimate_bits(symbols.y.ravel(), symbols.index.ravel())
    bits += refined.release.tables_z.estimate_bits(
        symbols.z.ravel(), refined.coder.z_index(symbols.z.shape, quality=quality)
    )
    assert 8 * len(data) == pytest.approx(bits, rel=0.02, abs=80)
    assert (symbols.index >= 0).any()
    decoded = np.asarray(refined.decode(refined.encode(photo, quality=quality)))
    assert decoded.shape == photo.shape


def test_the_refinement_changes_tables_of_later_passes_alone(refined: Codec, photo: NDArray[np.uint8]) -> None:
    picture = from_array(photo)
    symbols, _ = refined.coder.quantize(
        refined.analyse(picture), height=picture.height, width=picture.width, quality=90
    )
    plain = refined.coder.table_numbers(symbols.z, height=picture.height, width=picture.width, quality=90)
    same = [np.array_equal(quarter(symbols.index, n), quarter(plain, n)) for n in range(FOUR)]
    assert same == [True, False, False, False]


def test_what_is_not_kept_is_neither_coded_nor_a_surprise(refined: Codec, photo: NDArray[np.uint8]) -> None:
    picture = from_array(photo)
    y, size = refined.analyse(picture), size_of(photo)
    keep = np.zeros((-(-picture.height // 16), -(-picture.width // 16)), np.bool_)
    keep[:3, :4] = True
    symbols, y_hat = refined.coder.quantize(y, **size, quality=70, keep=keep)
    assert not symbols.y[:, ~keep].any() and (symbols.index[:, ~keep] == -1).all()
    read = refined.coder.read(refined.coder.write(symbols, quality=70), **size, quality=70, keep=keep)
    assert np.array_equal(read.y, symbols.y)
    assert torch.equal(refined.coder.dequantize(read, quality=70), y_hat)


def test_threads_and_layouts_change_no_symbol(refined: Codec, photo: NDArray[np.uint8]) -> None:
    picture = from_array(photo)
    size = size_of(photo)
    symbols, _ = refined.coder.quantize(refined.analyse(picture), **size, quality=80)
    data = refined.coder.write(symbols, quality=80)
    for threads, onednn in ((1, True), (2, True), (1, False), (2, False)):
        with arranged(threads, onednn):
            assert np.array_equal(refined.coder.read(data, **size, quality=80).y, symbols.y)


def test_a_damaged_stream_is_an_error_or_other_symbols(refined: Codec, photo: NDArray[np.uint8]) -> None:
    picture = from_array(photo)
    size = size_of(photo)
    symbols, _ = refined.coder.quantize(refined.analyse(picture), **size, quality=60)
    data = refined.coder.write(symbols, quality=60)
    for place in range(0, len(data), max(1, len(data) // 12)):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        try:
            read = refined.coder.read(bytes(damaged), **size, quality=60)
        except FormatError:
            continue
        assert not (np.array_equal(read.y, symbols.y) and np.array_equal(read.z, symbols.z))


def test_tiles_agree_with_the_whole(refined: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.ascontiguousarray(np.tile(photo, (4, 3, 1)))
    data = refined.encode(pixels, quality=70)
    y, whole = refined.analyse(from_array(pixels)), np.asarray(refined.decode(data)).astype(int)
    monkeypatch.setattr("semcomp.pipeline.tiles.TILE", 128)
    assert (refined.analyse(from_array(pixels)) - y).abs().max() < 0.02 * y.abs().max()  # in bfloat16
    assert np.abs(np.asarray(refined.decode(data)).astype(int) - whole).max() <= 2


@pytest.mark.parametrize("passes", [2, 4])
def test_symbols_decode_to_points_between_them(passes: int, photo: NDArray[np.uint8]) -> None:
    """With the full share the latents move towards their means, alike in encoder and decoder; symbols stay integers."""
    release, size = untrained(passes, refine_width=24 if passes == 4 else 0, centroid=True), size_of(photo)
    found = []
    for share in (0.0, 1.0):
        weights = {**release.weights, "centroid.share.weight": torch.full((4, 1), share, dtype=torch.float16)}
        codec = Codec(replace(release, weights=weights))
        symbols, y_hat = codec.coder.quantize(codec.analyse(from_array(photo)), **size, quality=80)
        read = codec.coder.read(codec.coder.write(symbols, quality=80), **size, quality=80)
        assert np.array_equal(read.y, symbols.y)
        assert torch.allclose(codec.coder.dequantize(read, quality=80), y_hat, atol=1e-6)
        found.append(codec.coder.dequantize(symbols, quality=80))
    assert not torch.equal(*found)


@pytest.mark.parametrize("option", [{"width": True}, {"analysis_rate": True}, {"latents_low": 12}], ids=str)
def test_options_without_a_decoder_are_refused_in_words(option: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"needs {next(iter(option))}, which can be trained but not encoded with yet"):
        untrained(**option)


def test_releases_are_kept_and_told_apart(refined: Codec, tmp_path: Path) -> None:
    path = tmp_path / "refined.safetensors"
    save_release(refined.release, path)
    again = load_release(path)
    assert again.entropy_id == refined.release.entropy_id and again.config == refined.release.config
    assert again.refiner is not None and refined.release.refiner is not None
    assert torch.equal(again.refiner.weight2, refined.release.refiner.weight2)
    other = untrained(2, refine_width=0)
    assert other.refiner is None and other.entropy_id != again.entropy_id
    for passes, refine_width in ((2, 24), (4, 0)):
        with pytest.raises(ModelError, match="four passes refine their tables and two do not"):
            untrained(passes, refine_width=refine_width)
