"""The name of a colour space, from the ICC profile that a file stores. The standard library is enough."""

from __future__ import annotations

LONGEST_NAME = 80
_SRGB = "sRGB"
_HEADER, _ROW = 132, 12
_MOST_TAGS = 200


def profile_name(icc: bytes | None) -> str:
    """Name the colour space of a picture.

    Args:
        icc: The body of the ICC chunk, or None where there is none, which means sRGB.

    Returns:
        The description in the profile, without control characters and at most 80 characters long. A profile without
        one is named after its colour space.

    Example:
        >>> profile_name(None)
        'sRGB'
        >>> profile_name(b"cut off")
        'unnamed profile'
    """
    if icc is None:
        return _SRGB
    name = "".join(character for character in _description(icc) if character.isprintable()).strip()
    if name:
        return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
    space = icc[16:20].decode("ascii", "replace").strip()
    return f"unnamed profile of {space}" if space.isalnum() else "unnamed profile"


def _description(icc: bytes) -> str:
    """The text of the `desc` tag: ASCII in version 2, UTF-16 in version 4 (ICC.1:2010, 9.2.41 and 10.13)."""
    count = min(int.from_bytes(icc[128:_HEADER], "big"), _MOST_TAGS)
    for start in range(_HEADER, _HEADER + _ROW * count, _ROW):
        if icc[start : start + 4] != b"desc":
            continue
        offset, size = (int.from_bytes(icc[start + at : start + at + 4], "big") for at in (4, 8))
        body = icc[offset : offset + size]
        if body[:4] == b"desc":
            length = int.from_bytes(body[8:12], "big")
            return body[12 : 12 + length].split(b"\0")[0].decode("latin-1")
        if body[:4] == b"mluc":
            length, at = (int.from_bytes(body[start : start + 4], "big") for start in (20, 24))
            return body[at : at + length].decode("utf-16-be", "replace")
    return ""
