"""Every error that semcomp raises on purpose, as one tree.

    SemcompError
     ├─ FormatError         a file is damaged, truncated or not a .semc file         (exit code 3)
     ├─ ModelError          weights are missing, or not the ones that wrote the file (exit code 4)
     ├─ ImageError          an input image cannot be encoded as it is                (exit code 1)
     ├─ TargetError         a size, rate or quality that cannot be met, or makes no
     │                      sense; also a ValueError                                 (exit code 1)
     ├─ MissingExtraError   an optional dependency is not installed; also an
     │                      ImportError                                              (exit code 1)
     └─ FileError           a file cannot be read or written; also an OSError        (exit code 1)
         └─ MissingFileError    there is no such file; also a FileNotFoundError      (exit code 1)

A message says what happened, the value that was seen, and what to do next.
"""

from __future__ import annotations

LIBRARY = "torch"
"""Names the library itself where MissingExtraError asks for an extra: a client without torch does without it."""


class SemcompError(Exception):
    """Base of all errors of this package; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class FormatError(SemcompError):
    """The bytes are not a readable ``.semc`` file: damaged, truncated, foreign, or beyond a limit."""

    exit_code = 3


class ModelError(SemcompError):
    """Weights or tables are missing or damaged, or are not the ones that wrote the file."""

    exit_code = 4


class ImageError(SemcompError):
    """The input image cannot be encoded as it is; the message says how to convert it."""


class TargetError(SemcompError, ValueError):
    """A requested size, rate or quality cannot be met, or the parameters contradict each other."""


class MissingExtraError(SemcompError, ImportError):
    """A feature needs an optional dependency; the message holds the exact ``pip install`` line."""

    def __init__(self, feature: str, extra: str) -> None:
        """``feature`` opens the sentence ("Training needs ..."), ``extra`` names the pip extra, or is LIBRARY."""
        if extra == LIBRARY:
            super().__init__(f"{feature} needs the library on torch, which is not installed: pip install semcomp")
        else:
            super().__init__(f"{feature} needs an optional dependency: pip install {_requirement(extra)}")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.feature, self.extra)  # survives the trip out of a worker process


def _requirement(extra: str) -> str:
    """What to install: an extra of the wheel that is here. The client alone has onnxruntime without an extra."""
    from importlib.util import find_spec

    if find_spec("semcomp.codec"):
        return f"'semcomp[{extra}]'"
    return "semcomp-edge" if extra == "edge" else f"'semcomp-edge[{extra}]'"


class FileError(SemcompError, OSError):
    """A file cannot be read or written. ``errno``, ``strerror`` and ``filename`` come from the system's error."""

    def __init__(self, message: str, cause: OSError | None = None) -> None:
        super().__init__(message)
        if cause is not None:
            self.errno, self.strerror, self.filename = cause.errno, cause.strerror, cause.filename

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[FileError], tuple[str]]:
        return type(self), (str(self),)  # survives the trip out of a worker process


class MissingFileError(FileError, FileNotFoundError):
    """There is no file at the path that was given."""


def file_error(path: object, error: OSError, *, verb: str = "read") -> FileError:
    """The system's error as one of this package.

    Args:
        path: The file, as the caller named it.
        error: What the system raised.
        verb: What was tried, such as "read" or "written", for the sentence "... cannot be ...".

    Returns:
        A MissingFileError for a FileNotFoundError, else a FileError. The caller raises it.

    Example:
        >>> print(file_error("a.semc", FileNotFoundError(2, "No such file or directory")))
        a.semc cannot be read: no such file or directory
    """
    kind = MissingFileError if isinstance(error, FileNotFoundError) else FileError
    reason = error.strerror or str(error)
    return kind(f"{path} cannot be {verb}: {reason[:1].lower()}{reason[1:]}", error)


def reason_of(error: BaseException) -> str:
    """Say in a sentence why one file of many failed.

    Example:
        >>> reason_of(FileNotFoundError(2, "No such file or directory", "a.semc"))
        'No such file or directory'
        >>> reason_of(KeyError("y"))
        "internal error, please report it: KeyError('y')"
    """
    if isinstance(error, SemcompError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error}".rstrip(": ")
    return f"internal error, please report it: {error!r}"


class SemcompWarning(UserWarning):
    """Something was read or written, but not quite as asked for."""
