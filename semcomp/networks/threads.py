"""One thread for small pictures.

torch wakes its threads for every layer. A layer of a small picture takes about as long as waking them, and on a busy
machine much less. On two busy cores two threads need this many times as long as one for a step, and this many times the
processor time:

                 96x96         160x160       320x256
    latents      1.1   1.1     2.3   1.6     2.2   1.6
    a head       37    4.2     13    2.1     4.0   2.3
    synthesis    2.9   2.0     3.5   1.7     2.1   1.6

On two idle cores it depends on how threads wait. If they spin, as they do by default, two threads are 1.0 to 1.4 times
as fast at these sizes. If they sleep (OMP_WAIT_POLICY=PASSIVE, which the command sets), two are slower than one:
latents 0.57, 0.56 and 0.76, decoding 0.51, 0.65 and 0.83 times as fast. Decoding 480x360 pixels is 1.18 times as fast.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
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
