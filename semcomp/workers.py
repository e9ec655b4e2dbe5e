"""Worker processes, as every command that takes -j starts them, and how a process ends."""

from __future__ import annotations

import atexit
import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


def spawned(workers: int) -> ProcessPoolExecutor:
    """A pool. Spawned rather than forked: torch's threads do not survive a fork. Ctrl-C is the parent's affair."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)


def share_of_threads(threads: int | None, workers: int) -> int:
    """CPU threads of one worker, of `threads` in all; None is every core."""
    return max(1, (threads or os.cpu_count() or 1) // workers)


def for_one_command() -> None:
    """Look for garbage rarely in this process, and not when it ends: among all that torch imports, that takes half a
    second."""
    gc.set_threshold(20_000)
    atexit.register(gc.freeze)


def _begin() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for_one_command()
