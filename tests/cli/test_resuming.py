"""A run that is repeated: what exists is kept, and that is no failure."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from semcomp.cli.main import main


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Any) -> Path:
    """The working directory, with photos/a.png to photos/c.png, of which a.semc exists."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in "abc":
        Image.new("RGB", (40, 30), (90, 120, 30)).save(f"photos/{name}.png")
    assert main(["encode", "photos/a.png"]) == 0
    return tmp_path / "photos"


def test_what_exists_is_kept_and_counted(photos: Path, capsys: Any) -> None:
    (photos / "a.semc").write_bytes(b"precious")
    capsys.readouterr()
    assert main(["encode", "photos"]) == 0
    out, err = capsys.readouterr()
    assert "photos/a.png -> photos/a.semc  kept: it exists\n" in out
    assert err == "semcomp encode: 1 of 3 kept as they are: pass --force to overwrite what exists\n"
    assert (photos / "a.semc").read_bytes() == b"precious" and (photos / "c.semc").exists()
    assert main(["encode", "photos", "-j", "2"]) == 0
    assert "3 of 3 kept as they are" in capsys.readouterr().err
    assert main(["encode", "photos", "-f"]) == 0
    assert (photos / "a.semc").read_bytes() != b"precious" and capsys.readouterr().err == ""


def test_json_says_what_was_kept(photos: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["encode", "photos", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    kept = {record["input"]: (record["ok"], record["kept"]) for record in map(json.loads, out.splitlines())}
    assert kept == {"photos/a.png": (True, True), "photos/b.png": (True, False), "photos/c.png": (True, False)}
    assert err == ""


def test_a_failure_beside_what_is_kept_is_a_failure(photos: Path, capsys: Any) -> None:
    (photos / "b.png").write_text("no picture")
    assert main(["encode", "photos"]) == 1
    err = capsys.readouterr().err
    assert "1 of 3 kept as they are" in err and "b.png: the file is not an image" in err and "a.png:" not in err


def test_one_file_that_was_named_is_a_failure(photos: Path, capsys: Any) -> None:
    assert main(["encode", "photos/a.png"]) == 1
    assert (
        capsys.readouterr().err == "semcomp encode: photos/a.png: photos/a.semc exists: pass --force to overwrite it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (["encode"], "b.semc"),
        (["decode"], "a.png"),
        (["segment", "--head", "street"], "a.labels.png"),
        (["restore"], "b.png"),
    ],
)
def test_every_command_that_writes_files_keeps_them(
    photos: Path, capsys: Any, arguments: list[str], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semcomp.cli.commands.segment.get_head", lambda name, options: SimpleNamespace(task="segment"))
    for folder in ("in", "out"):
        Path(folder).mkdir()
    Path("in/a.semc").write_bytes((photos / "a.semc").read_bytes())
    Image.new("RGB", (40, 30)).save("in/b.jpg")
    Path("out", target).write_bytes(b"precious")
    capsys.readouterr()
    main([*arguments, "in", "-o", "out", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["output"] for line in lines if line["kept"]] == [f"out/{target}"]
    assert Path("out", target).read_bytes() == b"precious"
