"""A progress bar for what takes seconds within one file."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def step_bar(options: Namespace, label: str) -> Iterator[Callable[[int, int], None]]:
    """Show steps on a terminal while the body runs.

    Args:
        options: The bar stays away with --quiet, with several processes, and where stderr is not a terminal.
        label: What the steps belong to.

    Yields:
        A function of the steps done and of all steps. A smaller number of steps than before begins a new round.
    """
    if options.quiet or options.jobs != 1 or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm

    with tqdm(desc=label, unit="step", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:

        def heard(done: int, total: int) -> None:
            if done < bar.n:
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield heard
