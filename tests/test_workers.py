"""Worker processes end with the block that started them, and forked processes can compute."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from semcomp.cli.batch import run_batch
from semcomp.cli.paths import Job, JobPlan
from semcomp.workers import over_pool, share_of_threads, wait_passively, worker_pool
from tests.cli.test_processes import wait_until

FORKS = """
import multiprocessing, sys
import numpy as np, torch
torch.set_num_threads(2)
import semcomp
codec = semcomp.load()
pixels = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 200, 3))
expected = codec.encode(pixels)
def work(_):
    return codec.encode(pixels) == expected and codec.decode(expected).size == (200, 256)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(work, range(3)).get(timeout=120))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_pool_works_with_the_codec_loaded() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[True, True, True]", done.stderr[-2000:]


def test_an_exception_ends_the_workers() -> None:
    with pytest.raises(KeyboardInterrupt), worker_pool(2) as pool:
        pool.submit(time.sleep, 600)
        pool.submit(time.sleep, 600)
        started = multiprocessing.active_children()
        raise KeyboardInterrupt
    # The pool's thread waits for them too, and may hear of it first.
    wait_until(lambda: not any(child.is_alive() for child in started), seconds=10)
    assert len(started) == 2


def die_of_the_bad_one(job: Job, options: Namespace) -> dict[str, Any]:
    """Work of a batch, in a worker: dies of one job, as a process does that memory runs out for."""
    if job.source == "bad":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"line": "done"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_only_the_job_that_kills_its_worker_fails(capsys: pytest.CaptureFixture[str]) -> None:
    plan = JobPlan([Job(name, "") for name in ("a", "bad", "b", "c")], [], [])
    options = Namespace(command="encode", jobs=2, threads=1, json=False, quiet=False, verbose=False)
    assert run_batch(die_of_the_bad_one, plan, options, keys=()) == 1
    out, err = capsys.readouterr()
    assert sorted(line.split()[0] for line in out.splitlines()) == ["a", "b", "c"]
    assert err.splitlines()[1].startswith("  bad: a worker process died, perhaps because memory ran out")


def die_of_bad(item: str) -> str:
    if item == "bad":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_worker_that_dies_while_nobody_waits_for_it_loses_nothing() -> None:
    results = over_pool(die_of_bad, ["a", "bad", "b", "c"], workers=1, carefully=lambda item: f"{item}, alone")
    first = next(results)
    wait_until(lambda: not multiprocessing.active_children(), seconds=60)
    done = [first, *results]
    assert sorted(result.partition(",")[0] for result in done) == ["a", "b", "bad", "c"]
    assert "bad, alone" in done


def test_the_pool_returns_results_and_ends() -> None:
    with worker_pool(1) as pool:
        assert pool.submit(Path, "x").result() == Path("x")
    assert not multiprocessing.active_children()


def test_threads_are_shared() -> None:
    assert share_of_threads(8, 2) == 4 and share_of_threads(1, 4) == 1


def test_a_policy_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
