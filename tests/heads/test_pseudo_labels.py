"""Teachers: labels for pictures that have none, and a linear classifier on features."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heads import pseudo_labels as program
from heads.datasets import DataConfig
from heads.find_dataset import find_dataset
from heads.probe import probe
from semcomp.errors import MissingExtraError
from semcomp.semantics.results import VOID


class Halves:
    """Stands for a network of 8x8: class 1 where a pixel is bright, class 2 in the first column of every picture."""

    def __init__(self, path: str, **options: Any) -> None:
        if "broken" in path:
            raise ValueError("no flatbuffer")

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "shape": np.array([1, 8, 8, 3]), "dtype": np.uint8}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 1, "shape": np.array([1, 8, 8])}]

    def set_tensor(self, index: int, value: NDArray[np.uint8]) -> None:
        assert index == 0 and value.shape == (1, 8, 8, 3) and value.dtype == np.uint8
        self.answer = (value[..., 0] > 127).astype(np.int64)
        self.answer[:, :, 0] = 2

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> NDArray[np.int64]:
        assert index == 1
        return self.answer


Labelled = Callable[..., int]


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labelled:
    """Runs the program on two folders of pictures, dark above and bright below, into tmp_path/out."""
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", SimpleNamespace(Interpreter=Halves))
    (tmp_path / "n.tflite").write_bytes(b"")
    (tmp_path / "classes.txt").write_text("dark\nbright\nedge\n")
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[8:] = 255
    for name in ("a/one.png", "a/two.png", "b/deep/three.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)

    def run(*arguments: str, network: str = "n.tflite") -> int:
        return program.main(
            [
                str(tmp_path / "a"),
                str(tmp_path / "b"),
                "--network",
                str(tmp_path / network),
                "--classes",
                str(tmp_path / "classes.txt"),
                "-o",
                str(tmp_path / "out"),
                *arguments,
            ]
        )

    return run


def test_pictures_get_the_labels_that_their_mirror_images_get(labelled: Labelled, tmp_path: Path) -> None:
    assert labelled() == 0
    masks = sorted(path.name for path in (tmp_path / "out" / "masks").iterdir())
    assert masks == ["deep-three.png", "one.png", "two.png"]
    with Image.open(tmp_path / "out" / "masks" / "one.png") as image:
        found = np.asarray(image)
    assert found.shape == (16, 24) and (found[:, :3] == VOID).all() and (found[:, -3:] == VOID).all()
    assert (found[:8, 3:-3] == 0).all() and (found[8:, 3:-3] == 1).all()
    dataset = find_dataset("segment", DataConfig(folder=str(tmp_path / "out"), held_part=0.4))
    assert dataset.classes == ("dark", "bright", "edge") and len(dataset.train) == 2


def test_what_is_there_is_kept_and_what_is_not_wanted_left_out(labelled: Labelled, tmp_path: Path) -> None:
    assert labelled("--without", "two", "--limit", "1", "--quiet") == 0
    mask = tmp_path / "out" / "masks" / "one.png"
    assert sorted(path.stem for path in mask.parent.iterdir()) == ["deep-three", "one"]
    mask.write_bytes(b"edited by hand")
    assert labelled("--quiet") == 0
    assert mask.read_bytes() == b"edited by hand" and (mask.parent / "two.png").is_file()


def test_folders_are_left_out_by_their_names(labelled: Labelled, tmp_path: Path) -> None:
    (tmp_path / "b" / "four.png").write_bytes((tmp_path / "a" / "one.png").read_bytes())
    assert labelled("--without", "deep", "tw", "--quiet") == 0
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["four.png", "one.png"]


@pytest.mark.parametrize(
    ("arguments", "network", "code", "message"),
    [
        (["--without", "one", "two", "three"], "n.tflite", 2, "no picture below"),
        ([], "missing.tflite", 4, "there is no file"),
        ([], "broken.tflite", 4, "is not a .tflite network"),
    ],
)
def test_wrong_usage_is_one_sentence(
    labelled: Labelled,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    network: str,
    code: int,
    message: str,
) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"x")
    assert labelled(*arguments, network=network) == code
    assert message in capsys.readouterr().err


def test_the_interpreter_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"semcomp\[judge\]"):
        program.open_tflite("network.tflite", need="This")


def test_a_linear_classifier_answers_for_pictures_that_it_did_not_see() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(rng.integers(0, 3, 40), 2)
    features = rng.normal(size=(80, 2, 2, 8)).astype(np.float16)
    features[..., :3] += 4 * np.eye(3)[target][:, None, None].astype(np.float16)
    scores = probe(features, target, 2, 3)
    assert scores.shape == (80, 3) and scores.dtype == np.float16
    assert (scores.argmax(1) == target).mean() > 0.95
    noise = rng.normal(size=features.shape)
    assert (probe(noise, target, 2, 3).argmax(1) == target).mean() < 0.6  # of its own pictures it would know all
    assert not probe(features[:2], target[:2], 2, 3).any()
