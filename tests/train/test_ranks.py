"""Two processes train one model on the CPU: over gloo, with crops of their own, resumed exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from tests.train.test_codec import photos as photos
from tests.train.test_codec import settings
from tests.train.test_codec import train as train_alone
from train.checkpoint import load_state
from train.log import Log
from train.ranks import restore_rank, save_rank, seed_of_rank

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without distributed")


def train(runs: Path, arguments: list[str]) -> dict[str, Any]:
    """Run the program as a user does, because Fabric starts it again for every further process."""
    command = [sys.executable, "-m", "train.codec", "configs/codec_base.yaml", "--runs", str(runs), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    name = next(a.removeprefix("name=") for a in arguments if a.startswith("name="))
    return load_state(runs / name / "state.safetensors")


@pytest.mark.slow
def test_two_processes_train_one_model_and_resume_exactly(photos: Path, tmp_path: Path) -> None:
    whole = train(tmp_path, settings(photos, "whole", devices="2", steps="4"))
    part = settings(photos, "part", devices="2", steps="4")
    assert 0 < train(tmp_path, [*part, "--max-minutes", "0"])["step"] < 4
    resumed = train(tmp_path, [*part, "--resume"])
    assert resumed["step"] == whole["step"] == 4
    for name, value in whole["objective"].items():
        assert torch.equal(resumed["objective"][name], value), name
    rank1 = load_state(tmp_path / "whole" / "rank1.safetensors")
    assert rank1["step"] == 4 and not torch.equal(rank1["sampler"], whole["sampler"]), "it has crops of its own"
    alone = train_alone(tmp_path, settings(photos, "alone", devices="1", steps="4"))
    assert torch.equal(alone["sampler"], whole["sampler"]), "rank 0 draws what one process draws"
    changed = [name for name, value in alone["objective"].items() if not torch.equal(value, whole["objective"][name])]
    assert changed, "the gradient of the second process counts"


def test_one_process_keeps_the_log(tmp_path: Path) -> None:
    for keep in (True, False):
        with Log(tmp_path, quiet=True, every=1, keep=keep) as log:
            log.step({"step": 1, "loss": 2.0}, progress=0.5)
            scratch = log.scratch
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [
        {"step": 1, "loss": 2.0}
    ]
    assert scratch is not None and not Path(scratch.name).exists()


def test_a_process_without_a_state_of_this_step_draws_anew(tmp_path: Path) -> None:
    sampler, again = torch.Generator().manual_seed(5), torch.Generator()
    save_rank(tmp_path, 1, sampler=sampler, step=7)
    restore_rank(tmp_path, 1, sampler=again, step=7, seed=0)
    assert torch.equal(again.get_state(), sampler.get_state())
    restore_rank(tmp_path, 1, sampler=again, step=8, seed=0)
    assert again.initial_seed() == seed_of_rank(0, 1, 8) != seed_of_rank(0, 2, 8)
