"""A part at the asked quality and the rest at a low one, in a file that every decoder reads."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import ImageError, SemcompWarning, TargetError
from semcomp.generative.priority import Priority
from semcomp.semantics.results import VOID, Segmentation, default_palette


@pytest.fixture
def scene() -> NDArray[np.uint8]:
    """Texture everywhere, so that quality shows, uint8 (128, 192, 3)."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(60, 200, (32, 48, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((192, 128), Image.Resampling.BICUBIC))


def error(a: NDArray[np.uint8], image: Image.Image) -> NDArray[np.float64]:
    """Squared error of each pixel."""
    squared: NDArray[np.float64] = ((a.astype(float) - np.asarray(image)) ** 2).mean(2)
    return squared


def test_the_part_has_the_quality_and_the_rest_a_low_one(codec: Codec, scene: NDArray[np.uint8]) -> None:
    inside = np.zeros(scene.shape[:2], bool)
    inside[32:96, 32:96] = True
    data = codec.encode(scene, quality=70, priority=Priority(mask=inside, dilate=0))
    fine, rough = (codec.encode(scene, quality=quality) for quality in (70, 15))
    part, whole, low = (error(scene, codec.decode(each)) for each in (data, fine, rough))
    assert part[inside].mean() < 1.1 * whole[inside].mean()
    away = np.ones_like(inside)
    away[16:112, 16:112] = False  # the synthesis blends what is near the border
    assert 0.8 * low[away].mean() < part[away].mean() < 1.5 * low[away].mean()
    assert whole[away].mean() < 0.5 * part[away].mean()
    assert len(rough) < len(data) < len(fine)


def test_the_file_is_an_ordinary_one(codec: Codec, scene: NDArray[np.uint8]) -> None:
    facts = semcomp.info(codec.encode(scene, quality=60, priority=Priority(boxes=((0, 0, 64, 64),))))
    assert facts.synthesised is None and facts.flags == 0 and facts.quality == 60
    assert [chunk.kind for chunk in facts.chunks] == ["SYMBOLS"]


def test_a_class_is_found_by_its_name_and_its_share_is_told(codec: Codec, scene: NDArray[np.uint8]) -> None:
    label_map = np.full(scene.shape[:2], VOID, np.uint8)
    label_map[:32] = 1
    segmentation = Segmentation(label_map=label_map, classes=("sky", "person"), palette=default_palette(2))
    told: list[float] = []
    request = Priority(segmentation=segmentation, keep=("people",), on_found=told.append)
    assert len(codec.encode(scene, quality=60, priority=request)) < len(codec.encode(scene, quality=60))
    assert told == [0.25]


def test_what_is_not_found_costs_bytes_and_never_the_image(codec: Codec, scene: NDArray[np.uint8]) -> None:
    label_map = np.zeros(scene.shape[:2], np.uint8)
    segmentation = Segmentation(label_map=label_map, classes=("sky", "person"), palette=default_palette(2))
    with pytest.warns(SemcompWarning, match="at its quality: the label map shows person 0 %; choose"):
        data = codec.encode(scene, quality=60, priority=Priority(segmentation=segmentation, keep=("person",)))
    assert data == codec.encode(scene, quality=60)
    label_map[:2, :5] = 1
    with pytest.warns(SemcompWarning, match=r"little was found of person: 0\.04 %"):
        codec.encode(scene, quality=60, priority=Priority(segmentation=segmentation, keep=("person",)))


def test_each_class_that_is_nowhere_is_named(codec: Codec, scene: NDArray[np.uint8]) -> None:
    label_map = np.zeros(scene.shape[:2], np.uint8)
    label_map[:64] = 1
    segmentation = Segmentation(label_map=label_map, classes=("sky", "person", "car"), palette=default_palette(3))
    with pytest.warns(SemcompWarning, match="^nothing was found of car$"):
        codec.encode(scene, quality=60, priority=Priority(segmentation=segmentation, keep=("person", "car")))


def test_a_part_that_is_everything_changes_nothing(codec: Codec, scene: NDArray[np.uint8]) -> None:
    everything = np.ones(scene.shape[:2], bool)
    assert codec.encode(scene, quality=60, priority=Priority(mask=everything)) == codec.encode(scene, quality=60)


def test_a_target_is_met(codec: Codec, scene: NDArray[np.uint8]) -> None:
    made = codec.encode_to(scene, max_bytes=2500, priority=Priority(boxes=((0, 0, 64, 64),)))
    plain = codec.encode_to(scene, max_bytes=2500)
    assert len(made.data) <= 2500 and made.quality > plain.quality


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": ("person",)}, "needs a label map"),
        ({"mask": np.ones((3, 4), bool)}, "the mask is 4x3, the picture 192x128"),
        ({"boxes": ((500, 0, 4, 4),)}, "is outside the picture"),
    ],
)
def test_wrong_parts_are_one_sentence(
    codec: Codec, scene: NDArray[np.uint8], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        codec.encode(scene, priority=Priority(**change))


def test_the_rest_is_coded_or_dropped(codec: Codec, scene: NDArray[np.uint8]) -> None:
    part: Any = Priority(boxes=((0, 0, 64, 64),))
    with pytest.raises(TargetError, match="either generative or priority"):
        codec.encode(scene, priority=part, generative=part)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_command_line_keeps_object_ids_and_says_so(
    tmp_path: Path, scene: NDArray[np.uint8], capsys: pytest.CaptureFixture[str], dtype: Any
) -> None:
    Image.fromarray(scene).save(tmp_path / "a.png")
    ids = np.zeros(scene.shape[:2], dtype)
    ids[:32, :96], ids[96:, 96:] = 1, 255 if dtype is np.uint8 else 300
    Image.fromarray(ids).save(tmp_path / "ids.png")
    file, arguments = (
        str(tmp_path / "a.semc"),
        ["encode", str(tmp_path / "a.png"), "--keep-mask", str(tmp_path / "ids.png")],
    )
    assert main([*arguments, "--rest-quality", "10"]) == 0
    assert "25.0 % found to keep, the rest at quality 10" in capsys.readouterr().out
    assert main([*arguments, "--json", "-f"]) == 0
    assert json.loads(capsys.readouterr().out)["found_share"] == 0.25
    assert main(["info", file]) == 0
    assert "not real" not in capsys.readouterr().out


def test_the_command_line_warns_where_nothing_is_found(
    tmp_path: Path, scene: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        assert main(["encode", str(tmp_path / "a.png"), "--keep", "person", "--head", "objects"]) == 0
    out, err = capsys.readouterr()
    assert "0.0 % found to keep: all is kept" in out
    assert (
        "the head objects found person 0 %; choose another --head, or give --label-map, --keep-mask or --keep-box"
        in err
    )


def test_a_class_that_a_head_never_says_is_named(
    tmp_path: Path, scene: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene).save(tmp_path / "a.png")
    arguments = ["encode", str(tmp_path / "a.png"), "--keep", "sofa", "--keep", "person", "--head", "objects"]
    why = "the head objects found sofa 0 %, person 0 %, and it never says sofa, because it was wrong too often; choose"
    with warnings.catch_warnings():
        assert main(arguments) == 0
        assert f"the whole image is coded at its quality: {why}" in capsys.readouterr().err
        assert main([*arguments, "--drop", "-f"]) == 1
    told = capsys.readouterr().err
    assert f"nothing is to be kept: {why}" in told and "synthesise the whole image" in told
