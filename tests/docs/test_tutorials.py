"""Every command and every block of Python of a tutorial runs, in the order of its page, on small pictures."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semcomp.cli.main import main as semcomp
from semcomp.cli.parser import build_parser
from tests.conftest import texture

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = ("pip install", "make npm", "tar ", "mv ", "python -m http.server")
"""Beginnings of commands that install, or that tests/web runs."""
CHANGES = ("data.side=64", "data.copies=2", "optim.batch=8", "optim.warmup_steps=2", "optim.mixup=0")
"""Settings with which semcomp-fit-head takes seconds."""


def fit_head(arguments: list[str]) -> int:
    """semcomp-fit-head, shortened."""
    fit = pytest.importorskip("heads.fit")
    changes = [word for change in CHANGES for word in ("--set", change)]
    status: int = fit.main([*arguments, "--steps", "6", *changes])
    return status


PROGRAMS: dict[str, Callable[[list[str]], int]] = {"semcomp": semcomp, "semcomp-fit-head": fit_head}


def run_command(line: str) -> None:
    """Runs one command line in this process. `> FILE` at its end keeps what it prints."""
    command, _, target = line.partition(" > ")
    words = shlex.split(command, comments=True)
    if words[:2] == ["mkdir", "-p"]:
        Path(words[2]).mkdir(parents=True, exist_ok=True)
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = PROGRAMS[words[0]](words[1:])
    assert status == 0, f"{line}\n{printed.getvalue()}"
    if target:
        Path(target.strip()).write_text(printed.getvalue(), encoding="utf-8")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """(Language, text) of the blocks that run."""
    found = BLOCK.findall((TUTORIALS / page).read_text(encoding="utf-8"))
    assert found
    yield from found


def run_page(page: str) -> None:
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, page, "exec"), {})
            continue
        for line in text.splitlines():
            if not line.startswith(NOT_RUN):
                run_command(line)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a reader of a tutorial works. It is the current one."""
    rng = np.random.default_rng(0)
    for folder in ("photos", "new", "teach/dog", "teach/other", "flowers/daisy", "flowers/tulip"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3 if "/" not in folder else 10):
            kind = int(folder.endswith(("other", "tulip"))) if "/" in folder else number % 2
            picture = Image.fromarray(texture(kind, 96 + number, 128 - number, rng))
            picture.save(tmp_path / folder / f"{number}.png")
    shutil.copy(ROOT / "examples" / "photo.png", tmp_path / "photo.png")
    with Image.open(ROOT / "examples" / "photo.png") as dog:
        small = dog.convert("RGB").resize((128, 128))
    small.save(tmp_path / "photos" / "beach.png")
    small.save(tmp_path / "dog.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_every_tutorial_is_run() -> None:
    run = {"compress-a-folder.md", "find-dogs.md", "train-a-head.md", "ship-a-client.md", "web-page.md"}
    assert {path.name for path in TUTORIALS.glob("*.md")} == run


def test_compress_a_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    run_page("compress-a-folder.md")
    assert len(list((place / "packed").glob("*.semc"))) == len(list((place / "back").glob("*.png"))) == 4
    assert len((place / "sizes.jsonl").read_text().splitlines()) == 4
    assert "% of the bytes" in capsys.readouterr().out
    assert (place / "beach.html").is_file() and (place / "report" / "report.html").is_file()


def test_find_dogs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("find-dogs.md")
    rows = [json.loads(line) for line in (place / "labels.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and {label["name"] for row in rows for label in row["labels"]} <= {"dog", "other"}
    assert "of 4 files show a dog" in capsys.readouterr().out


def test_train_a_head(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("train-a-head.md")
    assert (place / "flowers.md").is_file()
    assert len((place / "sure.jsonl").read_text().splitlines()) == 3
    assert "daisy" in capsys.readouterr().out


def semcomp_without_export(graphs: Path, arguments: list[str]) -> int:
    """semcomp, but an export copies graphs that exist, after a look at its options: an export takes half a minute."""
    if arguments[0] != "export":
        return semcomp(arguments)
    options = build_parser(arguments).parse_args(arguments)
    shutil.copytree(graphs, options.output)
    return 0


def test_ship_a_client(
    place: Path, exported: tuple[Path, object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    monkeypatch.setitem(PROGRAMS, "semcomp", partial(semcomp_without_export, exported[0]))
    run_page("ship-a-client.md")
    assert "MB" in capsys.readouterr().out
    assert (place / "back.png").is_file() and (place / "small.semc").is_file()


def test_web_page(place: Path) -> None:
    run_page("web-page.md")
    assert (place / "site" / "photo.semc").is_file()


@pytest.mark.usefixtures("place")
def test_a_command_that_fails_is_noticed() -> None:
    with pytest.raises(AssertionError, match="nowhere"):
        run_command("semcomp info nowhere.semc")
    with pytest.raises(KeyError):
        run_command("rm -r photos")
