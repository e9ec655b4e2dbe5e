"""Marks inside the PNGs that semcomp writes for people to look at, so that no command takes them for photos.

The mark is a tEXt chunk with the key "semcomp". Its text says what the picture is: "label map", "overlay" or "plot".
A photo that `semcomp decode` wrote has no mark: it is a photo.
"""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(SIGNATURE) + 25
"""The IHDR chunk has 13 bytes, and 12 bytes around them"""
_KEY = b"semcomp\0"


def mark(png: bytes, what: str) -> bytes:
    """Return the PNG with a mark behind its header.

    Args:
        png: The bytes of a PNG.
        what: What the picture is, in words.
    """
    assert png.startswith(SIGNATURE) and png[12:16] == b"IHDR"
    body = b"tEXt" + _KEY + what.encode("latin-1")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return png[:_HEADER_END] + chunk + png[_HEADER_END:]


def own_output(path: str) -> str | None:
    """Return what a file's mark says; None for every other file, and for one that cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a fraction of the time of Path.open for thousands of files
            head = file.read(_HEADER_END + 64)
    except OSError:
        return None
    return mark_in(head)


def mark_in(head: bytes) -> str | None:
    """Return what the mark in the first bytes of a file says; None where there is none."""
    chunk = head[_HEADER_END : _HEADER_END + 64]
    if not head.startswith(SIGNATURE) or chunk[4:8] != b"tEXt" or not chunk[8:].startswith(_KEY):
        return None
    length = int.from_bytes(chunk[:4], "big")
    return chunk[8 + len(_KEY) : 8 + length].decode("latin-1")
