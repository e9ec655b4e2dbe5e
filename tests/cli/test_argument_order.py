"""Options and inputs in any order, and options whose value may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from semcomp.cli.parser import build_parser


def parsed(*arguments: str) -> Any:
    return build_parser(arguments).parse_args(arguments)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "-b.png", "5"):
        Path(name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.png", "c.png", "-q", "50", "-f"),
        ("a.png", "-q", "50", "c.png", "-f"),
        ("-fq", "50", "a.png", "c.png"),
        ("-f", "-q50", "a.png", "c.png"),
        ("a.png", "--qual", "50", "c.png", "--force"),
        ("a.png", "--quality=50", "c.png", "-f"),
        ("a.png", "-f", "-q", "50", "--", "c.png"),
    ],
)
def test_inputs_and_options_may_be_mixed(arguments: tuple[str, ...]) -> None:
    options = parsed("encode", *arguments)
    assert options.inputs == ["a.png", "c.png"] and options.quality == 50 and options.force


def test_what_follows_two_dashes_is_an_input() -> None:
    options = parsed("encode", "a.png", "-q", "7", "--", "-b.png", "-q")
    assert options.inputs == ["a.png", "-b.png", "-q"] and options.quality == 7


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (("--preview", "a.png"), "preview", 48),
        (("--preview", "60", "a.png"), "preview", 60),
        (("--preview", "5", "a.png"), "preview", 5),
        (("--preview", "-f", "a.png"), "preview", 48),
        (("--lossless", "a.png"), "lossless", True),
        (("--lossless", "auto", "a.png"), "lossless", "auto"),
        (("--with-latents", "https://example.org/a.png"), "with_latents", 50),
        (("--semantics", "*.png"), "semantics", ("labels", "map")),
        (("--semantics", "-"), "semantics", ("labels", "map")),
        (("a.png", "--semantics"), "semantics", ("labels", "map")),
    ],
)
def test_an_input_is_no_optional_value(arguments: tuple[str, ...], name: str, value: object) -> None:
    options = parsed("encode", *arguments)
    assert getattr(options, name) == value and len(options.inputs) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("encode", "--preview", "5000", "a.png"), "'5000' is not a whole number from 1 to 4096"),
        (("encode", "--lossless", "yes", "a.png"), "'yes' is not auto"),
        (("encode", "--semantics", "label", "a.png"), "'label' is not a kind of semantics"),
        (("encode", "a.png", "--qualty", "5"), "unrecognized arguments: --qualty; did you mean --quality?"),
        (("info", "a.png", "--xyz"), "unrecognized arguments: --xyz"),
    ],
)
def test_what_is_wrong_is_an_error_of_the_command(arguments: tuple[str, ...], said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and said in error and error.startswith(f"usage: semcomp {arguments[0]}")
