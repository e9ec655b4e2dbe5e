"""The image formats that `semcomp decode` writes, by the names that a user gives them."""

from __future__ import annotations

from semcomp.cli.exit_codes import UsageError
from semcomp.imaging.saving import FORMATS as FORMATS
from semcomp.imaging.saving import SYNTHESISED as SYNTHESISED
from semcomp.imaging.saving import image_bytes as image_bytes

_ALIASES = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tif": "tiff", "dib": "bmp", "pgm": "ppm", "pnm": "ppm"}


def format_name(text: str) -> str:
    """Return the key of `FORMATS` for a format's name or a file's suffix. Raises UsageError for an unknown one."""
    name = text.lower().removeprefix(".")
    name = _ALIASES.get(name, name)
    if name not in FORMATS:
        raise UsageError(f"cannot write {text or 'a file without a suffix'!r}: choose one of {', '.join(FORMATS)}")
    return name
