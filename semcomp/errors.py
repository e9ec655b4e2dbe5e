"""Every error that semcomp raises on purpose, as one tree.

    SemcompError
     ├─ FormatError         a file is damaged, truncated or not a .semc file         (exit code 3)
     ├─ ModelError          weights are missing, or not the ones that wrote the file (exit code 4)
     ├─ ImageError          an input image cannot be encoded as it is                (exit code 1)
     ├─ TargetError         a size, rate or quality that cannot be met, or makes no
     │                      sense; also a ValueError                                 (exit code 1)
     └─ MissingExtraError   an optional dependency is not installed; also an
                            ImportError                                              (exit code 1)

A message says what happened, the value that was seen, and what to do next.
"""

from __future__ import annotations


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
        """``feature`` opens the sentence ("Training needs ..."), ``extra`` names the pip extra."""
        super().__init__(f"{feature} needs an optional dependency: pip install 'semcomp[{extra}]'")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.feature, self.extra)  # survives the trip out of a worker process


class SemcompWarning(UserWarning):
    """Something was read or written, but not quite as asked for."""
