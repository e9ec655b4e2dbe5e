"""How the command ends: its exit codes, the error that means wrong usage, and what signals do.

After a signal it ends its workers, removes temporary files, and exits with 128 + the signal.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
_ENDING = ("SIGTERM", "SIGHUP")
"""Signals that ask a process to end"""


def common_exit_code(codes: Iterable[int]) -> int:
    """Combine the exit codes of failures: 0 if there are none, their own if all are equal, else 1."""
    different = set(codes)
    return different.pop() if len(different) == 1 else EXIT_FAILED if different else EXIT_OK


class UsageError(Exception):
    """What was asked for makes no sense; ends with exit code 2, as argparse's own errors do."""


class Terminated(BaseException):
    """A signal asked this process to end. Not an Exception, so that no job can take it for a failure of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number


def raise_on_termination() -> None:
    """Let SIGTERM and SIGHUP raise Terminated in the main thread, unless this process ignores them, as under nohup."""
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise)


def _raise(number: int, _: object) -> None:
    for name in _ENDING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # a second signal must not stop the cleaning up
    raise Terminated(number)
