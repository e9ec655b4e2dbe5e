"""Every command of semcomp that a page shows is one: its options exist and go together."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from semcomp.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^(?:    |sudo )*(?:\S+ run .*semcomp-edge |cat \S+ \| )?semcomp (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(?:sh|text)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS = ("|", "&&", ">", "<", ";")
"""What ends a command in a shell."""


def commands(text: str) -> list[list[str]]:
    """The arguments of every command of a page: lines that are indented, or in a fence without a language or of sh."""
    code = [line for line in text.splitlines() if line.startswith("    ")]
    code += [line for block in FENCE.findall(text) for line in block.splitlines()]
    found = []
    for line in code:
        if not (match := COMMAND.match(line)) or "`" in line:
            continue
        for part in re.split(r"&& semcomp ", match[1]):
            lexer = shlex.shlex(part, posix=True, punctuation_chars="|&<>;")
            lexer.whitespace_split, lexer.commenters = True, "#"
            words = list(lexer)
            end = next((number for number, word in enumerate(words) if word in ENDS), len(words))
            found.append(words[:end])
    return found


def problem_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the parser says against a command, or nothing."""
    try:
        build_parser(arguments).parse_args(arguments)
    except SystemExit as stopped:
        return "" if stopped.code == 0 else capsys.readouterr().err.strip().splitlines()[-1]
    return ""


def pages_with_commands() -> list[str]:
    found = [path for path in PAGES if "notebook" not in path.parts]
    return [path.relative_to(ROOT).as_posix() for path in found if commands(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", pages_with_commands())
def test_every_command_exists(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in commands((ROOT / page).read_text(encoding="utf-8")):
        assert problem_of(arguments, capsys) == "", f"semcomp {shlex.join(arguments)}"


def test_commands_are_found() -> None:
    text = "    semcomp encode a.png -q 80   # a note\n\n"
    text += "```sh\nsemcomp index p -o i && semcomp search i --top 3 > x\n```\n"
    assert commands(text) == [["encode", "a.png", "-q", "80"], ["index", "p", "-o", "i"], ["search", "i", "--top", "3"]]
    assert {"README.md", "docs/quickstart.md", "docs/guides/search.md"} <= set(pages_with_commands())


def test_a_command_that_does_not_exist_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--sharpen" in problem_of(["encode", "a.png", "--sharpen"], capsys)
    assert problem_of(["paint", "a.png"], capsys)


MODULE = re.compile(r"python -m ((?:semcomp|heads|train|benchmarks|tools|tests)[\w.]*)")
MAKE = re.compile(r"(?:^    |`)make ((?:[a-z][a-z-]*(?: |$|`))+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def unknown_programs(text: str) -> list[str]:
    """Modules that `python -m` cannot run, and targets that the Makefile lacks."""
    modules = [name for name in MODULE.findall(text) if not is_program(name)]
    targets = TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    wanted = [word for group in MAKE.findall(text) for word in group.strip("` ").split()]
    return modules + [f"make {word}" for word in wanted if word not in targets]


def is_program(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_program_and_target_exists(path: Path) -> None:
    if "notebook" not in path.parts:
        assert unknown_programs(path.read_text(encoding="utf-8")) == []


def test_programs_that_do_not_exist_are_noticed() -> None:
    text = "`python -m benchmarks.rates` `python -m benchmarks.rate` `make ratings`\n    make demo tests\n"
    assert unknown_programs(text) == ["benchmarks.rates", "make ratings", "make tests"]
