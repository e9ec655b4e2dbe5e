"""Completions of bash, zsh and fish, written from a description of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from semcomp.desktop.entries import WRITTEN_BY


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a command."""

    names: tuple[str, ...]
    """Its spellings, such as -q and --quality."""
    explanation: str
    """Its line in the help."""
    value: str | None
    """What stands for its value in the help; None for an option without a value."""
    choices: tuple[str, ...] = ()
    """The values that it takes, where they are listed."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command."""

    name: str
    summary: str
    """Its line in the help."""
    options: tuple[Option, ...]
    words: tuple[str, ...]
    """Words that its first argument may be. Without any, arguments are files."""


def bash(commands: Sequence[Command]) -> str:
    """Write the completion of bash. File names are completed wherever no list of words fits."""
    cases, values = [], []
    for command in commands:
        names = " ".join(name for option in command.options for name in option.names)
        cases.append(f"        {command.name}) options={_sh(names)} words={_sh(' '.join(command.words))} ;;")
        for option in command.options:
            if option.value is not None:
                patterns = "|".join(f"{command.name}:{name}" for name in option.names)
                values.append(f"        {patterns}) words={_sh(' '.join(option.choices))} options= ;;")
    return f"""\
# {WRITTEN_BY}
_semcomp() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= options= words= word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $word != -* ]]; then command=$word; break; fi
    done
    case $command in
        '') options='--help --version' words={_sh(" ".join(command.name for command in commands))} ;;
{chr(10).join(cases)}
    esac
    case $command:$prev in
{chr(10).join(values)}
    esac
    if [[ $cur == -* ]]; then words=$options; fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _semcomp semcomp
"""


def zsh(commands: Sequence[Command]) -> str:
    """Write the completion of zsh, a file for a folder of $fpath."""
    names = " \\\n".join(f"        {_sh(command.name + ':' + _flat(command.summary))}" for command in commands)
    cases = []
    for command in commands:
        specs = [_sh(spec) for option in command.options for spec in _zsh_specs(option)]
        specs.append(_sh(f"1:word:({' '.join(command.words)})") if command.words else "")
        specs.append(_sh("*:file:_files"))
        cases.append(f"        {command.name})\n            _arguments -S \\\n                ")
        cases[-1] += " \\\n                ".join(spec for spec in specs if spec) + " ;;"
    return f"""\
#compdef semcomp
# {WRITTEN_BY}
_semcomp() {{
    local -a commands=( \\
{names} )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{chr(10).join(cases)}
    esac
}}
_semcomp "$@"
"""


def fish(commands: Sequence[Command]) -> str:
    """Write the completion of fish."""
    lines = [f"# {WRITTEN_BY}"]
    for command in commands:
        lines.append(f"complete -c semcomp -n __fish_use_subcommand -f -a {command.name} -d {_fish(command.summary)}")
        seen = f"complete -c semcomp -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            lines.append(f"{seen} -a {_fish(' '.join(command.words))}")
        for option in command.options:
            flags = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = "" if option.value is None else " -r"
            if option.choices:
                value += f" -f -a {_fish(' '.join(option.choices))}"
            lines.append(f"{seen} {flags}{value} -d {_fish(option.explanation)}")
    return "\n".join(lines) + "\n"


SHELLS: Mapping[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""Name of each shell, and what writes its completion."""


def _zsh_specs(option: Option) -> list[str]:
    text = _flat(option.explanation).replace("[", "\\[").replace("]", "\\]")
    value = ""
    if option.value is not None:
        value = f":{_flat(option.value)}:" + (f"({' '.join(option.choices)})" if option.choices else "_files")
    return [f"{name}[{text}]{value}" for name in option.names]


def _flat(text: str) -> str:
    return " ".join(text.split()).replace(":", "\\:")


def _sh(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'") + "'"
