"""Thresholds of a head come from images that no training saw."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heads.calibrate import FEWEST, Answer, Outcome, of_classes, of_labels, sets_thresholds, summary
from heads.datasets import DataError, Sample
from semcomp.semantics.limits import NEVER

HELD = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    for number in range(HELD + 20):
        Image.new("RGB", (16, 16)).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(np.full((16, 16), 1, np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "val.txt").write_text("\n".join(map(str, range(HELD))))
    return tmp_path


class Sure:
    """Says cat of every image, surely of the held-out ones."""

    head = SimpleNamespace(name="x", classes=("background", "cat"))

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answers(self, path: Path, truth: NDArray[np.uint8], *, area: float) -> list[Answer]:
        self.asked.append(int(path.stem))
        held = int(path.stem) < HELD
        return [Answer(1, 0.9 if held else 0.99, right=held)]


def asked(folder: Path, *, held: bool, measurement: Any = None) -> tuple[Any, Any, Any]:
    measurement = measurement or Sure()
    more: dict[str, Any] = {"area": 0.02, "precision": 0.8, "limit": None, "quiet": True}
    return measurement, *of_classes(measurement, [str(folder)], held=held, **more)


def test_only_held_out_images_are_asked_where_that_is_wanted(folder: Path) -> None:
    measurement, confidence, outcomes = asked(folder, held=True)
    assert sorted(measurement.asked) == list(range(HELD))
    telling = sum(not sets_thresholds(Sample(folder / f"{number}.png", 0)) for number in range(HELD))
    assert min(telling, HELD - telling) >= FEWEST, "both halves are large enough"
    assert confidence == (0.0, 0.9)
    (cat,) = outcomes
    assert (cat.said, cat.right, cat.shown) == (telling, telling, telling)


def test_all_images_are_asked_otherwise_and_wrong_answers_raise_the_limit(folder: Path) -> None:
    measurement, confidence, _ = asked(folder, held=False)
    assert sorted(measurement.asked) == list(range(HELD + 20)) and confidence == (0.0, NEVER)


def test_a_folder_with_other_classes_is_refused(folder: Path) -> None:
    (folder / "classes.txt").write_text("background\ndog\n")
    with pytest.raises(DataError, match="other classes than the head x"):
        asked(folder, held=True)


class Namer:
    """Says fish of every image: surely of those that show one, in doubt of the others."""

    head = SimpleNamespace(name="x", classes=("fish", "fowl"))

    def label(self, path: Path, number: int) -> Answer:
        return Answer(0, 0.9 if number == 0 else 0.4, right=number == 0)


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    for name in ("fish", "fowl"):
        (tmp_path / name).mkdir()
        for number in range(HELD):
            Image.new("RGB", (16, 16)).save(tmp_path / name / f"{name}{number}.png")
    return tmp_path


def test_one_confidence_is_set_for_all_classes_of_a_classifier(kinds: Path) -> None:
    more: dict[str, Any] = {"limit": None, "held": False, "held_part": 0.1, "quiet": True}
    least, text = of_labels(Namer(), [str(kinds)], precision=0.8, **more)  # type: ignore[arg-type]
    assert least == 0.9
    told = [Sample(path, 0) for path in kinds.rglob("*.png") if not sets_thresholds(Sample(path, 0))]
    fish = sum(sample.image.stem.startswith("fish") for sample in told)
    assert (
        text == f"labels from a probability of 0.900: {fish} of {fish} first labels right, on {len(told)} other images"
    )


def test_a_classifier_that_is_not_right_often_enough_says_nothing(kinds: Path) -> None:
    more: dict[str, Any] = {"limit": None, "held": False, "held_part": 0.1, "quiet": True}
    least, text = of_labels(Namer(), [str(kinds)], precision=0.99, **more)  # type: ignore[arg-type]
    assert least == NEVER and text.startswith("no label is ever said: 0 of 0")


def test_other_classes_than_the_classifier_s_are_refused(kinds: Path) -> None:
    more: dict[str, Any] = {"limit": None, "held": False, "held_part": 0.1, "quiet": True}
    (kinds / "fish").rename(kinds / "fox")
    with pytest.raises(DataError, match="other classes than the head x"):
        of_labels(Namer(), [str(kinds)], precision=0.8, **more)  # type: ignore[arg-type]


def test_what_is_said_is_told_in_words() -> None:
    made = {"before": 9, "shown": 5}
    outcomes = [
        Outcome(name="cat", confidence=0.4, said=5, right=4, **made),
        Outcome(name="dog", confidence=NEVER, said=0, right=0, **made),
        Outcome(name="cow", confidence=0.6, said=3, right=3, **made),
    ]
    assert summary(outcomes) == "says cat, cow: 7 of 8 answers right on images that set no threshold"
    assert summary(outcomes[1:2]).startswith("says nothing: 0 of 0")
