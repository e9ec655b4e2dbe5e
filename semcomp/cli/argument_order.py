"""Puts the arguments of a command into the order that argparse takes: options first, inputs last.

Argparse gives all positional arguments of a command to the first group of them, so that it refuses `a.png -q 50 b.png`.
It also gives whatever follows to an option with an optional value, so that `--preview a.png` is an error. A user may
write both.
"""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple


class Ordered(NamedTuple):
    """The arguments of a command, sorted by what they are."""

    arguments: list[str]
    """Options with their values, then the positional arguments"""
    bare: list[Action]
    """Options that were written without their optional value; `arguments` lacks them"""


def options_first(parser: ArgumentParser, arguments: Sequence[str]) -> Ordered:
    """Sort the arguments of a command. What is behind `--` is positional.

    Args:
        parser: The parser of the command.
        arguments: What the user wrote behind the name of the command.

    Example:
        >>> parser = ArgumentParser()
        >>> _ = parser.add_argument("inputs", nargs="+")
        >>> _ = parser.add_argument("-q", type=int)
        >>> options_first(parser, ["a.png", "-q", "50", "b.png"]).arguments
        ['-q', '50', 'a.png', 'b.png']
    """
    options: list[str] = []
    positional: list[str] = []
    bare: list[Action] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return Ordered([*options, "--", *positional, *waiting], bare)
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
            continue
        action = _action_of(parser, argument)
        following = waiting[0] if waiting else None
        if action is not None and action.nargs == "?" and not _is_value(action, following):
            bare.append(action)
            continue
        options.append(argument)
        if action is not None and action.nargs in (None, "?") and following not in (None, "--"):
            options.append(waiting.pop(0))
    return Ordered([*options, *positional], bare)


def unknown_in_words(parser: ArgumentParser, unknown: Sequence[str]) -> str:
    """Say which arguments a command does not take, and which option the first of them may mean."""
    text = f"unrecognized arguments: {' '.join(unknown)}"
    near = get_close_matches(unknown[0].partition("=")[0], parser._option_string_actions, n=1)
    return f"{text}; did you mean {near[0]}?" if near else text


def unknown_command_in_words(command: str, known: Iterable[str]) -> str:
    """Say that there is no such command, which one it may mean, and how to see all of them.

    Example:
        >>> unknown_command_in_words("encod", ["encode", "decode"])
        "there is no command 'encod'; did you mean encode? semcomp --help lists all commands"
    """
    near = get_close_matches(command.lower(), known, n=1)
    meant = f"; did you mean {near[0]}? " if near else ": "
    return f"there is no command {command!r}{meant}semcomp --help lists all commands"


def _action_of(parser: ArgumentParser, argument: str) -> Action | None:
    """Return the option whose value is the next argument; None where none follows."""
    known = parser._option_string_actions
    if argument in known:
        action = known[argument]
        return action if action.nargs != 0 else None
    if "=" in argument and argument.startswith("--"):
        return None
    if argument.startswith("--"):
        meant = {known[name].dest: known[name] for name in known if name.startswith(argument)}
        action = next(iter(meant.values())) if len(meant) == 1 else None  # type: ignore[assignment]
        return action if action is not None and action.nargs != 0 else None
    for place, letter in enumerate(argument[1:], start=1):  # -fv, -q50, -fq 50
        short = known.get(f"-{letter}")
        if short is None:
            return None
        if short.nargs != 0:
            return short if place == len(argument) - 1 else None
    return None


def _is_value(action: Action, text: str | None) -> bool:
    """Return whether an option takes the next argument as its optional value: unless it is an option or an input."""
    if text is None or (text.startswith("-") and text != "-"):
        return False
    if not callable(action.type):
        return True
    try:
        action.type(text)
    except (ArgumentTypeError, TypeError, ValueError):
        return not (text == "-" or "://" in text or any(sign in text for sign in "*?[") or os.path.lexists(text))
    return True
