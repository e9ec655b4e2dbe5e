"""Whether a file or a folder can be written, which is found out before the work rather than after it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_open_ended(path: Path) -> bool:
    """Return whether a target is written to rather than replaced: a FIFO, a device, or an open file of a process."""
    if not path.exists():
        return False
    mode = path.stat().st_mode
    is_special = not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return is_special or str(path.absolute()).startswith(("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/"))


def check_writable(name: str | os.PathLike[str], *, folder: bool = False) -> None:
    """Check that a file or a folder on this machine can be written.

    Permissions say too little: nobody can make a file in /proc, whatever they are. So a file without a name is made in
    the nearest folder that exists. Nothing is left.

    Args:
        name: The path. What a symbolic link leads to is checked. A pipe or a device is written to as it is.
        folder: Whether a folder with files will be written, rather than a file.

    Raises:
        OSError: It cannot be written; `errno` and `strerror` say why.

    Example:
        >>> check_writable("/dev/null/result.png")
        Traceback (most recent call last):
        NotADirectoryError: [Errno 20] Not a directory: '/dev/null/result.png'
    """
    if not folder and is_open_ended(Path(name)):
        if not os.access(name, os.W_OK):
            raise _error(errno.EACCES, name)
        return
    if not folder and os.fspath(name).endswith(("/", os.sep)):
        raise _error(errno.EISDIR, name)
    path = Path(os.path.realpath(name))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        above = next(parent for parent in path.parents if os.path.lexists(parent))
    else:
        if stat.S_ISDIR(mode) != folder:
            raise _error(errno.ENOTDIR if folder else errno.EISDIR, name)
        above = path if folder else path.parent
    if not above.is_dir():
        raise _error(errno.ENOTDIR, name)
    _try(above, name)


def _try(folder: Path, name: str | os.PathLike[str]) -> None:
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=folder):
            pass
    except FileNotFoundError as error:  # a file system that is made of something else than files
        raise PermissionError(errno.EPERM, "nobody can make a file there", os.fspath(name)) from error
    except OSError as error:
        raise _error(error.errno or errno.EACCES, name) from error


def _error(code: int, name: str | os.PathLike[str]) -> OSError:
    return OSError(code, os.strerror(code), os.fspath(name))
