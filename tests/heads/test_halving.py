"""Latents of half a picture, made of its own: the fit, its file, and heads that read large pictures smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from heads import halving as program
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.fit_config import FitConfig
from heads.halved_latents import halved
from heads.halving import fit, save
from heads.head_file import HeadInfo, TrainedHead, build_head, read_head, save_head
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from heads.training import OptimConfig
from semcomp.codec.codec import Codec
from semcomp.edge.bundle import Bundle
from semcomp.edge.head import edge_head
from semcomp.errors import ModelError
from semcomp.export.folder import export_onnx
from semcomp.semantics import halving
from semcomp.semantics.halving import Halving, load_halving
from semcomp.semantics.head import Embedder
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import Latents

CLASSES = ("a", "b", "c")


def photo(rng: np.random.Generator, *, height: int, width: int) -> NDArray[np.uint8]:
    """A picture with structures of many sizes."""
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) / cells
    pixels: NDArray[np.uint8] = (total / total.max() * 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def fitted(codec: Codec) -> Halving:
    rng = np.random.default_rng(0)
    return fit(codec, [photo(rng, height=256, width=320) for _ in range(24)], held=4)


@pytest.fixture
def released(fitted: Halving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the fit came with semcomp."""
    save(fitted, tmp_path / "halving.safetensors")
    monkeypatch.setattr(halving, "RELEASED", tmp_path / "halving.safetensors")
    halving.released.cache_clear()
    yield
    halving.released.cache_clear()


def head_of(codec: Codec, task: str, halved_from: int | None) -> TrainedHead:
    torch.manual_seed(0)
    info = HeadInfo(
        name="h",
        task=task,
        classes=CLASSES,
        palette=((0, 0, 0), (9, 9, 9), (99, 9, 9)) if task == "segment" else (),
        entropy_id=codec.entropy_id.hex(),
        halved_from=halved_from,
    )
    if task == "segment":
        return build_head(info, SegmenterNetwork(SegmenterConfig(classes=3, width16=8, width32=8, width4=4)))
    return build_head(info, ClassifierNetwork(ClassifierConfig(classes=3, widths=(8, 8), blocks=(1, 1))))


def test_the_fit_comes_near_to_the_smaller_picture(codec: Codec, fitted: Halving) -> None:
    pixels = photo(np.random.default_rng(7), height=288, width=224)
    small = np.asarray(Image.fromarray(pixels).resize((112, 144), Image.Resampling.LANCZOS))
    latents = codec.latents_of_image(pixels, quality=80)
    found, wanted = halved(latents, fitted), codec.latents_of_image(small, quality=100)
    assert (found.width, found.height) == (112, 144) and found.y_hat.shape == wanted.y_hat.shape
    error = (found.y_hat - wanted.y_hat).square().mean() / wanted.y_hat.var()
    assert error < 0.2
    shown = codec.render(found).astype(float)
    assert np.abs(shown - small).mean() < 12


@pytest.mark.parametrize(("height", "width"), [(70, 50), (16, 33), (1, 1)])
def test_odd_sides_are_rounded_up(codec: Codec, fitted: Halving, height: int, width: int) -> None:
    latents = codec.latents_of_image(np.full((height, width, 3), 90, np.uint8), quality=60)
    found = halved(latents, fitted)
    assert (found.height, found.width) == (-(-height // 2), -(-width // 2))
    assert found.y_hat.shape[2:] == (-(-found.height // 16), -(-found.width // 16))


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("task", ["classify", "segment"])
def test_heads_read_large_pictures_smaller(codec: Codec, fitted: Halving, task: str) -> None:
    latents = codec.latents_of_image(photo(np.random.default_rng(3), height=150, width=210), quality=60)
    head = head_of(codec, task, 64)
    seen = head.seen(latents)
    assert (seen.height, seen.width) == (38, 53)
    twice = halved(halved(latents, fitted), fitted)
    torch.testing.assert_close(seen.y_hat, twice.y_hat, rtol=0, atol=1e-3)
    whole = head_of(codec, task, None)
    answer, expected, other = head(latents), whole(twice), whole(latents)
    assert Embedder(head)(latents).vector.tolist() == Embedder(whole)(twice).vector.tolist()
    if isinstance(answer, Labels):
        assert answer == expected != other
    else:
        assert isinstance(answer, Segmentation) and isinstance(expected, Segmentation)
        enlarged = expected.label_map.repeat(4, 0).repeat(4, 1)[:150, :210]
        assert np.array_equal(answer.label_map, enlarged)
    for more in (151, None):
        assert head_of(codec, task, more).seen(latents) is latents
    assert head.seen(replace(latents, height=63)).y_hat is latents.y_hat


@pytest.mark.usefixtures("released")
def test_the_files_keep_what_they_hold(codec: Codec, fitted: Halving, tmp_path: Path) -> None:
    found = load_halving(halving.RELEASED)
    assert np.array_equal(found.weight, fitted.weight) and np.array_equal(found.bias, fitted.bias)
    assert found.entropy_id == codec.entropy_id and "20 photos" in found.origin
    save_head(head_of(codec, "classify", 64), tmp_path / "h.safetensors")
    assert read_head(tmp_path / "h.safetensors").halved_from == 64
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="halves no latents"):
        load_halving(tmp_path / "bad.safetensors")


def test_without_a_fit_for_the_codec_pictures_are_read_as_they_are(
    codec: Codec, fitted: Halving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = codec.latents_of_image(np.full((90, 90, 3), 90, np.uint8), quality=60)
    monkeypatch.setattr(halving, "RELEASED", tmp_path / "none.safetensors")
    for made in (False, True):
        if made:
            save(replace(fitted, entropy_id=bytes(8)), halving.RELEASED)
        halving.released.cache_clear()
        assert head_of(codec, "classify", 64).seen(latents) is latents
    halving.released.cache_clear()


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("task", ["classify", "segment"])
def test_exported_heads_read_large_pictures_smaller_too(codec: Codec, tmp_path: Path, task: str) -> None:
    pytest.importorskip("onnxscript")
    head = head_of(codec, task, 64)
    save_head(head, tmp_path / "h.safetensors")
    export_onnx(tmp_path / "edge", parts=["heads"], heads=[str(tmp_path / "h.safetensors")])
    edge = edge_head(Bundle(tmp_path / "edge"), "h")
    for height, width in ((150, 210), (100, 130), (50, 70)):
        latents = codec.latents_of_image(photo(np.random.default_rng(3), height=height, width=width), quality=60)
        given = Latents(**{**vars(latents), "y_hat": latents.y_hat.numpy()})
        seen, wanted = edge.seen(given), head.seen(latents)
        assert (seen.height, seen.width) == (wanted.height, wanted.width)
        np.testing.assert_allclose(seen.y_hat, wanted.y_hat.numpy(), atol=1e-3)
        found, expected = edge(given), head(latents)
        if isinstance(found, Labels):
            assert isinstance(expected, Labels) and found.names == expected.names
            np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
        else:
            assert isinstance(found, Segmentation) and isinstance(expected, Segmentation)
            assert found.label_map.shape == (height, width)
            assert (found.label_map == expected.label_map).mean() > 0.97


def test_settings_that_cannot_be_are_refused(codec: Codec) -> None:
    with pytest.raises(ValueError, match="64 pixels or more"):
        head_of(codec, "classify", 1)
    with pytest.raises(ValueError, match="64 pixels or more"):
        FitConfig(halved_from=0)
    with pytest.raises(ValueError, match="has a backbone"):
        FitConfig(optim=OptimConfig(stem_steps=5))


def test_the_program(codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.fromarray(photo(rng, height=384, width=400)).save(tmp_path / "photos" / f"{number}.png")
    Image.fromarray(photo(rng, height=64, width=64)).save(tmp_path / "photos" / "small.png")
    output = tmp_path / "halving.safetensors"
    assert program.main([str(tmp_path / "photos"), "-o", str(output), "--quiet"]) == 0
    assert "2 photos" in capsys.readouterr().out and load_halving(output).entropy_id == codec.entropy_id
    assert program.main([str(tmp_path / "photos" / "none"), "-o", str(output)]) != 0
    (tmp_path / "photos" / "0.png").unlink()
    (tmp_path / "photos" / "1.png").unlink()
    assert program.main([str(tmp_path / "photos"), "-o", str(output), "--quiet"]) != 0
    assert "has not two photos" in capsys.readouterr().err
