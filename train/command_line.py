"""The command line that every program which trains networks shares."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from semcomp import config as configuration
from semcomp.errors import SemcompError
from train.trainer import STATE, BaseTrainer


class Named(Protocol):
    """A run's configuration."""

    @property
    def name(self) -> str:
        """The run's folder below runs/."""


C = TypeVar("C", bound=Named)
K = TypeVar("K")
T = TypeVar("T", bound=BaseTrainer)


def make_parser(name: str, doc: str | None, epilog: str) -> argparse.ArgumentParser:
    """A parser with the options that every training program has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m train.{name}",
        description=doc,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="YAML file of the run")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="change a value of the config")
    parser.add_argument("--max-minutes", type=minutes, metavar="M", help="save and stop after M minutes")
    parser.add_argument("--resume", action="store_true", help="continue the run of this name")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that holds all runs (default: runs)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def read_config(parser: argparse.ArgumentParser, options: argparse.Namespace, kind: type[K]) -> K:
    """Reads the configuration of a program with --set. A mistake of the user ends the program with a sentence."""
    try:
        return configuration.load(kind, options.config, overrides=options.set)
    except (ValueError, OSError, SemcompError) as error:
        parser.error(str(error))


def minutes(text: str) -> float:
    """A finite number from 0, as the type of an option. 0 stops after one step."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes from 0")
    return value


def begin(
    parser: argparse.ArgumentParser, options: argparse.Namespace, kind: type[C], build: Callable[[C, Path], T]
) -> T:
    """Builds or resumes the run that the options describe. A mistake of the user ends the program with a sentence."""
    config = read_config(parser, options, kind)
    if Path(config.name).name != config.name:
        parser.error(f"name is the name of a folder below {options.runs}, not {config.name!r}")
    folder = options.runs / config.name
    try:
        if not options.resume and (folder / STATE).exists():
            raise ValueError(f"{folder} holds a run already: --resume continues it, --set name=... starts another")
        folder.mkdir(parents=True, exist_ok=True)
        run = build(config, folder)
        if options.resume:
            _resume(run, folder)
        (folder / "config.yaml").write_text(configuration.dump(config), encoding="utf-8")
    except (ValueError, OSError, SemcompError) as error:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing was in it
        parser.error(str(error))
    return run


def _resume(run: BaseTrainer, folder: Path) -> None:
    """Continues a run. ValueError where there is nothing to continue, or where it is of another configuration."""
    try:
        run.resume()
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder / STATE} does not fit this configuration ({reason}): resume with {folder / 'config.yaml'}"
        ) from error


def say_where(run: BaseTrainer, *, done: bool) -> None:
    """Prints one line at the end, on standard error."""
    if not run.quiet and run.is_main:
        state = "finished" if done else "stopped; continue with --resume"
        print(f"{run.folder}: {run.step} steps, {run.seconds / 60:.1f} minutes, {state}", file=sys.stderr)
