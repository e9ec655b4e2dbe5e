"""Embeddings that are a projection of a head's features: the fit, its file, and what searches with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heads import embedding as program
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.embedding import components, fit, save
from heads.head_file import HeadInfo, build_head, save_head
from semcomp.backend import open_embedder
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError
from semcomp.semantics import head as heads
from semcomp.semantics.head import Embedder, load_embedder, load_head
from semcomp.semantics.projection import ProjectedHead, read_projection
from tests.conftest import texture


@pytest.fixture
def trunk(codec: Codec, tmp_path: Path) -> Path:
    """The file of a head that was not trained."""
    config = ClassifierConfig(classes=2, latents=codec.channels, fine=(4,), widths=(6, 8), blocks=(0, 0))
    info = HeadInfo(name="trunk", task="classify", classes=("a", "b"), entropy_id=codec.entropy_id.hex())
    save_head(build_head(info, ClassifierNetwork(config)), tmp_path / "trunk.safetensors")
    return tmp_path / "trunk.safetensors"


def test_components_keep_what_is_alike() -> None:
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32) * np.arange(1, 9, dtype=np.float32)
    matrix, shift, share = components(features, values=8)
    assert share == pytest.approx(1)  # as many values as features lose nothing
    centred, made = features - features.mean(0), features @ matrix.T + shift
    assert np.allclose(made @ made.T, centred @ centred.T, atol=1e-2)
    matrix, shift, share = components(features, values=3)
    variance = (features @ matrix.T + shift).var(0)
    assert list(variance) == sorted(variance, reverse=True)
    assert share == pytest.approx(float(variance.sum() / features.var(0).sum()), rel=1e-3)


def test_a_projection_comes_back_from_its_file(codec: Codec, trunk: Path, tmp_path: Path) -> None:
    rng, head = np.random.default_rng(0), load_head(trunk)
    photos = [texture(number % 2, 64, 80, rng) for number in range(6)]
    projection = fit(codec, head, photos, held=2, values=4)
    save(projection, tmp_path / "embed.safetensors")
    again = read_projection(tmp_path / "embed.safetensors")
    assert again.weight.shape == (4, 8) and np.array_equal(again.weight, projection.weight)
    assert (again.name, again.head, again.entropy_id) == ("embed", "trunk", codec.entropy_id)
    assert "4 photos; 4 values keep" in again.origin and "recall@1" in again.origin
    latents = codec.latents_of_image(photos[0])
    vector = Embedder(ProjectedHead(again, head)).vector(latents)
    assert np.allclose(vector, again.weight @ head.features(latents) + again.bias)
    for content in (b"no file of weights", trunk.read_bytes()):
        (tmp_path / "embed.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="embeds nothing"):
            read_projection(tmp_path / "embed.safetensors")


def test_a_released_projection_is_the_usual_embedding(
    codec: Codec, trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.fromarray(texture(number % 2, 64, 64, np.random.default_rng(number))).save(
            tmp_path / f"photos/{number}.png"
        )
    arguments = [str(tmp_path / "photos"), "-o", str(tmp_path / "embed.safetensors"), "--head", str(trunk), "--quiet"]
    assert program.main(arguments) == 0
    monkeypatch.setattr(heads, "EMBED", tmp_path / "embed.safetensors")
    real = heads.find_head
    monkeypatch.setattr(heads, "find_head", lambda name: real(trunk if name == "trunk" else name))
    for name in (None, "embed", tmp_path / "embed.safetensors"):
        assert load_embedder(name).name == "embed"
    embedding = open_embedder(None, codec)(codec.latents_of_image(texture(0, 64, 64, np.random.default_rng(0))))
    assert embedding.head == "embed" and 1 <= len(embedding.vector) <= 8
    with pytest.raises(ModelError, match="gives embeddings alone"):
        load_head("embed")


def test_too_few_photos_are_refused(trunk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(texture(0, 64, 64, np.random.default_rng(0))).save(tmp_path / "one.png")
    assert program.main([str(tmp_path), "-o", str(tmp_path / "e.safetensors"), "--head", str(trunk)]) == 2
    assert "at least four are needed" in capsys.readouterr().err
