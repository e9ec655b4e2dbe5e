"""Fields that chunk bodies are made of: varints, strings, version bytes. Only the standard library is needed."""

from __future__ import annotations

import unicodedata

from semcomp.errors import FormatError

_COPY_AGAIN = "copy the file again"


def pack_varint(value: int) -> bytes:
    """Unsigned LEB128: 7 bits a byte, low bits first, the top bit set on all but the last byte."""
    if not 0 <= value < 1 << 32:
        raise ValueError(f"{value} does not fit into an unsigned 32-bit integer")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack_varint(view: bytes | memoryview, *, offset: int = 0) -> tuple[int, int]:
    """``(value, offset behind it)``. FormatError when it is cut off, beyond 32 bits or not minimal."""
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


def check_version(data: bytes | memoryview, versions: int | tuple[int, ...], what: str) -> None:
    """FormatError unless the body, ``what`` in words, begins with one of these versions."""
    known = versions if isinstance(versions, tuple) else (versions,)
    if not len(data):
        raise FormatError(f"{what} are empty: the version is missing (byte 0); {_COPY_AGAIN}")
    if data[0] not in known:
        readable = " and ".join(str(version) for version in known)
        raise FormatError(f"{what} have version {data[0]} (byte 0), this semcomp reads {readable}; upgrade semcomp")


def pack_string(text: str) -> bytes:
    """varint length in bytes, and the UTF-8. ``ValueError`` beyond 200 bytes and for control characters."""
    encoded = text.encode()
    if len(encoded) > MAX_STRING_BYTES:
        raise ValueError(f"the string {text[:20]!r}... has {len(encoded)} bytes, allowed are {MAX_STRING_BYTES}")
    if (control := _first_control(text)) is not None:
        raise ValueError(f"the string {text!r} holds the control character {control!r}")
    return pack_varint(len(encoded)) + encoded


def unpack_string(data: bytes | memoryview, *, offset: int) -> tuple[str, int]:
    """``(text, offset behind it)``; inverse of :func:`pack_string`. FormatError for anything else."""
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
