"""`semcomp completion`: completions of shells, written from the parsers of the commands."""

from __future__ import annotations

import argparse
from argparse import Namespace
from typing import TYPE_CHECKING

from semcomp.cli.exit_codes import EXIT_OK
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.cli.terminal import say_document, say_json

if TYPE_CHECKING:
    from semcomp.desktop.shells import Command, Option

_EPILOG = """\
examples:
  source <(semcomp completion bash)                 in this shell
  semcomp completion fish | source
  semcomp desktop install                           in every shell from now on
"""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output], epilog=_EPILOG, description="Print the completion of a shell, to be sourced."
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the completion; returns the exit code."""
    script = completions()[options.shell]
    if options.json:
        say_json({"command": "completion", "shell": options.shell, "script": script})
    else:
        say_document(script)
    return EXIT_OK


def completions() -> dict[str, str]:
    """Map each shell to the text of its completion."""
    from semcomp.desktop.shells import SHELLS

    commands = described()
    return {shell: write(commands) for shell, write in SHELLS.items()}


def described() -> list[Command]:
    """Describe every command with its options."""
    from semcomp.cli.parser import COMMANDS, build_parser
    from semcomp.desktop.shells import Command

    found = []
    for name, summary in COMMANDS.items():
        parser = build_parser([name])
        (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        actions = [action for action in commands.choices[name]._actions if action.help != argparse.SUPPRESS]
        first = next((action for action in actions if not action.option_strings), None)
        words = tuple(map(str, first.choices)) if first is not None and first.choices else ()
        options = tuple(_option(action) for action in actions if action.option_strings)
        found.append(Command(name=name, summary=summary, options=options, words=words))
    return found


def _option(action: argparse.Action) -> Option:
    from semcomp.desktop.shells import Option

    metavar = action.metavar or action.dest.upper()
    return Option(
        names=tuple(action.option_strings),
        explanation=(action.help or "").replace("%%", "%"),
        value=None if action.nargs == 0 else " ".join(metavar) if isinstance(metavar, tuple) else metavar,
        choices=tuple(map(str, action.choices or ())),
    )
