"""Every example in a docstring of semcomp and heads runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    """Dotted names of the modules that hold a prompt."""
    paths = (path for package in ("semcomp", "heads") for path in sorted((ROOT / package).rglob("*.py")))
    found = [path for path in paths if ">>> " in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in found]


def test_there_are_examples() -> None:
    assert modules_with_examples()


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples run in a folder that holds photo.png, examples/photo.png and tests/golden."""
    (tmp_path / "examples").mkdir()
    shutil.copytree(ROOT / "tests" / "golden", tmp_path / "tests" / "golden")
    for copy in ("photo.png", "examples/photo.png"):
        shutil.copy(ROOT / "examples" / "photo.png", tmp_path / copy)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert not result.failed, "run python -m doctest on it for the whole report"
