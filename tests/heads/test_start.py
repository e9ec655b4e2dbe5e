"""Heads of a user's own: they start from a trunk, learn for a number of steps, and say early how well they do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heads import fit as program
from heads.byte_weights import from_bytes, in_bytes
from heads.classifier import ClassifierConfig, ClassifierNetwork
from heads.datasets import DataConfig
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.head_file import HeadInfo, build_head, read_head, save_head
from heads.score import MeanIou, TopOne
from heads.segmenter import SegmenterNetwork
from heads.start import begin, read_trunk, take_trunk, usual_trunk
from heads.training import OptimConfig
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError
from semcomp.semantics.results import Labels, Segmentation, default_palette
from semcomp.weights.files import WEIGHTS

IMAGENETTE = WEIGHTS / "imagenette.safetensors"


def fit(folder: Path, place: Path, *more: str) -> int:
    small = {"data.side": 64, "data.copies": 2, "optim.batch": 8, "optim.warmup_steps": 2, "optim.mixup": 0}
    changes = [argument for key, value in small.items() for argument in ("--set", f"{key}={value}")]
    output = ["-o", str(place / "own.safetensors"), "--cache", str(place / "cache"), "--log", str(place / "log.jsonl")]
    return program.main(["--data", str(folder), *changes, *output, *more])


def test_a_head_starts_from_a_trunk_and_says_early_how_well_it_does(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(class_folders, tmp_path, "--steps", "20", "--json") == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert "starts from the trunk of things" in facts["origin"] and facts["warnings"] == []
    first, *marks = err.splitlines()
    assert first.startswith("22 pictures of 2 classes and 2 held out; 44 crops are encoded first")
    assert marks[0].startswith("  5 %  step 1  ") and "top-1" in marks[0] and "of 2 held-out pictures" in marks[0]
    assert len(marks) == 5 and "loss" in marks[-1]
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["steps"] == 20 and rows[-1]["top1"] == 100
    head = read_head(tmp_path / "own.safetensors")
    assert head.network.config.backbone == "efficientnet-lite2"
    assert head.name == "own", "a head is called after its file"


def test_the_last_layers_learn_first(class_folders: Path, tmp_path: Path) -> None:
    more = ("--steps", "6", "--quiet", "--set", "optim.last_first=1", "--trunk", "imagenette")
    assert fit(class_folders, tmp_path, *more) == 0
    own, trunk = (read_head(file).network.state_dict() for file in (tmp_path / "own.safetensors", IMAGENETTE))
    kept = from_bytes(in_bytes(trunk))
    for name, value in own.items():
        if not name.startswith(("linear.", "norm.")) and name in kept:
            assert torch.equal(value, kept[name]), name
    assert own["linear.weight"].shape == (2, 1280)


def test_a_trunk_is_taken_but_for_what_names_its_classes(codec: Codec) -> None:
    trunk = read_trunk("objects", task="segment", codec=codec)
    assert isinstance(trunk.network, SegmenterNetwork)
    network = SegmenterNetwork(replace(trunk.network.config, classes=3))
    before = network.logits.weight.detach().clone()
    take_trunk(network, trunk)
    own, theirs = network.state_dict(), trunk.network.state_dict()
    assert torch.equal(own["logits.weight"], before)
    assert all(torch.equal(own[name], theirs[name]) for name in own if not name.startswith("logits."))


def test_what_is_no_trunk_is_one_sentence(codec: Codec, tmp_path: Path) -> None:
    info = HeadInfo(name="other", task="classify", classes=("a", "b"), entropy_id="00" * 8)
    save_head(build_head(info, ClassifierNetwork(ClassifierConfig(classes=2))), tmp_path / "o.safetensors")
    with pytest.raises(ModelError, match="should segment"):
        read_trunk("imagenette", task="segment", codec=codec)
    with pytest.raises(ModelError, match="reads latents of 00"):
        read_trunk(str(tmp_path / "o.safetensors"), task="classify", codec=codec)
    assert (usual_trunk("classify", codec), usual_trunk("segment", codec)) == ("things", "objects")


def test_a_classifier_takes_the_layers_of_a_segmenter(codec: Codec, class_folders: Path) -> None:
    data = DataConfig(folder=str(class_folders))
    config = FitConfig(task="classify", trunk="objects", data=data)
    network, start = begin(config, codec, find_dataset("classify", data))
    assert start.is_trunk and network.config.classes == 2
    trunk = read_head(WEIGHTS / "objects.safetensors").network
    value, quality = torch.rand(1, 320, 6, 8), torch.tensor([50])
    with torch.no_grad():
        grid = network.eval().after_stem(network.stem(value, quality))[1]
        assert torch.equal(grid, trunk.after_stem(trunk.stem(value, quality))[1])


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 5, "epochs": 1},
        {"minutes": 1, "epochs": 1},
        {"last_first": 2},
        {"steps": -3},
        {"minutes": float("nan")},
    ],
)
def test_contradicting_lengths_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="optim"):
        OptimConfig(**given)


def answered(pairs: list[tuple[str, str]]) -> TopOne:
    score = TopOne(("cat", "dog", "cow"))
    for true, said in pairs:
        score.add(Labels(names=(said,), scores=(1.0,)), score.classes.index(true))
    return score


def test_a_classifier_that_guesses_is_doubted() -> None:
    names = ("cat", "dog", "cow")
    good = answered([(name, name) for name in names] * 8)
    assert good.doubts == () and good.percent == 100
    guessing = answered([(names[k % 3], names[k // 3 % 3]) for k in range(27)])
    assert (
        len(guessing.doubts) == 1 and "top-1 of 33 % of 27 held-out pictures is near chance, 33 %" in guessing.doubts[0]
    )
    one = answered([(names[k % 3], "dog") for k in range(30)])
    assert "near chance" in one.doubts[0] and "it says 'dog' of 30 of 30 held-out pictures" in one.doubts[1]
    assert answered([]).doubts == ()


def test_a_segmenter_that_says_background_alone_is_doubted() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[:7] = 1
    for share, doubted in ((0, True), (7, False)):
        answer = np.zeros_like(truth)
        answer[:share] = 1
        score = MeanIou(("background", "dog"))
        score.add(Segmentation(label_map=answer, classes=score.classes, palette=default_palette(2)), truth)
        assert bool(score.doubts) == doubted
        if doubted:
            assert "it says 'background' of 100 % of the held-out pixels" in score.doubts[0]
            assert "mean IoU of the other classes is 0.0" in score.doubts[0]


def test_what_is_asked_is_read_before_torch_is_loaded() -> None:
    code = "import sys; from heads.fit import build_parser as b; b().parse_args([]); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "False\n"
