"""What an interrupted training has done is not done again: its crops, what teachers say of them, its steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from heads import array_folders, training, training_state
from heads import fit as program
from heads.datasets import DataConfig
from heads.find_dataset import find_dataset
from heads.latent_cache import Cache, Teacher, open_cache
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from heads.training import OptimConfig, learn
from heads.training_state import StateFile
from heads.validation import HeldOut
from semcomp.codec.codec import Codec
from semcomp.errors import ModelError


class Stopped(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


def brightness(asked: list[int], stop: int = 10**9) -> Teacher:
    def answer(crop: NDArray[Any]) -> NDArray[Any]:
        asked.append(1)
        if len(asked) > stop:
            raise Stopped
        return np.array([crop.mean()], np.float16)

    return Teacher(answer, "brightness")


@pytest.fixture
def crops(codec: Codec, class_folders: Path, tmp_path: Path) -> Callable[..., Cache]:
    config = DataConfig(folder=str(class_folders), side=64, copies=2, limit=4)
    dataset = find_dataset("classify", config)

    def made(teacher: Teacher, *, source: str = "originals", folder: str = "cache") -> Cache:
        place = tmp_path / folder
        return open_cache(
            codec, dataset, config, source=source, folder=place, teachers={"teacher": teacher}, quiet=True
        )

    return made


def test_a_teacher_is_not_asked_again_where_only_the_codec_changes(crops: Callable[..., Cache]) -> None:
    asked = list[int]()
    pixels = crops(brightness(asked))
    assert len(asked) == 8
    latents = crops(brightness(asked), source="latents")
    assert len(asked) == 8 and latents.value.shape == (8, 4, 4, 320)
    assert np.array_equal(pixels.quality, latents.quality) and np.array_equal(pixels.target, latents.target)
    assert latents.teacher is not None and np.allclose(latents.teacher[:, 0], pixels.value.mean((1, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("killed", [False, True])
def test_crops_that_are_made_are_not_made_again(
    crops: Callable[..., Cache], killed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(array_folders, "ABANDONED", 0 if not killed else 120)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    whole = crops(brightness([]), folder="whole")
    if killed:  # nothing tidies up then, and what is left is nobody's when it has grown old
        monkeypatch.setattr(os, "utime", lambda *given: None)
        monkeypatch.setattr(time, "monotonic", iter(range(0, 10**6, 100)).__next__)
    with pytest.raises(Stopped):
        crops(brightness([], stop=5))
    if killed:
        monkeypatch.undo()
        for count in tmp_path.glob("cache/.*/pictures"):
            long_ago = time.time() - 1000
            os.utime(count, (long_ago, long_ago))
    again = list[int]()
    rest = crops(brightness(again))
    assert len(again) == 4  # two pictures of two crops were done, the third was not
    for name in ("value", "quality", "target", "teacher"):
        assert np.array_equal(getattr(rest, name), getattr(whole, name)), name
    assert not list((tmp_path / "cache").glob(".*"))


def test_crops_of_a_broken_picture_leave_nothing(crops: Callable[..., Cache], tmp_path: Path) -> None:
    def fail(crop: NDArray[Any]) -> NDArray[Any]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        crops(Teacher(fail, "fails"))
    assert not list((tmp_path / "cache").iterdir())


def trained(
    state: Path | None, *, stop: int | None = None, resume: bool = False, of: str = "a"
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """A small segmenter after six steps, or stopped before; and what is logged."""
    rng = np.random.default_rng(3)
    crops = Cache(
        value=rng.integers(0, 256, (6, 64, 64, 3), np.uint8),
        quality=np.full(6, 50, np.uint8),
        target=rng.integers(0, 2, (6, 64, 64), np.uint8),
        teacher=None,
        features=rng.normal(size=(6, 2, 2, 5)).astype(np.float16),
    )
    torch.manual_seed(1)
    network = SegmenterNetwork(
        SegmenterConfig(classes=2, fine=(8, 8), width16=16, width32=16, width4=8, source="pixels")
    )

    def mark(mark: training.Mark) -> None:
        if mark.step == stop:
            raise KeyboardInterrupt

    rows = learn(
        network,
        crops,
        OptimConfig(steps=6, batch=4, warmup_steps=2, rescale=1.3),
        classes=2,
        seed=0,
        quiet=True,
        on_mark=mark,
        state=None if state is None else StateFile(state, of, resume=resume),
    )
    return network.state_dict(), rows


def test_a_resumed_training_is_the_whole_one(tmp_path: Path) -> None:
    state = tmp_path / "head.state"
    whole, rows = trained(None)
    _, begun = trained(state, stop=3)
    assert len(begun) == 3 and state.is_file()
    resumed, more = trained(state, resume=True)
    assert [row["loss"] for row in more] == [row["loss"] for row in rows] and len(rows) == 6
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert not list(tmp_path.iterdir())


def test_a_state_is_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_state, "SAVE_MINUTES", 0.0)
    state, seen = tmp_path / "head.state", list[int]()
    monkeypatch.setattr(StateFile, "write", lambda self, held: seen.append(len(held["rows"])))
    trained(state)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_another_training_does_not_go_on(tmp_path: Path) -> None:
    state = tmp_path / "head.state"
    trained(state, stop=3)
    with pytest.raises(ModelError, match="other settings"):
        trained(state, resume=True, of="b")
    state.write_bytes(b"no state")
    with pytest.raises(ModelError, match="holds no state"):
        trained(state, resume=True)


def test_the_program_resumes(class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"data.side": 64, "data.copies": 1, "optim.batch": 4, "classify.widths": "[16, 16, 16]"}
    pairs = [part for key, value in sizes.items() for part in ("--set", f"{key}={value}")]
    output = tmp_path / "mine.safetensors"
    command = ["--data", str(class_folders), "--trunk", "none", "--steps", "6", "--quiet", *pairs, "-o", str(output)]
    command += ["--cache", str(tmp_path / "cache")]
    assert program.main([*command, "--resume"]) != 0 and not output.exists()

    mark, steps = HeldOut.mark, list[int]()

    def stopping(self: HeldOut, at: training.Mark) -> None:
        if at.step == 3:
            raise KeyboardInterrupt
        mark(self, at)

    with monkeypatch.context() as patch:
        patch.setattr(HeldOut, "mark", stopping)
        assert program.main(command) == 0  # Ctrl-C keeps what was learned
    assert output.is_file() and output.with_suffix(".state").is_file()
    step = training._Run.step

    def counted(run: Any) -> None:
        steps.append(len(run.rows))
        step(run)

    monkeypatch.setattr(training._Run, "step", counted)
    assert program.main([*command, "--resume"]) == 0
    assert steps == [3, 4, 5] and not output.with_suffix(".state").exists()
    with safe_open(output, "pt") as file:
        assert "held-out" in str(file.metadata())
