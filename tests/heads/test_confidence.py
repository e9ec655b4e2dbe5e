"""Temperatures and the expected calibration error of heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heads import fit as program
from heads.classifier import ClassifierConfig
from heads.confidence import HeldScores, calibrate, calibration_error, divide_scores, held_scores, temperature_of
from heads.head_file import HeadInfo, build_head, build_network, read_head
from heads.segmenter import SegmenterConfig
from semcomp.semantics.results import VOID


def held(images: int, *, overconfident: float, seed: int = 0) -> HeldScores:
    """Classes drawn by the probabilities of scores, which are then multiplied."""
    generator = torch.Generator().manual_seed(seed)
    scores = 1.5 * torch.randn(images, 5, generator=generator)
    target = torch.multinomial(scores.softmax(1), 1, generator=generator)[:, 0]
    return HeldScores(scores=overconfident * scores, target=target, image=torch.arange(images))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_a_temperature_undoes_what_made_scores_too_sure(factor: float) -> None:
    assert temperature_of(held(4000, overconfident=factor)) == pytest.approx(factor, rel=0.08)


def test_few_images_move_a_temperature_little() -> None:
    right = HeldScores(scores=torch.eye(4) * 3, target=torch.arange(4), image=torch.arange(4))
    assert 0.5 < temperature_of(right) < 1


def test_calibration_makes_the_error_small() -> None:
    found = calibrate(held(4000, overconfident=2.5))
    assert found.before > 10 and found.error < 3


def test_the_error_by_hand() -> None:
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.55])
    right = torch.tensor([True, False, True, True])
    assert calibration_error(confidence, right) == pytest.approx(45.0, abs=0.01)


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_the_last_layer_takes_the_temperature_in(task: str) -> None:
    config: Any = ClassifierConfig(classes=4) if task == "classify" else SegmenterConfig(classes=4)
    network = build_network(config).eval()
    value, quality = torch.rand(1, 320, 4, 5), torch.tensor([50])
    with torch.no_grad():
        before = network(value, quality)
        divide_scores(network, 2.0)
        assert torch.allclose(network(value, quality), before / 2, atol=1e-6)


def test_pixels_of_which_nothing_is_known_do_not_count(codec: Any) -> None:
    info = HeadInfo(name="s", task="segment", classes=("a", "b"), entropy_id=codec.entropy_id.hex())
    head = build_head(info, build_network(SegmenterConfig(classes=2)))
    truth = np.full((60, 90), VOID, np.uint8)
    truth[:30] = 1
    found = held_scores(head, [(torch.rand(1, 320, 4, 6), 50, truth)])
    assert len(found.target) == 7 * 22 and (found.target == 1).all() and found.scores.shape == (7 * 22, 2)


def test_a_fit_stores_its_temperature_and_says_its_error(class_folders: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(class_folders), "--trunk", "none", "--quiet", "-o", str(tmp_path / "h.safetensors")]
    small = {"data.side": 64, "data.copies": 1, "optim.minutes": "null", "optim.epochs": 30, "optim.warmup_steps": 1}
    for key, value in small.items():
        arguments += ["--set", f"{key}={value}"]
    assert program.main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    info = read_head(tmp_path / "h.safetensors").info
    assert 0.25 <= info.temperature <= 4 and info.temperature != 1
    assert f"temperature {info.temperature:.2f}: expected calibration error" in info.origin
    assert HeadInfo(name="h", task="classify", classes=("a", "b"), entropy_id="00" * 8).temperature == 1
