"""The repair of thumbnails learns from real codes and leaves shaping alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from semcomp.thumbs.pixels import LEVELS
from semcomp.thumbs.tables import FILE, parse
from train.checkpoint import save_state
from train.thumbs_pixels import Blocks
from train.thumbs_repair import RepairConfig, coded, fit, main, measure


@pytest.fixture
def config(tmp_path: Path) -> RepairConfig:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:32, 0:32] / 32
    waves = [np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + rng.uniform(0, 6)) for _ in range(120)]
    pixels = np.uint8(128 + 90 * np.stack(waves).reshape(40, 3, 32, 32).transpose(0, 2, 3, 1))
    np.save(tmp_path / "train.npy", pixels)
    torch.manual_seed(1)
    network = Blocks(8, 2, LEVELS)
    save_state(tmp_path / "state.safetensors", {"network": {f"repair.{k}": v for k, v in network.state_dict().items()}})
    np.savez(tmp_path / "pixels.npz", **network.rounded("shaping"), **network.rounded("repair"))
    folder = str(tmp_path)
    return RepairConfig(data=folder, pixels=folder, tables=str(FILE), thumbnails=40, steps=60, batch=8, held=8)


def test_it_comes_nearer_to_codes_that_it_did_not_learn(config: RepairConfig) -> None:
    examples = coded(config, parse(FILE.read_bytes()))
    assert examples.shown.shape == examples.original.shape == (40, 3, 32, 32) and len(set(examples.level.tolist())) > 2
    network, held = Blocks(8, 2, LEVELS), torch.arange(32, 40)
    before, _ = measure(network, examples, held)
    fit(config, network, examples)
    after, _ = measure(network, examples, held)
    assert float(after.detach()) > float(before.detach()) + 0.002


def test_the_program_keeps_shaping(config: RepairConfig, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("batch: 8\n")
    values = [f"{key}={value}" for key, value in vars(config).items()]
    main([str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out"), *(w for v in values for w in ("--set", v))])
    with np.load(tmp_path / "pixels.npz") as before, np.load(tmp_path / "out" / "pixels.npz") as after:
        assert all(np.array_equal(before[name], after[name]) for name in before if name.startswith("shaping"))
        assert not np.array_equal(before["repair1.weight"], after["repair1.weight"])
