"""The formats that commands write, by the names and the suffixes that a user gives them."""

from __future__ import annotations

from pathlib import Path

from semcomp.cli.exit_codes import UsageError
from semcomp.imaging.saving import FORMATS as FORMATS
from semcomp.imaging.saving import image_bytes as image_bytes
from semcomp.storage.listing import IMAGE_SUFFIXES

_ALIASES = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tif": "tiff", "dib": "bmp", "pgm": "ppm", "pnm": "ppm"}
_ALIASES |= {"htm": "html"}
_KNOWN = (*IMAGE_SUFFIXES, ".semc", ".ico", ".svg", ".eps", ".pdf", ".html", ".htm")
"""Suffixes that tell viewers and commands what a file holds."""


def format_name(text: str) -> str:
    """Return the key of `FORMATS` for a format's name or a file's suffix. Raises UsageError for an unknown one."""
    name = _name_of(text)
    if name not in FORMATS:
        what = repr(text) if text else "a file without a suffix"
        raise UsageError(f"cannot write {what}: choose one of {', '.join(FORMATS)}")
    return name


def check_suffix(target: str, suffix: str, *, decides: bool = False) -> None:
    """Check that the suffix of a target fits what is written.

    Args:
        target: The file that a user named.
        suffix: The suffix of the format that is written.
        decides: Whether the suffix of the target says the format instead.

    Raises:
        UsageError: The suffix belongs to another format, or says none although it decides.
    """
    given, written = Path(target).suffix, Path(f"_{suffix}").suffix
    if decides:
        format_name(given)
    elif given.lower() in _KNOWN and _name_of(given) != _name_of(written):
        raise UsageError(f"-o {target} says {given}, and the result is a {written} file: give it that suffix")


def _name_of(text: str) -> str:
    """Return one name for all names and suffixes of a format."""
    name = text.lower().removeprefix(".")
    return _ALIASES.get(name, name)
