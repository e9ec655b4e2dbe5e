"""The command line's structure: commands own their options, and nothing heavy is imported to show help."""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from semcomp import cli
from semcomp.cli.main import main
from semcomp.cli.parser import COMMANDS, build_parser
from semcomp.cli.terminal import PlainBar, json_line, json_text, printable, progress_bar


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs_what_its_own_module_defines(command: str) -> None:
    module = import_module(f"semcomp.cli.commands.{command}")
    required = {
        "compare": ["x"],
        "models": [],
        "doctor": [],
        "export": ["onnx", "-o", "x"],
        "map": ["info", "x", "-o", "x"],
        "index": ["x", "-o", "x"],
        "push": ["x", "y"],
        "desktop": ["install"],
        "completion": ["bash"],
    }.get(command, ["x"])
    options = build_parser([command]).parse_args([command, *required])
    assert options.command == command and options.run is module.run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_number_is_refused_with_a_sentence_that_says_what_to_give(command: str, capsys: Any) -> None:
    numbers = [action for action in options_of(command) if takes_a_number(action)]
    for action in numbers:
        for wrong in ("nan", "1e999", "-3.5x"):
            with pytest.raises(SystemExit) as caught:
                build_parser([command]).parse_args([command, f"{action.option_strings[-1]}={wrong}"])
            said = capsys.readouterr().err.splitlines()[-1]
            assert caught.value.code == 2 and wrong in said and "invalid" not in said


def options_of(command: str) -> list[argparse.Action]:
    """The options of a command."""
    (commands,) = (a for a in build_parser([command])._actions if isinstance(a, argparse._SubParsersAction))
    return [action for action in commands.choices[command]._actions if action.option_strings]


def takes_a_number(action: argparse.Action) -> bool:
    """Whether an option has a number as its value, or several with commas between them."""
    if action.nargs == 0 or action.type is None or not callable(action.type):
        return False
    for text in ("1", "1,2"):
        try:
            value = action.type(text)
        except argparse.ArgumentTypeError:
            continue
        parts = value if isinstance(value, tuple) else (value,)
        return all(isinstance(part, int | float) for part in parts)
    return False


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert out.startswith(f"usage: semcomp {command} ") and "--json" in out


def test_the_help_lists_every_command(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.startswith("    ") and line.split()} >= set(COMMANDS)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.png", "a\\nb.png"),
        ("\x1b[2Jx.png", "\\x1b[2Jx.png"),
        ("写真.png", "\\u5199\\u771f.png"),
        ("b\u202egnp.exe", "b\\u202egnp.exe"),
        ("\udcff.png", "\\udcff.png"),
        ("\x9b31m.png", "\\x9b31m.png"),
        ("café.png", "café.png"),
        ("C:\\new\\table.png", "C:\\new\\table.png"),
    ],
)
def test_names_are_shown_escaped_and_stay_exact_in_json(name: str, shown: str) -> None:
    stream: Any = SimpleNamespace(encoding="cp1252")
    assert printable(name, stream) == shown
    line = json_line({"input": name}, stream)
    line.encode("cp1252")
    assert "\n" not in line and json.loads(line)["input"] == name


def test_numbers_that_json_lacks_are_null() -> None:
    values = {"psnr_db": math.inf, "rows": [{"x": math.nan}, (-math.inf, 1.5)], "id": b"\x01", "ok": True}
    wanted = {"psnr_db": None, "rows": [{"x": None}, [None, 1.5]], "id": "01", "ok": True}
    assert json.loads(json_line(values), parse_constant=pytest.fail) == wanted
    assert json.loads(json_text(values, indent=1), parse_constant=pytest.fail) == wanted


def test_every_json_of_the_command_line_goes_through_one_function() -> None:
    folder = Path(cli.__file__).parent
    writers = [path.name for path in folder.rglob("*.py") if "json.dump" in path.read_text(encoding="utf-8")]
    assert writers == ["terminal.py"]


def test_what_the_terminal_can_show_is_shown() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert printable("写真.png", stream) == "写真.png"


def test_hostile_arguments_are_escaped_in_usage_errors(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["info", "a.semc", "--x\x1b[2J\nsemcomp:fine"])
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\\x1b[2J\\nsemcomp:fine" in err


def test_a_bar_without_tqdm_counts_files(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    assert progress_bar(3) is None  # stderr is no terminal in tests
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    bar = progress_bar(1200, done=1)
    assert isinstance(bar, PlainBar)
    bar.write("a.png -> a.semc", file=screen)
    bar.update(2)
    bar.close()
    shown = screen.getvalue().split("\r\x1b[K")
    assert [text.partition(",")[0] for text in shown[1:2]] == ["1 of 1"] and shown[2] == "a.png -> a.semc\n"
    assert shown[-2].startswith("3 of 1,200 files, ") and shown[-1] == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("encod", "there is no command 'encod'; did you mean encode? semcomp --help lists all commands"),
        ("Decode", "there is no command 'Decode'; did you mean decode? semcomp --help lists all commands"),
        ("photo.jpg", "there is no command 'photo.jpg': semcomp --help lists all commands"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(command: str, said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "a.png"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"semcomp: error: {said}"
