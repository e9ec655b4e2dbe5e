"""Exit codes of the `semcomp` command, and the error that means wrong usage."""

from __future__ import annotations

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class UsageError(Exception):
    """What was asked for makes no sense; ends with exit code 2, as argparse's own errors do."""
