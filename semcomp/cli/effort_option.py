"""--effort of `encode`: the option, what it excludes, and a progress bar for what takes seconds within one file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from semcomp.backend import require_library
from semcomp.cli import generative_options, lossless_options
from semcomp.cli.argument_types import whole_number
from semcomp.cli.exit_codes import UsageError
from semcomp.cli.terminal import steps_bar

DEFAULT = 5


def add(parser: ArgumentParser) -> None:
    """Add --effort."""
    parser.add_argument(
        "--effort",
        type=whole_number(1, 9),
        default=DEFAULT,
        metavar="1..9",
        help="how long to look for a better file: 1 only rounds, 2 to 5 weigh bits against error, 6 and 7 round again "
        f"along the gradient, 2 and 8 times, 8 and 9 fit the latents in 100 and 200 steps ({DEFAULT})",
    )


def check(options: Namespace) -> None:
    """UsageError where something else than the faithful decoder will read the file, or nothing is left to fit."""
    if options.effort != DEFAULT and lossless_options.is_lossless(options):
        raise UsageError(
            f"--effort {options.effort} is for lossy files, and --lossless and --near keep the pixels: leave one out"
        )
    if options.effort <= DEFAULT:
        return
    if generative_options.is_generative(options):
        raise UsageError(
            f"--effort {options.effort} fits the file to the faithful decoder, and generators have learned other "
            "latents: leave --effort out, or do without --mode generative and --drop"
        )
    if options.graphs is not None:
        raise UsageError(f"--effort {options.effort} computes gradients, which graphs do not: leave out --graphs")
    require_library(f"--effort {options.effort}")


@contextmanager
def arguments(options: Namespace) -> Iterator[dict[str, Any]]:
    """Yield the arguments of `Codec.encode` for the effort, and show its steps on a terminal while the body runs.

    The bar stays away with --quiet, with several processes, and where stderr is not a terminal.
    """
    effort = getattr(options, "effort", DEFAULT)
    if effort == DEFAULT:
        yield {}
        return
    if effort < DEFAULT:
        yield {"effort": effort}
        return
    with steps_bar(options, f"effort {effort}") as bar:
        if bar is None:
            yield {"effort": effort}
            return

        def heard(done: int, total: int) -> None:
            if done < bar.n:  # the next quality of a target
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield {"effort": effort, "on_progress": heard}
