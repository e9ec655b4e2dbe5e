"""What the programs of this package say when they end, and their exit codes."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from semcomp.errors import SemcompError, file_error


def check_writable(*paths: Path | None) -> None:
    """Check before the work, rather than after minutes of it, that its files can be written.

    Args:
        paths: The files. None is left out.

    Raises:
        FileError: One of them cannot be written.
    """
    for path in filter(None, paths):
        above = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
        if path.is_dir():
            code = errno.EISDIR
        elif not above.is_dir():
            code = errno.ENOTDIR
        elif not os.access(path if path.exists() else above, os.W_OK):
            code = errno.EACCES
        else:
            continue
        raise file_error(path, OSError(code, os.strerror(code)), verb="written")


def run(program: str, work: Callable[[], None], *, interrupted: str, mistakes: tuple[type[Exception], ...] = ()) -> int:
    """Do the work of a program, and turn what fails into a sentence on stderr.

    Args:
        program: Name in front of the sentence.
        work: Does everything, and prints the result.
        interrupted: What is said after "interrupted" when Ctrl-C ends it.
        mistakes: Errors that a wrong configuration causes.

    Returns:
        The exit code: 0, the code of the error or 1, 2 for a mistake, 130 after Ctrl-C.
    """
    try:
        work()
    except (SemcompError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    except mistakes as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted{interrupted}", file=sys.stderr)
        return 130
    return 0
