"""Every example runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.codec.codec import Codec
from tests.conftest import stripes_in_folders

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_demo(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = runpy.run_path(str(EXAMPLES / "demo.py"))
    demo["main"](["--out", str(out)])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("semcomp", "JPEG", "WebP", "bpp", "dB", " B"))
    assert {path.name for path in out.iterdir()} == {
        "photo.semc",
        "photo.decoded.png",
        "photo.beside.png",
        "photo.html",
    }
    with Image.open(out / "photo.decoded.png") as decoded, Image.open(EXAMPLES / "photo.png") as photo:
        assert decoded.size == photo.size


def test_demo_with_a_stand_in(stand_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_demo(tmp_path, capsys)


def test_demo(codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_demo(tmp_path, capsys)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes_in_folders(tmp_path_factory.mktemp("stripes"), 6)


def test_train_head_then_classify_folder(
    codec: Codec, stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "train_head.py"))["main"](str(stripes), 20)
    printed = capsys.readouterr().out
    assert "my_head.safetensors" in printed and str(stripes / "along" / "00.png") in printed
    for number, path in enumerate(sorted(stripes.rglob("*.png"))):
        (tmp_path / f"{number}.semc").write_bytes(codec.encode(path))
    runpy.run_path(str(EXAMPLES / "classify_folder.py"))["main"](str(tmp_path), "my_head.safetensors")
    lines = capsys.readouterr().out.splitlines()
    assert sum(".semc  a" in line for line in lines) == 12
    assert sum(int(line.split()[0]) for line in lines[12:]) == 12


def test_a_decoder_and_a_classifier_learn_on_latents(
    codec: Codec, stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)
    from semcomp.semantics.results import Segmentation, default_palette
    from semcomp.semantics.stored import Semantics

    for kind, name in enumerate(("across", "along")):
        (tmp_path / name).mkdir()
        for path in sorted((stripes / name).glob("*.png")):
            with Image.open(path) as image:
                label_map = np.full((image.height, image.width), kind, np.uint8)
            own = Segmentation(label_map=label_map, classes=("across", "along"), palette=default_palette(2))
            data = codec.encode(path, quality=60, semantics=Semantics(segmentation=own))
            (tmp_path / name / f"{path.stem}.semc").write_bytes(data)
    segment = runpy.run_path(str(EXAMPLES / "latents_segmentation.py"))["main"](str(tmp_path), 30)
    classify = runpy.run_path(str(EXAMPLES / "latents_classifier.py"))["main"](str(tmp_path), 30)
    assert "12 of 12 files are right" in capsys.readouterr().out
    assert segment > 0.9 and classify == 1


def test_index_labels(codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from semcomp.semantics.head import Labels
    from semcomp.semantics.stored import Semantics

    picture = np.zeros((20, 30, 3), np.uint8)
    for name, score in (("dog", 0.5), ("cat", 0.9), ("dog", 0.75)):
        own = Semantics(labels=Labels(names=(name,), scores=(score,)))
        (tmp_path / f"{name}{score}.semc").write_bytes(codec.encode(picture, semantics=own))
    runpy.run_path(str(EXAMPLES / "index_labels.py"))["main"](str(tmp_path))
    head, dogs, cats = capsys.readouterr().out.splitlines()
    assert head.startswith("3 files, 2 labels")
    assert dogs.split() == ["2", "dog", "dog0.75.semc", "0.75", "dog0.5.semc", "0.50"]
    assert cats.split()[:2] == ["1", "cat"]
