"""Several folders that a head is trained on together: what each holds out, leaves out, and counts for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from heads import hold_out, rename_classes
from heads.class_balance import balance_of
from heads.datasets import DataConfig, DataError, SetConfig
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.latent_cache import Cache
from heads.losses import Batch, LossConfig, SegmenterObjective, objective_of
from heads.score import TopOne
from heads.segmenter import SegmenterConfig, SegmenterNetwork
from semcomp import config as configuration
from semcomp.semantics.results import VOID, Labels


def write(folder: Path, names: list[str], *, classes: str = "sky\nroad\n", seed: int = 0) -> Path:
    """A folder of noise pictures 40x32, whose masks are half sky and half road."""
    rng = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    (folder / "classes.txt").write_text(classes)
    for name in names:
        coarse = rng.integers(0, 256, (8, 10, 3), np.uint8)
        Image.fromarray(coarse).resize((40, 32), Image.Resampling.BICUBIC).save(folder / "images" / f"{name}.png")
        mask = np.repeat([0, 1], 16)[:, None].repeat(40, 1).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def stems(samples: Any) -> list[str]:
    return [sample.image.stem for sample in samples]


def test_val_txt_holds_out_and_skip_txt_leaves_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ["one", "two", "three", "four"])
    (folder / "val.txt").write_text("two\n")
    (folder / "skip.txt").write_text("three\n")
    dataset = find_dataset("segment", DataConfig(folder=str(folder)))
    assert stems(dataset.val) == ["two"] and stems(dataset.train) == ["four", "one"]


def test_a_list_that_holds_out_nothing_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ["one", "two"])
    (folder / "val.txt").write_text("elsewhere\n")
    with pytest.raises(DataError, match="names no picture"):
        find_dataset("segment", DataConfig(folder=str(folder)))


def test_sets_join_with_their_weights(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", ["a1", "a2", "a3"]), write(tmp_path / "b", ["b1", "b2"])
    (first / "val.txt").write_text("a2\n")
    (second / "val.txt").write_text("b1\n")
    sets = (SetConfig(folder=str(first)), SetConfig(folder=str(second), often=2.0, trust=0.5, validate=False))
    dataset = find_dataset("segment", DataConfig(sets=sets))
    assert stems(dataset.train) == ["a1", "a3", "b2"] and stems(dataset.val) == ["a2"]
    assert [(s.often, s.trust) for s in dataset.train] == [(1, 1), (1, 1), (2, 0.5)]
    assert set(np.unique(dataset.truth(dataset.train[2]))) == {0, 1}


def test_sets_of_other_classes_are_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", ["a1", "a2"]), write(tmp_path / "b", ["b1", "b2"], classes="road\nsky\n")
    sets = (SetConfig(folder=str(first)), SetConfig(folder=str(second)))
    with pytest.raises(DataError, match="other classes"):
        find_dataset("segment", DataConfig(sets=sets))


def test_sets_are_read_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "head.yaml"
    file.write_text("task: segment\ndata:\n  sets:\n    - {folder: a}\n    - {folder: b, trust: 0.5}\n")
    sets = configuration.load(FitConfig, file).data.sets
    assert sets == (SetConfig(folder="a"), SetConfig(folder="b", trust=0.5))
    file.write_text("task: segment\ndata:\n  sets:\n    - {folder: a, trusted: 0.5}\n")
    with pytest.raises(ValueError, match=r"unknown key data\.sets\.0\.trusted; did you mean data\.sets\.0\.trust"):
        configuration.load(FitConfig, file)


def test_crops_of_a_set_are_seen_as_often_as_it_says() -> None:
    masks = np.zeros((4, 16, 16), np.uint8)
    even = balance_of(masks, classes=2, rare=0.0, power=0.5)
    uneven = balance_of(masks, classes=2, rare=0.0, power=0.5, often=np.array([1.0, 1.0, 1.0, 3.0]))
    assert even.often.tolist() == [1, 1, 1, 1]
    assert np.allclose(uneven.often / uneven.often[0], [1, 1, 1, 3]) and np.isclose(uneven.often.mean(), 1)


def objective(trust: np.ndarray[Any, Any] | None, balance: float) -> tuple[SegmenterObjective, Batch, torch.Tensor]:
    """An objective of two crops, a batch of both, and logits for it."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (2, 64, 64)).astype(np.uint8)
    target[:, :8] = VOID
    value = rng.normal(size=(2, 4, 4, 8)).astype(np.float16)
    crops = Cache(
        value=value, quality=np.full(2, 50, np.uint8), target=target, teacher=None, features=None, trust=trust
    )
    network = SegmenterNetwork(SegmenterConfig(classes=2, latents=8, width16=8, width32=12, width4=4))
    made = objective_of(network, crops, LossConfig(balance=balance), classes=2, rng=np.random.default_rng(1))
    assert isinstance(made, SegmenterObjective)
    batch = Batch(
        value=torch.zeros(0),
        quality=torch.zeros(0),
        target=torch.from_numpy(target.astype(np.int64)),
        teacher=None,
        features=None,
        places=torch.zeros(0),
        trust=None if trust is None else torch.from_numpy(trust),
    )
    return made, batch, torch.from_numpy(rng.normal(size=(2, 2, 16, 16)).astype(np.float32))


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_equal_trust_changes_no_loss_and_none_takes_a_crop_out(balance: float) -> None:
    plain, batch, logits = objective(None, balance)
    expected = plain.error(logits, batch)
    equal, trusted, _ = objective(np.full(2, 0.3, np.float32), balance)
    assert torch.allclose(equal.error(logits, trusted), expected)
    first, alone, _ = objective(np.array([1, 1e-9], np.float32), balance)
    only, half, _ = objective(None, balance)
    half = Batch(**{**vars(half), "target": torch.stack([half.target[0], torch.full_like(half.target[0], VOID)])})
    assert torch.allclose(first.error(logits, alone), only.error(logits, half), atol=1e-5)


def test_hold_out_draws_whole_groups(tmp_path: Path) -> None:
    folder = write(tmp_path / "films", [f"{film}_{frame}" for film in "abcd" for frame in range(3)])
    assert hold_out.main([str(folder), "--count", "4", "--together", "_"]) == 0
    names = (folder / "val.txt").read_text().split()
    assert len(names) == 6 and len({name[0] for name in names}) == 2
    assert hold_out.main([str(folder), "--count", "12"]) == 2


def test_copies_of_another_folder_are_skipped(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", ["a1", "a2", "a3"]), write(tmp_path / "b", ["b1", "b2", "b3"], seed=1)
    with Image.open(first / "images" / "a2.png") as image:
        image.resize((80, 64)).convert("RGB").save(second / "images" / "b2.jpg", quality=40)
    (second / "images" / "b2.png").unlink()
    assert hold_out.main([str(second), "--count", "1", "--skip-copies-of", str(first)]) == 0
    assert (second / "skip.txt").read_text() == "b2\n"


def test_masks_take_the_class_numbers_of_another_list(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ["a1", "a2"], classes="sky\nroad\nwall\n")
    (tmp_path / "list.txt").write_text("background\ncar\nstreet\n")
    arguments = [str(folder), "--classes", str(tmp_path / "list.txt"), "-o", str(tmp_path / "b")]
    assert rename_classes.main([*arguments, "--as", "road=street"]) == 0
    dataset = find_dataset("segment", DataConfig(folder=str(tmp_path / "b")))
    samples = [*dataset.train, *dataset.val]
    assert dataset.classes == ("background", "car", "street") and sorted(stems(samples)) == ["a1", "a2"]
    mask = dataset.mask(samples[0])
    assert mask is not None and mask[0, 0] == 0 and mask[-1, 0] == 2
    assert rename_classes.main([*arguments, "--as", "road=", "--rest", "car"]) == 0
    mask = dataset.mask(samples[0])
    assert mask is not None and mask[0, 0] == 1 and mask[-1, 0] == VOID


@pytest.mark.parametrize("pair", ["road", "road=sea", "sea=street"])
def test_a_class_of_no_list_is_refused(tmp_path: Path, pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "a", ["a1", "a2"])
    (tmp_path / "list.txt").write_text("background\nstreet\n")
    given = [str(folder), "--classes", str(tmp_path / "list.txt"), "-o", str(tmp_path / "b"), "--as", pair]
    assert rename_classes.main(given) == 2
    assert ("sea" in capsys.readouterr().err) == ("sea" in pair) and not (tmp_path / "b").exists()


def test_a_table_lists_pictures_and_their_classes(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ["one", "two", "three"])
    table = folder / "labels.tsv"
    table.write_text(f"images/one.png\troad\n{folder / 'images' / 'two.png'}\tsky\nimages/three.png\troad\n")
    dataset = find_dataset("classify", DataConfig(folder=str(folder), held_part=0.34))
    found = {sample.image.stem: sample.target for sample in (*dataset.train, *dataset.val)}
    assert found == {"one": 1, "two": 0, "three": 1} and len(dataset.val) == 1
    table.write_text("images/one.png\tsea\nimages/two.png\tsky\n")
    with pytest.raises(DataError, match="name of classes"):
        find_dataset("classify", DataConfig(folder=str(folder)))


def test_of_many_classes_the_first_five_count_too() -> None:
    names = tuple(f"class {number}" for number in range(30))
    score = TopOne(names)
    score.add(Labels(names=names, scores=tuple(1 / 30 for _ in names)), 0)
    score.add(Labels(names=names, scores=tuple(1 / 30 for _ in names)), 4)
    score.add(Labels(names=names, scores=tuple(1 / 30 for _ in names)), 5)
    assert score.figures == {"top1": 33.33, "top5": 66.67}
