"""When a head keeps quiet: specks, classes that it is unsure of, images that are not of its kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semcomp.errors import ModelError, TargetError
from semcomp.semantics.head import Segmenter, head_names, load_head, sure_head
from semcomp.semantics.limits import NEVER, NO_LIMITS, Limits, evidence, limits_file, read_limits, write_limits
from semcomp.semantics.results import VOID, Labels
from semcomp.semantics.upsample import full_resolution

CLASSES = ("background", "cat", "dog")


def logits_of(shares: dict[int, tuple[int, float]], *, height: int = 64, width: int = 64) -> Any:
    """Scores under which classes take runs of positions, each with a margin over the others."""
    scores = np.zeros((3, (height // 4) * (width // 4)), np.float32)
    at = 0
    for number, (count, margin) in shares.items():
        scores[number, at : at + count] = margin
        at += count
    scores[0, at:] = 9
    return scores.reshape(1, 3, height // 4, width // 4)


def quiet(limits: Limits, logits: Any, *, height: int = 64, width: int = 64) -> Any:
    return limits.quiet(full_resolution(logits, height=height, width=width), logits, height=height, width=width)


def test_no_limits_change_nothing() -> None:
    logits = logits_of({1: (3, 0.1), 2: (60, 4)})
    assert np.array_equal(quiet(NO_LIMITS, logits), full_resolution(logits, height=64, width=64))


def test_a_speck_is_not_said() -> None:
    logits = logits_of({1: (2, 9), 2: (40, 9)})  # of 256 positions
    shown = quiet(Limits(area=0.02), logits)
    assert 1 not in shown and 2 in shown and VOID in shown


def test_a_class_needs_its_confidence_on_enough_of_the_image() -> None:
    unsure, sure = logits_of({2: (60, 0.5)}), logits_of({2: (60, 5)})
    partly = logits_of({1: (3, 5), 2: (60, 0.5)})
    limits = Limits(area=0.02, confidence=(0.0, 0.9, 0.9))
    assert 2 not in quiet(limits, unsure) and 2 in quiet(limits, sure)
    assert set(np.unique(quiet(limits, partly))) == {0, VOID}


def test_a_class_that_is_never_said_leaves_the_others() -> None:
    shown = quiet(Limits(confidence=(0.0, 0.5, NEVER)), logits_of({1: (60, 9), 2: (60, 9)}))
    assert set(np.unique(shown)) == {0, 1, VOID}


def test_an_image_of_another_kind_shows_nothing() -> None:
    logits = logits_of({1: (100, 9)})
    energy, _ = evidence(logits, area=0.0, height=64, width=64)
    assert (quiet(Limits(energy=energy + 0.1), logits) == VOID).all()
    assert 1 in quiet(Limits(energy=energy - 0.1), logits)


def test_positions_beyond_the_image_do_not_count() -> None:
    logits = np.zeros((1, 2, 4, 4), np.float32)
    logits[0, 1, :, 2:] = 50  # beyond 8 pixels
    energy, confidence = evidence(logits, area=0.0, height=16, width=8)
    assert energy == pytest.approx(np.log(2)) and confidence.tolist() == [0.5, 0.0]


def test_a_limit_itself_is_enough() -> None:
    logits = logits_of({1: (60, 2.0)})
    energy, confidence = evidence(logits, area=0.0, height=64, width=64)
    reached = float(confidence[1])
    assert 1 in quiet(Limits(energy=energy, confidence=(0.0, reached, 0.0)), logits)
    assert 1 not in quiet(Limits(confidence=(0.0, float(np.nextafter(confidence[1], np.float32(1))), 0.0)), logits)


@pytest.mark.parametrize(("positions", "said"), [(5, False), (6, True)])
def test_an_area_is_reached_by_whole_positions(positions: int, said: bool) -> None:
    _, confidence = evidence(logits_of({1: (positions, 9)}), area=0.021, height=64, width=64)  # 5.4 of 256
    assert (confidence[1] > 0) == said


def test_labels_of_another_kind_are_an_empty_list() -> None:
    labels = Labels(names=("tench", "church"), scores=(0.7, 0.3), head="imagenette")
    limits = Limits(energy=3.0)
    assert limits.quiet_labels(labels, 3.0) == limits.quiet_labels(labels, 3.1) == labels
    assert limits.quiet_labels(labels, 2.9) == Labels(names=(), scores=(), head="imagenette")


def test_a_confidence_raises_the_limits_of_a_head_and_never_lowers_them() -> None:
    limits = Limits(area=0.02, confidence=(0.0, 0.9, NEVER)).at_least(0.5, CLASSES)
    assert limits.confidence == (0.0, 0.9, NEVER)
    assert NO_LIMITS.at_least(0.5, CLASSES).confidence == (0.0, 0.5, 0.5)
    with pytest.raises(TargetError, match="from 0 to 1, not 50"):
        NO_LIMITS.at_least(50, CLASSES)
    logits = logits_of({1: (60, 0.5), 2: (60, 9)})
    assert {1, 2} <= set(np.unique(quiet(NO_LIMITS, logits)))
    assert set(np.unique(quiet(NO_LIMITS.at_least(0.8, CLASSES), logits))) == {0, 2, VOID}


def test_labels_below_their_confidence_are_left_out() -> None:
    labels = Labels(names=("dog", "cat"), scores=(0.7, 0.3), head="h")
    assert NO_LIMITS.sure_labels(labels, CLASSES) == labels
    assert NO_LIMITS.at_least(0.5, CLASSES).sure_labels(labels, CLASSES).names == ("dog",)
    assert Limits(confidence=(0.0, 0.2, 0.8)).sure_labels(labels, CLASSES).names == ("cat",)


class Everywhere(Segmenter):
    """A head of another package, which gives no probabilities."""

    name, classes, entropy_id = "everywhere", CLASSES, b"12345678"

    def answer(self, latents: Any) -> Any:
        raise NotImplementedError


def test_a_segmenter_without_probabilities_refuses_a_confidence() -> None:
    head = Everywhere()
    assert sure_head(head, 0.0) is head
    with pytest.raises(ModelError, match="without probabilities"):
        sure_head(head, 0.5)


def test_a_surer_head_leaves_the_first_as_it_is(codec: Any) -> None:
    latents = codec.latents_of_image(Path(__file__).parents[2] / "examples" / "photo.png", quality=50)
    head: Any = load_head("imagenette")
    head.limits = NO_LIMITS
    assert len(head(latents).names) == 10
    best = head(latents).scores[0]
    assert len(sure_head(head, best - 0.01)(latents).names) == 1
    assert sure_head(head, best + (1 - best) / 2)(latents).names == ()
    assert head.limits == NO_LIMITS and len(head(latents).names) == 10


def test_limits_come_back_from_their_file(tmp_path: Path) -> None:
    limits = Limits(energy=2.5, area=0.02, confidence=(0.0, 0.75, NEVER), experimental=True, measured="on 3 images")
    path = write_limits(limits, tmp_path / "my.head.safetensors", CLASSES)
    assert path == limits_file(tmp_path / "my.head.safetensors") == tmp_path / "my.head.limits.json"
    assert json.loads(path.read_text())["confidence"] == {"background": 0.0, "cat": 0.75, "dog": None}
    assert read_limits(tmp_path / "my.head.safetensors", CLASSES) == limits
    assert read_limits(tmp_path / "another.safetensors", CLASSES) == NO_LIMITS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "holds no limits"),
        ("{}", "damaged or have another version"),
        ('{"format": "semcomp-limits-9"}', "semcomp-limits-9"),
        (
            '{"format": "semcomp-limits-1", "energy": null, "area": 0, "confidence": {"a": 1}, '
            '"experimental": false, "measured": ""}',
            "not the classes of the head",
        ),
        (
            '{"format": "semcomp-limits-1", "energy": null, "area": 7, "confidence": {}, '
            '"experimental": false, "measured": ""}',
            "area is a share",
        ),
    ],
)
def test_damaged_limits_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "head.limits.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        read_limits(tmp_path / "head.safetensors", CLASSES)


def test_shipped_heads_carry_measured_limits() -> None:
    heads = {name: load_head(name) for name in ("objects", "things", "street", "imagenette") if name in head_names()}
    assert all(head.limits.measured and not head.limits.experimental for head in heads.values())
    assert heads["street"].limits.energy and heads["imagenette"].limits.confidence
    confidence = dict(zip(heads["objects"].classes, heads["objects"].limits.confidence, strict=True))
    assert confidence["sofa"] == NEVER and confidence["person"] < NEVER
    assert 0 < min(heads["things"].limits.confidence) == max(heads["things"].limits.confidence) < 1


def test_segmenters_say_nothing_of_noise_and_of_a_ramp(codec: Any) -> None:
    rng = np.random.default_rng(0)
    ramp = np.ascontiguousarray(np.broadcast_to(np.arange(160, dtype=np.uint8)[:, None], (128, 160, 3)))
    images = [rng.integers(0, 256, (128, 160, 3)).astype(np.uint8), ramp]
    for image in images:
        latents = codec.latents_of_image(image, quality=50)
        for name in ("objects", "street"):
            answer: Any = load_head(name)(latents)
            labels = answer if isinstance(answer, Labels) else answer.labels()
            assert labels.names == (), f"{name} says {labels.names}"


def test_shipped_heads_know_a_dog_or_say_nothing_of_it(codec: Any) -> None:
    latents = codec.latents_of_image(Path(__file__).parents[2] / "examples" / "photo.png", quality=50)
    said = {}
    for name in ("things", "objects", "street"):
        answer: Any = load_head(name)(latents)
        said[name] = (answer if isinstance(answer, Labels) else answer.labels()).names
    assert said["things"][0] == "golden retriever" and said["objects"] == ("dog",)
    assert said["street"] == (), "it is not of its kind"


def test_a_confidence_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"0 to 1, or 2\.0 for never, not -0\.5"):
        Limits(confidence=(0.9, -0.5, NEVER))
