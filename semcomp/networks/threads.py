"""One thread for small pictures.

torch wakes its threads for every layer. A layer of a small picture takes about as long as waking them, and on a busy
machine much less: two threads may take many times as long as one there. On idle cores it depends on how threads wait.
Where they sleep (OMP_WAIT_POLICY=PASSIVE, which the command sets), two are slower than one up to 320x320 pixels; where
they spin, as they do by default, they are a little faster. python -m benchmarks.scaling --only small measures this, and
"Small pictures" in docs/results/speed.md has the figures.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

SMALL = 100
"""Positions of y up to which one thread computes: 160x160 pixels."""
SMALL_ASLEEP = 400
"""Positions up to which one thread computes where waiting threads sleep: 320x320 pixels."""


def small() -> int:
    """Positions of y up to which one thread computes in this process."""
    return SMALL_ASLEEP if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE" else SMALL


@contextmanager
def threads_for(positions: int) -> Iterator[None]:
    """Compute on one thread inside the block if a picture has few positions of y.

    Only the main thread of a process changes the number, which torch keeps for each thread. A thread that computes for
    the first time takes over the number of that moment and would keep it.
    """
    before = torch.get_num_threads()
    if positions > small() or before == 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread_each(count: int) -> ThreadPoolExecutor:
    """``count`` workers that share work of their own; each computes on one thread of torch."""
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # from here on this thread keeps its number
        ready.wait()

    before = torch.get_num_threads()
    workers = ThreadPoolExecutor(count, thread_name_prefix="semcomp-band", initializer=begin)
    for _ in range(count):
        workers.submit(int)
    ready.wait()
    torch.set_num_threads(before)  # torch hands the last number that was set to threads that begin
    return workers
