"""Whether two names mean one file, so that no command writes over what it reads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from semcomp.errors import TargetError
from semcomp.storage.urls import is_url, local_name


def place_of(name: str | os.PathLike[str]) -> str:
    """Return the URL or the real path of a file, equal for every way that leads to it.

    Example:
        >>> place_of("/photos/../photos/a.png"), place_of("s3://bucket/a.png")
        ('/photos/a.png', 's3://bucket/a.png')
    """
    text = local_name(os.fspath(name))
    return text if is_url(text) else os.path.realpath(text)


def option_that_names(
    target: str | os.PathLike[str], options: Mapping[str, object], *, words: Collection[str] = ()
) -> str | None:
    """Return the name of an option whose value is a file, or a list of files, among which a target is.

    Every option counts unless it is left out, so that a new one is safe from the start.

    Args:
        target: What will be written, a path or a URL.
        options: The options by name.
        words: Names of options whose values are words, or are written to.

    Returns:
        None where the target does not exist or no option names it.
    """
    if not is_url(os.fspath(target)) and not os.path.lexists(target):
        return None
    place = place_of(target)
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        files = (entry for entry in values if isinstance(entry, str | os.PathLike) and entry)
        if name not in words and any(place_of(file) == place for file in files):
            return name
    return None


def refuse_to_overwrite(
    targets: Iterable[str | os.PathLike[str] | None], options: Mapping[str, object], *, words: Collection[str]
) -> None:
    """Raise TargetError where one of several targets is a file that an option names. `option_that_names` explains it.

    Args:
        targets: What will be written. None is passed over.
        options: The options by name.
        words: Names of options whose values are words, or are written to.
    """
    for target in targets:
        if target is not None and (name := option_that_names(target, options, words=words)) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise TargetError(f"{target} is what {flag} names, and would be overwritten: choose another file")
