"""Shells complete commands, options, words and files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from semcomp.cli.commands.completion import completions, described
from semcomp.cli.exit_codes import EXIT_OK
from semcomp.cli.main import main
from semcomp.cli.parser import COMMANDS


def bash_completes(line: str, *, folder: Path) -> list[str]:
    """What bash offers at the end of a line. Its function runs in a real bash."""
    words = line.split(" ")
    script = completions()["bash"] + (
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        "_semcomp\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stderr == ""
    return done.stdout.split()


needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


@needs_bash
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("semcomp dec", ["decode"]),
        ("semcomp --v", ["--version"]),
        ("semcomp encode --max-b", ["--max-bytes"]),
        ("semcomp --verbose encode --near", ["--near"]),
        ("semcomp completion ", ["bash", "zsh", "fish"]),
        ("semcomp desktop un", ["uninstall"]),
        ("semcomp desktop --sys", ["--system"]),
        ("semcomp encode ", []),
        ("semcomp encode --output ", []),
        ("semcomp nothing --x", []),
    ],
)
def test_bash(line: str, offered: list[str], tmp_path: Path) -> None:
    """An empty list lets readline complete file names: `complete -o default`."""
    assert bash_completes(line, folder=tmp_path) == offered


@needs_bash
def test_bash_offers_every_command(tmp_path: Path) -> None:
    assert bash_completes("semcomp ", folder=tmp_path) == list(COMMANDS)


@needs_bash
def test_bash_offers_the_values_of_an_option(tmp_path: Path) -> None:
    command, option = next(
        (command, option) for command in described() for option in command.options if len(option.choices) > 1
    )
    offered = bash_completes(f"semcomp {command.name} {option.names[0]} ", folder=tmp_path)
    assert offered == list(option.choices)


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_the_shell_reads_its_script(shell: str, check: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(completions()[shell], encoding="utf-8")
    done = subprocess.run([shell, check, str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(completions()["fish"], encoding="utf-8")
    ask = f"source '{tmp_path / 'script'}'; complete -C 'semcomp dec'; complete -C 'semcomp encode --max-b'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask], capture_output=True, text=True, env={"HOME": str(tmp_path)}, check=False
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["decode", "--max-bytes"], done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_is_in_every_script(shell: str, capsys: Any) -> None:
    assert main(["completion", shell, "--json"]) == EXIT_OK
    script = json.loads(capsys.readouterr().out)["script"]
    for command in described():
        for option in command.options:
            for name in option.names:
                assert (f"-l {name[2:]}" if shell == "fish" and name.startswith("--") else name[1:]) in script, name
