"""What every program that trains networks shares: its loop, and its command line."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from semcomp import config as configuration
from train.log import Log, stop_signals


class Run(Protocol):
    """State of a run."""

    folder: Path
    quiet: bool
    seconds: float
    step: int

    @property
    def progress(self) -> float:
        """0..1 of the whole run."""

    def train_step(self) -> dict[str, float]:
        """One batch. Returns the figures of the log."""

    def save(self) -> None:
        """Write the state."""

    def resume(self) -> None:
        """Read it."""


def part_done(*, step: int, seconds: float, steps: int | None, minutes: float | None) -> float:
    """0..1 of a run whose length is given in steps or in minutes."""
    if steps is not None:
        return step / steps
    assert minutes is not None
    return seconds / (60 * minutes)


def run_to_the_end(
    run: Run,
    *,
    save_minutes: float,
    max_minutes: float | None,
    figures: tuple[str, ...] = ("loss", "bpp", "psnr_db"),
    after_step: Callable[[Log], None] = lambda log: None,
) -> bool:
    """Train to the end, or until the time is up or a signal asks to stop. True at the end of the run."""
    began, last_save = time.monotonic(), time.monotonic()
    before = run.seconds
    with stop_signals() as stop, Log(run.folder, quiet=run.quiet, figures=figures) as log:
        while run.progress < 1 and not stop:
            row = run.train_step()
            now = time.monotonic()
            run.seconds = before + now - began
            log.step(row, progress=run.progress)
            after_step(log)
            if now - last_save >= 60 * save_minutes:
                run.save()
                last_save = now
            if max_minutes is not None and now - began >= 60 * max_minutes:
                break
        run.save()
    return run.progress >= 1


def make_parser(name: str, doc: str | None, epilog: str) -> argparse.ArgumentParser:
    """The options that every training program has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m train.{name}",
        description=doc,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="YAML file of the run")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="change a value of the config")
    parser.add_argument("--max-minutes", type=float, metavar="M", help="save and stop after M minutes")
    parser.add_argument("--resume", action="store_true", help="continue the run of that name")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    parser.add_argument("--quiet", action="store_true")
    return parser


def begin(
    parser: argparse.ArgumentParser, options: argparse.Namespace, kind: Any, build: Callable[[Any, Path], Any]
) -> Any:
    """The run that the options describe, new or resumed; a mistake ends the program with a sentence."""
    try:
        config = configuration.load(kind, options.config, overrides=options.set)
        folder = options.runs / config.name
        if not options.resume and (folder / "state.safetensors").exists():
            raise ValueError(f"{folder} holds a run already: --resume continues it, --set name=... starts another")
        folder.mkdir(parents=True, exist_ok=True)
        run = build(config, folder)
        if options.resume:
            run.resume()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    (folder / "config.yaml").write_text(configuration.dump(config))
    return run


def say_where(run: Run, *, done: bool) -> None:
    """One line at the end, on standard error."""
    if not run.quiet:
        state = "finished" if done else "stopped; continue with --resume"
        print(f"{run.folder}: {run.step} steps, {run.seconds / 60:.1f} minutes, {state}", file=sys.stderr)
