"""Releases whose later passes refine their tables: files decode to the encoder's latents, in every arrangement."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("train.export", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.codec.codec import Codec
from semcomp.codec.release import Release, load_release, save_release
from semcomp.codec.self_test import arranged
from semcomp.errors import FormatError, ModelError
from semcomp.export.folder import export_onnx
from semcomp.imaging.picture import from_array
from semcomp.networks.model import CodecConfig, CodecModel
from train.export import export


def untrained(passes: int, *, refine_width: int = 24) -> Release:
    """A release whose refinement is random, and loud enough to change most tables."""
    torch.manual_seed(passes)
    config = CodecConfig(
        latents=24, hyper=8, analysis_c8=12, analysis_blocks8=1, analysis_c16=16, analysis_blocks16=1,
        synthesis_c16=16, synthesis_blocks16=1, synthesis_c8=12, synthesis_blocks8=1, synthesis_c4=8,
        entropy_width=16, nodes=4, refine_width=refine_width, passes=passes,
    )  # fmt: skip
    network = CodecModel(config).eval()
    if network.refiner is not None:
        torch.nn.init.normal_(network.refiner.weight2, std=0.1)
    photo = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    return export(network, [photo] * 4, name=f"refined{passes}", skip_below=4, origin="", quiet=True)


def size_of(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    return {"height": pixels.shape[0], "width": pixels.shape[1]}


@pytest.fixture(scope="module", params=[2, 4])
def refined(request: pytest.FixtureRequest) -> Codec:
    return Codec(untrained(request.param))


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
    first, *later = refined.coder.parts(symbols.y.shape)
    assert np.array_equal(symbols.index[first], plain[first])
    assert all((symbols.index[part] != plain[part]).any() for part in later)
    assert sum(part.astype(int) for part in (first, *later)).max() == 1


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


def test_releases_are_kept_and_told_apart(refined: Codec, tmp_path: Path) -> None:
    path = tmp_path / "refined.safetensors"
    save_release(refined.release, path)
    again = load_release(path)
    assert again.entropy_id == refined.release.entropy_id and again.config == refined.release.config
    assert again.refiner is not None and refined.release.refiner is not None
    assert torch.equal(again.refiner.weight2, refined.release.refiner.weight2)
    other = untrained(2, refine_width=0)
    assert other.refiner is None and other.entropy_id != again.entropy_id
    with pytest.raises(ModelError, match="ONNX clients do not do yet"):
        export_onnx(tmp_path / "onnx", model=str(path))
