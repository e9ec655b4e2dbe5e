"""Mistakes that every command meets: nothing where a value belongs, wrong endings, and what leads to no network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from heads import fit
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.first_look import check_networks
from semcomp.cli.main import main
from semcomp.cli.parser import COMMANDS, build_parser
from semcomp.errors import ModelError
from semcomp.search.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: two photos, a file of text, and an empty one."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), (90, 120, 30)).save("a.png")
    Image.new("RGB", (40, 30)).save("b.jpg")
    Path("text.png").write_text("no picture")
    Path("empty").write_bytes(b"")
    return tmp_path


REQUIRED = {
    "map": ["info", "x", "-o", "x"],
    "index": ["x", "-o", "x"],
    "export": ["onnx", "-o", "x"],
    "push": ["x", "y"],
    "desktop": ["install"],
    "completion": ["bash"],
    "models": [],
    "doctor": [],
}
"""Arguments that a command cannot do without, where they are not one input."""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_takes_an_empty_value(command: str, capsys: Any) -> None:
    (chosen,) = [action for action in build_parser([command])._actions if action.dest == "command"]
    for action in chosen.choices[command]._actions:  # type: ignore[index]
        if action.option_strings and action.nargs != 0 and action.type is None and not action.choices:
            given = [*REQUIRED.get(command, ["x"]), f"{action.option_strings[-1]}="]
            refused(command, given, capsys)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("index", ["", "-o", "x"]),
        ("search", ["", "--label", "x"]),
        ("compare", [""]),
        ("push", ["", "org/name"]),
        ("push", ["x", ""]),
        ("models", ["x", ""]),
    ],
)
def test_nor_does_an_argument(command: str, given: list[str], capsys: Any) -> None:
    refused(command, given, capsys)


def refused(command: str, given: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, *given])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and "its value is empty: give " in said, (given, said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "a.png", "-o", "new.gif"],
        ["encode", "a.png", "-o", "new.pdf"],
        ["segment", "a.png", "--head", "street", "-o", "new.jpg"],
        ["compare", "a.png", "-o", "new.pdf"],
        ["index", ".", "-o", "new.png"],
    ],
)
def test_an_ending_of_something_else_is_refused(folder: Path, capsys: Any, arguments: list[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert f"-o {arguments[-1]} says {Path(arguments[-1]).suffix}, and the result is a ." in err
    assert not Path(arguments[-1]).exists()


def test_an_ending_that_says_nothing_is_the_users_affair(folder: Path, stand_in: Any) -> None:
    assert main(["encode", "a.png", "-o", "text.txt"]) == 0 and Path("text.txt").exists()


def test_a_head_that_draws_no_map_is_one_error(folder: Path, capsys: Any) -> None:
    assert main(["segment", "a.png", "b.jpg", "--head", "imagenette", "-o", "out"]) == 2
    assert capsys.readouterr().err == (
        "semcomp segment: the head imagenette gives labels, no label map: use semcomp classify\n"
    )


@pytest.mark.parametrize("arguments", [["eval", "PLACE", "--task", "classify"], ["index", "PLACE", "-o", "i.index"]])
def test_a_folder_that_is_missing_is_not_called_a_file(folder: Path, capsys: Any, arguments: list[str]) -> None:
    for place, said in (
        ("nowhere", "nowhere cannot be read: No such file or directory"),
        ("a.png", "a.png cannot be read: Not a directory; give a folder"),
        ("s3://bucket/photos", "s3://bucket/photos is a URL, and a folder on this machine is read: give a local one"),
    ):
        assert main([word.replace("PLACE", place) for word in arguments]) == (2 if "URL" in said else 1)
        assert capsys.readouterr().err == f"semcomp {arguments[0]}: {said}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--codecs", "nothing"], "no codec called nothing; known: semcomp, jpeg"),
        (["--codecs", "jpeg", "--anchor", "webp"], "--anchor webp is not measured: name one of jpeg"),
    ],
)
def test_eval_of_codecs_that_are_not_there(folder: Path, capsys: Any, arguments: list[str], said: str) -> None:
    assert main(["eval", "a.png", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_text_that_is_none_is_named(folder: Path, capsys: Any) -> None:
    Path("about.md").write_bytes(b"\xff\xfe\x80")
    assert main(["push", "base", "org/name", "--about", "about.md", "--show-card"]) == 1
    assert capsys.readouterr().err == "semcomp push: the text about.md is not text in UTF-8: give a text file\n"


@pytest.mark.parametrize("asked", [["--label", "dog"], ["--duplicates"], ["--like", "a.png"]])
def test_an_index_that_holds_nothing_says_so(folder: Path, capsys: Any, asked: list[str]) -> None:
    Store("empty", create=True).close()
    assert main(["search", "empty", *asked]) == 3
    assert capsys.readouterr().err == (
        "semcomp search: empty holds nothing yet: semcomp index FOLDER -o empty fills it\n"
    )


def test_the_photo_of_a_search_is_named(folder: Path, capsys: Any) -> None:
    assert main(["search", "no.index", "--like", "text.png"]) == 1
    assert capsys.readouterr().err.startswith("semcomp search: text.png: the file is not an image, but text")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--steps", "0"], "'0' is not a whole number from 1"),
        (["--minutes", "nan"], "'nan' must be a number above 0"),
        (["--void", "99999999"], "is not a whole number from 0 to 65535"),
        (["--steps", "3", "--minutes", "3"], "not allowed with argument --steps"),
    ],
)
def test_fitting_a_head_refuses_numbers_that_mean_nothing(given: list[str], said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        fit.main(["--data", "photos", *given])
    assert said in capsys.readouterr().err


def test_fitting_a_head_looks_at_its_cache_first(folder: Path, capsys: Any) -> None:
    Path("c.yaml").write_text("name: mine\n")
    assert fit.main(["c.yaml", "--cache", "a.png"]) == 1
    assert capsys.readouterr().err == "semcomp-fit-head: a.png cannot be written: not a directory\n"


class TestTheFirstFiles:
    def test_contradictions_are_told_before_a_target_that_exists(self, folder: Path, capsys: Any) -> None:
        Path("a.semc").write_bytes(b"kept")
        assert main(["encode", "text.png", "a.png", "--grid", "8"]) == 2
        assert "--grid is the grid of a label map, and none is stored" in capsys.readouterr().err
        assert Path("a.semc").read_bytes() == b"kept"

    def test_the_others_are_done_in_their_order(self, folder: Path, stand_in: Any, capsys: Any) -> None:
        assert main(["encode", "text.png", "a.png", "empty", "b.jpg", "-o", "out", "--json"]) == 1
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(row["input"], row["ok"]) for row in rows] == [
            ("text.png", False),
            ("a.png", True),
            ("empty", False),
            ("b.jpg", True),
        ]


def test_graphs_that_are_missing_are_found_without_a_network(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no/manifest\.json cannot be read"):
        check_networks(argparse.Namespace(graphs="no", model="base"))
    check_networks(argparse.Namespace(graphs="."))  # of a restorer, which needs no manifest
    with pytest.raises(UsageError, match="--graphs computes on the CPU, not on cuda"):
        check_networks(argparse.Namespace(graphs=".", model="base", device="cuda"))
