"""Writes the pages of the documentation that come from the code: python -m tools.reference [--check]

    docs/reference/cli.md            every command with its options, from the parsers
    docs/reference/configuration.md  every key of a configuration file, from the dataclasses
    docs/reference/exit-codes.md     the exit codes, from the error classes

With --check it writes nothing and ends with 1 if a page is not current.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATED = "<!-- Written by `python -m tools.reference`. Edit the source that it names. -->\n\n"
PROGRAMS = {
    "train.codec": ("train.codec:RunConfig", "configs/codec_base.yaml"),
    "train.generator": ("train.generator_config:RunConfig", "configs/generator_street.yaml"),
    "train.joint": ("train.joint_config:JointConfig", "configs/joint.yaml"),
    "train.restore": ("train.restore:RestoreRunConfig", "configs/restore.yaml"),
    "heads.fit (semcomp-fit-head)": ("heads.fit_config:FitConfig", "configs/head_street.yaml"),
}
"""Programs that read a configuration file: its dataclass, and a file to start from."""


def cell(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# the command line


def option_row(action: argparse.Action) -> tuple[str, str]:
    """The names of an option with its value, and what it does."""
    metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    value = " ".join(metavar) if isinstance(metavar, tuple) else str(metavar)
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
    names = ", ".join(action.option_strings) or value
    takes_value = action.option_strings and action.nargs != 0
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f"`{names}{f' {value}' if takes_value else ''}`".replace("|", "\\|"), cell(text)


def command_section(name: str, parser: argparse.ArgumentParser) -> str:
    """One command: what it does, its arguments and options, and examples."""
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    parts = [f"## semcomp {name}\n", f"{(parser.description or '').strip()}\n"]
    arguments = [option_row(action) for action in actions if not action.option_strings]
    options = [option_row(action) for action in actions if action.option_strings]
    if arguments:
        parts.append(table(("argument", "meaning"), list(arguments)))
    if options:
        parts.append(table(("option", "meaning"), list(options)))
    if parser.epilog:
        parts.append(f"```text\n{textwrap.dedent(parser.epilog).strip()}\n```\n")
    return "\n".join(parts)


def cli_page() -> str:
    """Every command."""
    from semcomp.cli.parser import COMMANDS, build_parser

    sections = []
    for name in COMMANDS:
        parser = build_parser([name])
        (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        sections.append(command_section(name, commands.choices[name]))
    rows = [(f"[{name}](#semcomp-{name})", cell(line)) for name, line in COMMANDS.items()]
    intro = "# Command line\n\nData goes to stdout, progress and warnings go to stderr. `-` is stdin or stdout.\n"
    intro += "`--json` prints one object a line, with stable keys. "
    intro += "Where a whole command fails, it has `error`, `message` and `exit_code`, and its `input` is null.\n\n"
    return GENERATED + intro + table(("command", "what it does"), rows) + "\n" + "\n".join(sections)


# configuration


def comments_of(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            value = after.value
            found[field.target.id] = str(value.value) if isinstance(value, ast.Constant) else ""
    return found


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default value as YAML shows it; "required" without one."""
    value = field.default
    if value is dataclasses.MISSING:
        if field.default_factory is dataclasses.MISSING:
            return "required"
        value = field.default_factory()
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool) or value is None:
        return {True: "`true`", False: "`false`", None: "`null`"}[value]
    return f"`{value}`"


def rows_of(kind: type, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(key, default, meaning) of every field, also in nested dataclasses."""
    hints, comments = typing.get_type_hints(kind), comments_of(kind)
    for field in dataclasses.fields(kind):
        kinds = (hints[field.name], *typing.get_args(hints[field.name]))
        inner = next((each for each in kinds if dataclasses.is_dataclass(each)), None)
        if isinstance(inner, type):
            if inner.__name__ in prefix:
                continue
            yield from rows_of(inner, f"{prefix}{field.name}.")
        else:
            yield f"`{prefix}{field.name}`", default_of(field), cell(comments.get(field.name, ""))


def configuration_page() -> str:
    """Every key of every program."""
    parts = [
        GENERATED + "# Configuration\n",
        "A run is one YAML file. Its keys are the fields of a frozen dataclass, and `--set a.b=c` changes one of them. "
        "An unknown key is an error that names the nearest one.\n",
    ]
    for program, (place, example) in PROGRAMS.items():
        module, _, name = place.partition(":")
        kind = getattr(importlib.import_module(module), name)
        rows = list(rows_of(kind))
        parts += [f"## {program}\n", f"Example: `{example}`\n", table(("key", "default", "meaning"), rows)]
    return "\n".join(parts)


# exit codes


def exit_codes_page() -> str:
    """The exit codes and the error classes that cause them."""
    from semcomp import errors
    from semcomp.cli import exit_codes

    kinds = [k for k in vars(errors).values() if inspect.isclass(k) and issubclass(k, errors.SemcompError)]
    names: dict[int, list[str]] = {}
    for kind in kinds:
        names.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    rows = [
        (str(exit_codes.EXIT_OK), "Success. An image of which nothing is known is one.", ""),
        (str(exit_codes.EXIT_FAILED), "Some inputs failed; the others are done.", ", ".join(names.pop(1))),
        (str(exit_codes.EXIT_USAGE), "Wrong usage: the options contradict each other, or one is unknown.", ""),
        ("3", "A file is damaged, cut, or not a .semc file.", ", ".join(names.pop(3))),
        ("4", "Weights are missing, or are not the ones that wrote the file.", ", ".join(names.pop(4))),
        ("5", "A limit that was given to `semcomp eval` does not hold.", ""),
        (str(exit_codes.EXIT_INTERRUPTED), "Interrupted by Ctrl-C. Finished files stay.", ""),
        ("143", "Terminated. Finished files stay.", ""),
    ]
    assert not names, f"exit codes without a line here: {names}"
    head = "# Exit codes\n\nEvery error that semcomp raises on purpose derives from `semcomp.SemcompError`.\n\n"
    return GENERATED + head + table(("code", "meaning", "errors"), rows)


def pages() -> dict[str, str]:
    """Every generated page: path below docs/ -> text."""
    return {
        "reference/cli.md": cli_page(),
        "reference/configuration.md": configuration_page(),
        "reference/exit-codes.md": exit_codes_page(),
    }


def outdated() -> list[str]:
    """Pages that are missing or differ from what the code says."""
    return [
        page
        for page, text in pages().items()
        if not (DOCS / page).is_file() or (DOCS / page).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the pages. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page is not current")
    options = parser.parse_args(arguments)
    if options.check:
        for page in outdated():
            print(f"docs/{page} is not current: run python -m tools.reference", file=sys.stderr)
        return 1 if outdated() else 0
    for page, text in pages().items():
        (DOCS / page).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / page).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
