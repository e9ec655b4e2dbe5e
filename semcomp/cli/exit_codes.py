"""Exit codes of the `semcomp` command, and the error that means wrong usage."""

from __future__ import annotations

from collections.abc import Iterable

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def common_exit_code(codes: Iterable[int]) -> int:
    """Combine the exit codes of failures: 0 if there are none, their own if all are equal, else 1."""
    different = set(codes)
    return different.pop() if len(different) == 1 else EXIT_FAILED if different else EXIT_OK


class UsageError(Exception):
    """What was asked for makes no sense; ends with exit code 2, as argparse's own errors do."""
