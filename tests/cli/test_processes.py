"""Real processes: signals, broken pipes, pipes as input, and names that the terminal cannot show."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp

SEMCOMP = [sys.executable, "-m", "semcomp"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with photos/00.png to photos/39.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:200, 0:300]
    shading = np.stack([rows, columns * 0.8, 200 - rows], axis=2)  # noise alone is warned of: it is unlike a photo
    for number in range(40):
        noisy = shading + rng.normal(0, 4, shading.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(f"photos/{number:02}.png")
    return tmp_path


def interruptible() -> None:
    """Undo what a parent in the background hands down: a process that ignores SIGINT from its start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def semcomp_process(*arguments: str) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*SEMCOMP, *arguments], **pipes, text=True, start_new_session=True, preexec_fn=interruptible
    )


def descendants(pid: int) -> set[int]:
    """Processes that `pid` has started, and those that they have started."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), set()).add(int(stat.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


@pytest.fixture
def finished() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed if a test leaves them behind."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
class TestSignals:
    @pytest.mark.parametrize(
        ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
    )
    @pytest.mark.parametrize("loading", [True, False])
    def test_every_worker_ends_and_no_half_file_is_left(
        self, folder: Path, finished: Any, number: int, code: int, word: str, loading: bool
    ) -> None:
        process = semcomp_process("encode", "photos", "-o", "out", "-j", "2", "--threads", "2")
        finished.append(process)
        if loading:
            wait_until(lambda: len(descendants(process.pid)) >= 3)  # two workers and Python's resource tracker
        else:
            wait_until(lambda: any((folder / "out").glob("*.semc")))
        started = descendants(process.pid)
        # Ctrl-C reaches every process of a terminal's foreground group, kill reaches one.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code
        assert err == f"semcomp: {word}\n"
        wait_until(lambda: not alive(started), 5)
        left = {path.name for path in (folder / "out").glob("*")} | {path.name for path in (folder / "out").glob(".*")}
        assert all(name.endswith(".semc") for name in left)
        for path in (folder / "out").glob("*.semc"):
            semcomp.info(path)

    def test_workers_end_when_their_parent_is_killed(self, folder: Path, finished: Any) -> None:
        process = semcomp_process("encode", "photos", "-o", "out", "-j", "2", "--threads", "2")
        finished.append(process)
        wait_until(lambda: any((folder / "out").glob("*.semc")))
        started = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not alive(started), 10)

    def test_one_process(self, folder: Path, finished: Any) -> None:
        process = semcomp_process("encode", "photos", "-o", "out", "--threads", "1")
        finished.append(process)
        wait_until(lambda: any((folder / "out").glob("*.semc")))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143 and err == "semcomp: terminated\n"
        assert not list((folder / "out").glob(".*"))


class TestStreams:
    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_closed_streams_lose_no_file(self, folder: Path, closed: str) -> None:
        encode = f"{shlex.join(SEMCOMP)} encode photos/00.png"
        assert subprocess.run(f"{encode} -o made.semc {closed}", shell=True).returncode == 0
        assert semcomp.info("made.semc").width == 300

    def test_a_result_for_a_closed_stdout_is_refused(self, folder: Path) -> None:
        command = f"{shlex.join(SEMCOMP)} encode photos/00.png -o - >&-"
        done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2 and "stdout is closed" in done.stderr

    @pytest.fixture
    def semc(self, folder: Path, codec: Any) -> Path:
        data = codec.encode("photos/00.png", quality=30)
        for number in range(3):
            (folder / f"{number}.semc").write_bytes(data)
        return folder

    def test_a_reader_that_leaves(self, semc: Path) -> None:
        command = f"{sys.executable} -m semcomp info {' '.join(['0.semc'] * 2 + ['1.semc', '2.semc'] * 2)} | head -n 1"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
        assert done.stderr == "" and done.stdout.startswith("0.semc: ")

    def test_process_substitution_and_dev_stdin(self, semc: Path) -> None:
        info = f"{sys.executable} -m semcomp info"
        command = f"{info} <(cat 0.semc) && {info} /dev/stdin < 1.semc"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("300x200") == 2

    def test_encode_from_and_to_devices(self, semc: Path) -> None:
        command = f"{sys.executable} -m semcomp encode --threads 1 <(cat photos/00.png) -q 30 -o /dev/stdout > x.semc"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert semcomp.info("x.semc").quality == 30


class TestNames:
    @pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
    def test_a_name_that_cannot_be_shown_does_not_stop_the_batch(self, folder: Path, codec: Any, encoding: str) -> None:
        data = codec.encode("photos/00.png", quality=30)
        names = ["写真.semc", "line\nbreak\x1b[31m.semc", "z.semc"]
        for name in names:
            (folder / name).write_bytes(data)
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        plain = subprocess.run([*SEMCOMP, "info", "."], capture_output=True, env=environment)
        assert plain.returncode == 0, plain.stderr
        lines = plain.stdout.decode(encoding).splitlines()
        assert sum("300x200" in line for line in lines) == 3
        assert "line\\nbreak\\x1b[31m.semc: 300x200" in plain.stdout.decode(encoding)
        assert "\x1b" not in plain.stdout.decode(encoding)
        as_json = subprocess.run([*SEMCOMP, "info", ".", "--json"], capture_output=True, env=environment, check=True)
        found = [json.loads(line)["input"] for line in as_json.stdout.decode(encoding).split("\n") if line]
        assert sorted(found) == sorted(names)
