"""How the command answers signals: it ends its workers, removes temporary files, and exits with 128 + the signal."""

from __future__ import annotations

import signal

_NAMES = ("SIGTERM", "SIGHUP")


class Terminated(BaseException):
    """A signal asked this process to end. Not an Exception, so that no job can take it for a failure of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number


def raise_on_termination() -> None:
    """Let SIGTERM and SIGHUP raise Terminated in the main thread, unless this process ignores them, as under nohup."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise)


def _raise(number: int, _: object) -> None:
    for name in _NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # a second signal must not stop the cleaning up
    raise Terminated(number)
