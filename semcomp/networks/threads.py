"""One thread for small pictures.

torch wakes its threads for every layer. A layer of a small picture takes about as long as waking them, and on a busy
machine much less. On two busy cores two threads need this many times as long as one for a step, and this many times the
processor time:

                 96x96         160x160       320x256
    latents      1.1   1.1     2.3   1.6     2.2   1.6
    a head       37    4.2     13    2.1     4.0   2.3
    synthesis    2.9   2.0     3.5   1.7     2.1   1.6

Larger pictures gain on idle cores, where this was not measured: packed_conv.py has 6.9 ms for 160x160 pixels on two of
them, from a file to an answer, and one thread takes 7.4 ms of processor time here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 100
"""Positions of y up to which one thread computes: 160x160 pixels."""


@contextmanager
def threads_for(positions: int) -> Iterator[None]:
    """Compute on one thread inside the block if a picture has few positions of y.

    Only the main thread of a process changes the number, which torch keeps for each thread. A thread that computes for
    the first time takes over the number of that moment and would keep it.
    """
    before = torch.get_num_threads()
    if positions > SMALL or before == 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
