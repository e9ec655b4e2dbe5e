"""Fields of chunk bodies: varints, strings, version bytes. Only the standard library is needed."""

from __future__ import annotations

import unicodedata

from semcomp.errors import FormatError

_COPY_AGAIN = "copy the file again"


def pack_varint(value: int) -> bytes:
    """Unsigned LEB128: 7 bits per byte, low bits first. The top bit is set in all bytes but the last.

    Example:
        >>> pack_varint(300).hex()
        'ac02'
    """
    if not 0 <= value < 1 << 32:
        raise ValueError(f"{value} does not fit into an unsigned 32-bit integer")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack_varint(view: bytes | memoryview, *, offset: int = 0) -> tuple[int, int]:
    """Read a varint.

    Returns:
        The value, and the offset behind it.

    Raises:
        FormatError: The number is cut off, needs more than 32 bits, or is not in its shortest form.
    """
    value = 0
    for count, byte in enumerate(view[offset : offset + 5]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if value >= 1 << 32 or (byte == 0 and count):
                raise FormatError(f"the number at byte {offset} is not minimal 32-bit LEB128; {_COPY_AGAIN}")
            return value, offset + count + 1
    if len(view) < offset + 5:
        raise FormatError(f"the number at byte {offset} is cut off at byte {len(view)}; {_COPY_AGAIN}")
    raise FormatError(f"the number at byte {offset} is longer than 5 bytes; {_COPY_AGAIN}")


MAX_STRING_BYTES = 200
"""Longest string in UTF-8 bytes."""


def check_version(data: bytes | memoryview, versions: int | tuple[int, ...], what: str) -> None:
    """Check the version byte at the start of a body. `what` names the body, in the plural.

    Raises:
        FormatError: The body is empty, or of none of these versions.
    """
    known = versions if isinstance(versions, tuple) else (versions,)
    if not len(data):
        raise FormatError(f"{what} are empty: the version is missing (byte 0); {_COPY_AGAIN}")
    if data[0] not in known:
        readable = " and ".join(str(version) for version in known)
        raise FormatError(f"{what} have version {data[0]} (byte 0), this semcomp reads {readable}; upgrade semcomp")


def pack_string(text: str) -> bytes:
    """The length in bytes as a varint, then the text in UTF-8.

    Raises:
        ValueError: The text is longer than 200 bytes, or holds a control character.
    """
    encoded = text.encode()
    if len(encoded) > MAX_STRING_BYTES:
        raise ValueError(f"the string {text[:20]!r}... has {len(encoded)} bytes, allowed are {MAX_STRING_BYTES}")
    if (control := _first_control(text)) is not None:
        raise ValueError(f"the string {text!r} holds the control character {control!r}")
    return pack_varint(len(encoded)) + encoded


def unpack_string(data: bytes | memoryview, *, offset: int) -> tuple[str, int]:
    """Read what `pack_string` wrote.

    Returns:
        The text, and the offset behind it.

    Raises:
        FormatError: The string is cut off, too long, not UTF-8, or holds a control character.
    """
    length, start = unpack_varint(data, offset=offset)
    if length > MAX_STRING_BYTES:
        raise FormatError(
            f"the string at byte {offset} claims {length} bytes, at most {MAX_STRING_BYTES} are allowed; {_COPY_AGAIN}"
        )
    if start + length > len(data):
        raise FormatError(f"the string at byte {offset} is cut off at byte {len(data)}; {_COPY_AGAIN}")
    try:
        text = bytes(data[start : start + length]).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"the string at byte {offset} is not UTF-8: {error.reason}; {_COPY_AGAIN}") from None
    if (control := _first_control(text)) is not None:
        raise FormatError(f"the string at byte {offset} holds the control character {control!r}; {_COPY_AGAIN}")
    return text, start + length


def _first_control(text: str) -> str | None:
    return next((character for character in text if unicodedata.category(character) == "Cc"), None)
