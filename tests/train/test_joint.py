"""Joint training: what moves, what stays, and that the control learns nothing from labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("train.joint", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.codec.codec import Codec
from semcomp.codec.release import load_release, save_release
from semcomp.networks.model import CodecConfig, CodecModel
from tests.releases import SMALL
from train.export import export
from train.joint import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, classes/{a,b}/, masks in streets/, and tiny.safetensors, an untrained codec."""
    root, rng = tmp_path_factory.mktemp("joint"), np.random.default_rng(0)
    for folder in ("photos", "classes/a", "classes/b", "streets/images", "streets/masks"):
        (root / folder).mkdir(parents=True)
    pictures = []
    for number in range(3):
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        picture = small.resize((96, 80), Image.Resampling.BICUBIC)
        pictures.append(np.asarray(picture))
        for folder in ("photos", "classes/a", "classes/b", "streets/images"):
            picture.save(root / folder / f"{number}.png")
        Image.fromarray(np.asarray(picture)[..., 0] // 128).save(root / "streets/masks" / f"{number}.png")
    (root / "streets" / "classes.txt").write_text("dark\nlight\n")
    torch.manual_seed(0)
    network = CodecModel(CodecConfig(**SMALL))
    save_release(export(network, pictures, name="tiny", skip_below=4, origin="", quiet=True), root / "tiny.safetensors")
    return root


def joint(data: Path, name: str, **changes: object) -> Path:
    values = {
        "name": name,
        "start_from": data / "tiny.safetensors",
        "photos": f"[{data / 'photos'}]",
        "crop": 64,
        "batch": 2,
        "steps": 3,
        "validation": "[]",
        "optim.warmup_steps": 1,
        "optim.ema": 0.0,
        "street": json.dumps({"batch": 2, "data": {"folder": str(data / "streets"), "side": 64}}),
        "imagenette": json.dumps(
            {"task": "classify", "batch": 2, "data": {"folder": str(data / "classes"), "side": 64}}
        ),
        **changes,
    }
    config = data / "empty.yaml"
    config.write_text("")
    pairs = [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]
    assert main([str(config), "--runs", str(data / "runs"), "--quiet", *pairs]) == 0
    return data / "runs" / name


def test_the_analysis_alone_moves(data: Path) -> None:
    folder = joint(data, "a", moves="analysis")
    before, after = load_release(data / "tiny.safetensors"), load_release(folder / "a.safetensors")
    changed = {name for name in before.weights if not torch.equal(before.weights[name], after.weights[name])}
    assert changed and all(name.startswith("analysis.") for name in changed)
    assert after.entropy_id == before.entropy_id and after.model_id == before.model_id
    picture = np.asarray(Image.open(data / "photos" / "0.png"))
    file = Codec(after).encode(picture, quality=70)
    assert file != Codec(before).encode(picture, quality=70)
    assert Codec(before).decode(file) == Codec(after).decode(file)


def test_everything_moves(data: Path) -> None:
    folder = joint(data, "e", moves="everything")
    before, after = load_release(data / "tiny.safetensors"), load_release(folder / "e.safetensors")
    parts = {n.split(".")[0] for n in before.weights if not torch.equal(before.weights[n], after.weights[n])}
    assert {"analysis", "synthesis", "hyper_analysis", "mean_path"} <= parts
    assert after.entropy_id != before.entropy_id
    row, recognition = map(json.loads, (folder / "log.jsonl").read_text().splitlines()[-2:])
    assert row["step"] == 3 and row.keys() >= {"rd", "bpp", "street", "imagenette"}
    assert recognition.keys() == {"street", "imagenette"} and all(0 <= v <= 100 for v in recognition.values())


def test_the_control_learns_nothing_from_labels(data: Path) -> None:
    def synthesis(name: str, **changes: object) -> torch.Tensor:
        return load_release(joint(data, name, **changes) / f"{name}.safetensors").weights["synthesis.entry.weight"]

    heavy = json.dumps({"batch": 2, "weight": 100.0, "data": {"folder": str(data / "streets"), "side": 64}})
    control = synthesis("c", gamma=0.0)
    assert torch.equal(control, synthesis("d", gamma=0.0, street=heavy))
    assert not torch.equal(control, synthesis("f", gamma=1.0))


@pytest.mark.parametrize(
    ("change", "message"), [({"moves": "nothing"}, "analysis, everything"), ({"gamma": -1.0}, "at least 0")]
)
def test_mistakes_are_named(
    data: Path, change: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = data / "empty.yaml"
    config.write_text("")
    with pytest.raises(SystemExit) as stop:
        main([str(config), *(a for k, v in change.items() for a in ("--set", f"{k}={v}"))])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
