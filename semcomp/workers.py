"""Worker processes and temporary files: how every command that takes -j starts workers, and how a process ends."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2
"""Items that wait for each worker. More would only take memory."""
WAIT_POLICY = {"OMP_WAIT_POLICY": "PASSIVE"}
"""What the command sets in its environment; a program that uses the library may do the same."""
_forks_survived = False
_runs_one_command = False
_TOKEN = ""
"""Identifies this run in the names of its temporary files; a worker has the token of the process that started it."""


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start worker processes, and end them whichever way the block is left.

    They are spawned: threads that torch has started do not survive a fork. If an exception leaves the block, a signal's
    included, the workers are killed at once. A worker that sees its parent die ends itself.

    Args:
        workers: The number of processes.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = set(active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin_worker, initargs=(run_token(),)
    )
    try:
        yield pool
    except BaseException:
        for child in set(active_children()) - others:
            child.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def over_pool(work: Callable[[T], R], items: Sequence[T], *, workers: int, carefully: Callable[[T], R]) -> Generator[R]:
    """Work on items in processes that may die.

    If a process dies, nobody knows which item killed it. What was running then goes to `carefully`, and the rest to new
    processes.

    Args:
        work: A function of a module, or a partial of one.
        items: What it takes, one at a time.
        workers: The number of processes.
        carefully: Works on an item in this process, and survives what kills a worker.

    Yields:
        The results, in any order.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, wait
    from concurrent.futures.process import BrokenProcessPool

    waiting = list(reversed(items))
    while waiting:
        running: dict[Future[R], T] = {}
        broken = False
        with worker_pool(workers) as pool:
            while (waiting or running) and not broken:
                with signals_blocked():
                    while waiting and len(running) < AHEAD * workers:
                        try:
                            running[pool.submit(work, waiting[-1])] = waiting[-1]
                        except BrokenProcessPool:  # a process died since the last wait
                            broken = True
                            break
                        waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    if isinstance(future.exception(), BrokenProcessPool):
                        broken = True
                        continue
                    del running[future]
                    yield future.result()
        for item in running.values():
            yield carefully(item)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Delay SIGINT, SIGTERM and SIGHUP while the block starts processes.

    No process is left half started, and the new ones inherit the mask: Ctrl-C, which reaches every process of a
    terminal, is answered by the parent alone, also while a worker is loading.
    """
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_passively() -> None:
    """Let threads that wait for each other sleep, rather than spin and burn the core that the awaited thread needs.

    Spinning saves little on an idle machine. Beside one busy process, encoding to a size takes many times as long with
    it. The setting has an effect only before torch is loaded, and yields to a setting in the environment.
    """
    for name, value in WAIT_POLICY.items():
        os.environ.setdefault(name, value)


def survive_forks() -> None:
    """Let processes that are forked from this one compute with torch.

    A fork copies the memory of OpenMP and none of its threads, and the child would wait for them for ever. A child
    computes on one thread instead.
    """
    global _forks_survived
    if not _forks_survived and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_compute_on_one_thread)
        _forks_survived = True


def _compute_on_one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def share_of_threads(threads: int | None, workers: int) -> int:
    """Return the number of CPU threads for each worker.

    Args:
        threads: CPU threads in total; None means every core.
        workers: The number of processes.
    """
    return max(1, (threads or os.cpu_count() or 1) // workers)


def for_one_command() -> None:
    """Set up a process that runs one command, or is a worker of one, and nothing else.

    The garbage collector runs rarely, and not at exit: searching everything that torch imports is slow.
    """
    global _runs_one_command
    _runs_one_command = True
    gc.set_threshold(20_000)
    atexit.register(gc.freeze)


def runs_one_command() -> bool:
    """Return whether `for_one_command` set up this process, so that nothing but semcomp computes in it."""
    return _runs_one_command


def run_token() -> str:
    """Return the token of this run, which the names of its temporary files contain."""
    global _TOKEN
    if not _TOKEN:
        from secrets import token_hex

        _TOKEN = token_hex(6)
    return _TOKEN


def temporary_beside(path: Path) -> Path:
    """Return a name for a temporary file in the folder of `path`. It is short, however long the name of `path` is."""
    from secrets import token_hex

    return path.with_name(f".semcomp-{run_token()}-{token_hex(6)}.tmp")


def remove_temporaries(folders: Iterable[Path]) -> None:
    """Remove the temporary files of this run from folders, after its workers were killed."""
    for folder in set(folders):
        with suppress(OSError):
            for temporary in folder.glob(f".semcomp-{run_token()}-*.tmp"):
                temporary.unlink(missing_ok=True)


def _begin_worker(token: str) -> None:
    import signal
    from threading import Thread

    global _TOKEN
    _TOKEN = token
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
    Thread(target=_end_with_parent, daemon=True).start()
    for_one_command()


def _end_with_parent() -> None:
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
