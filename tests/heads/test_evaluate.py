"""`semcomp eval --task`: a head on latents beside a network that sees pixels, on small synthetic pictures."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from heads import evaluate
from heads.datasets import DataError
from heads.head_file import HeadInfo, build_head, build_network, save_head
from semcomp.cli.main import main
from semcomp.codec.codec import Codec


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("labelled"), np.random.default_rng(0)
    for name, value in (("dark", 40), ("light", 200)):
        (root / "val" / name).mkdir(parents=True)
        (root / "train" / name).mkdir(parents=True)
        for number in range(3):
            picture = np.clip(rng.normal(value, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / "val" / name / f"{number}.png")
        Image.fromarray(picture).save(root / "train" / name / "0.png")
    return root


@pytest.fixture(scope="module")
def networks(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained ones, on latents and on pixels."""
    from heads.classifier import ClassifierConfig

    folder, paths = tmp_path_factory.mktemp("networks"), {}
    torch.manual_seed(0)
    for source, classes in (("latents", ("dark", "light")), ("pixels", ("dark", "light")), ("other", ("cat", "dog"))):
        info = HeadInfo(name=source, task="classify", classes=classes, palette=(), entropy_id=codec.entropy_id.hex())
        config = ClassifierConfig(
            classes=2, widths=(16, 16), blocks=(1, 1), source="latents" if source == "latents" else "pixels"
        )
        paths[source] = folder / f"{source}.safetensors"
        save_head(build_head(info, build_network(config)), paths[source])
    return paths


@pytest.fixture
def tasks(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of an installed semcomp, and the codec at hand."""
    import semcomp.codec.codec

    points = [SimpleNamespace(name=task, load=lambda: evaluate.run) for task in ("segment", "classify")]
    others = importlib.metadata.entry_points

    def entry_points(*, group: str) -> Any:
        return points if group == "semcomp.tasks" else others(group=group)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setattr(semcomp.codec.codec, "load", lambda name="base", **options: codec)


def test_every_way_is_measured_on_real_files(
    labelled: Path, networks: dict[str, Path], tasks: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = ["eval", str(labelled), "--task", "classify", "--head", str(networks["latents"]), "--quiet"]
    given += ["--pixels", str(networks["pixels"]), "--codecs", "jpeg", "--bpp", "2", "-o", str(tmp_path)]
    assert main([*given, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "classify.json").read_text()) == result
    assert result["pictures"] == 6 and result["figure"] == "top-1" and 0 <= result["originals"] <= 100
    (row,) = result["rows"]
    for way in ("latents", "decoded", "jpeg"):
        assert 0 <= row[way] <= 100 and row["ms"][way] > 0
    assert row["bpps"]["jpeg"] == pytest.approx(row["bpps"]["latents"], rel=0.3)
    costs = result["kmac_per_px"]
    assert costs["decoded"] == pytest.approx(costs["decoding"] + costs["pixels"], abs=0.02)
    assert 0 < costs["latents"] < costs["decoded"]
    assert "Pillow" in result["versions"]["jpeg"] and "latents" in evaluate.table(result)


def test_latents_alone_without_a_network(
    labelled: Path, networks: dict[str, Path], tasks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["eval", str(labelled), "--task", "classify", "--head", str(networks["latents"]), "--bpp", "2"]
    assert main([*given, "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "latents alone" in out and "2 pictures" in out and "jpeg" not in out


def test_networks_that_do_not_fit_are_refused(
    labelled: Path, networks: dict[str, Path], tasks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["eval", str(labelled), "--task", "classify", "--head"]
    assert main([*given, str(networks["other"])]) == DataError.exit_code
    assert "other knows cat, dog; the pictures are labelled with dark, light" in capsys.readouterr().err
    assert main([*given, str(networks["latents"]), "--pixels", str(networks["latents"])]) == DataError.exit_code
    assert "reads latents; train a network that reads pixels" in capsys.readouterr().err
    assert main(["eval", str(labelled / "no"), "--task", "classify"]) == 1
    assert main(["eval", str(labelled), "--task", "classify"]) == DataError.exit_code
    assert "needs --head NAME" in capsys.readouterr().err
