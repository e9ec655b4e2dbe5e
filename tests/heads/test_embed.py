"""Heads that embed: photos without labels, what they learn, and the head that comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from heads import fit as program
from heads.datasets import DataConfig, DataError, SetConfig
from heads.head_file import NetworkEmbedder, read_head
from heads.photos import Photos, Recall, find_photos
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError
from semcomp.semantics.embedding import Embedding
from semcomp.semantics.head import load_embedder, load_head
from tests.conftest import texture


def test_photos_are_found_and_held_out_twice(class_folders: Path, tmp_path: Path) -> None:
    photos = find_photos(DataConfig(folder=str(class_folders), held_part=0.25))
    assert isinstance(photos, Photos) and len(photos.train) == 18 and len(photos.val) == 12
    assert [sample.target for sample in photos.train] == list(range(18))
    whole, part = photos.val[0], photos.val[6]
    assert whole.image == part.image and photos.truth(whole) == (photos.truth(part)[0], False)
    assert photos.pixels(part).shape[0] == round(0.85 * photos.pixels(whole).shape[0])
    both = DataConfig(sets=tuple(SetConfig(folder=str(class_folders / name)) for name in ("across", "along")), limit=5)
    assert len(find_photos(both).train) == 5
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photo below"):
        find_photos(DataConfig(folder=str(tmp_path / "empty")))


def test_recall_by_hand() -> None:
    score = Recall(())
    for number, vector in enumerate(([1.0, 0.0], [0.0, 1.0]), start=1):
        score.add(Embedding.of(np.array(vector), head=""), (number, False))
    score.add(Embedding.of(np.array([0.9, 0.4]), head=""), (1, True))
    score.add(Embedding.of(np.array([0.6, 0.5]), head=""), (2, True))
    assert score.figures == {"recall": 50.0} and score.doubts == ()


def test_a_head_learns_to_embed(
    codec: Codec, class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "data.side": 64,
        "data.copies": 3,
        "optim.batch": 16,
        "optim.warmup_steps": 2,
        "embed.widths": "[24, 32]",
    }
    arguments = [argument for key, value in changes.items() for argument in ("--set", f"{key}={value}")]
    arguments += ["--set", "embed.blocks=[1, 1]", "--steps", "30", "--set", "embed.classes=16", "--set", "name=mine"]
    file = tmp_path / "mine.safetensors"
    more = ["--cache", str(tmp_path / "cache"), "--json", "-o", str(file), "--log", str(tmp_path / "log.jsonl")]
    assert program.main(["--data", str(class_folders), "--task", "embed", *arguments, *more]) == 0
    assert "recall@1" in json.loads(capsys.readouterr().out)["origin"]
    head = read_head(file)
    assert isinstance(head, NetworkEmbedder) and head.info.temperature == 1
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert np.mean([row["loss"] for row in rows[25:30]]) < 0.8 * np.mean([row["loss"] for row in rows[:3]])
    answer = head(codec.latents_of_image(texture(0, 80, 80, np.random.default_rng(3)), quality=60))
    assert answer.vector.shape == (16,) and answer.head == "mine"
    with pytest.raises(ModelError, match="gives embeddings alone"):
        load_head(file)
    assert load_embedder(file).name == "mine"
    index = tmp_path / "a.index"
    assert main(["index", str(class_folders), "-o", str(index), "--embedder", str(file), "--quiet"]) == 0
    assert main(["search", str(index), "--like", str(class_folders / "along/00.png"), "--json", "--top", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
