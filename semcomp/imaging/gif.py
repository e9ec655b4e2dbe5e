"""The ICC profile of a GIF file, which Pillow does not read: an application extension before the first image."""

from __future__ import annotations

from typing import BinaryIO

_EXTENSION, _APPLICATION = 0x21, 0xFF
_PROFILE = b"ICCRGBG1012"
LONGEST_PROFILE = 1 << 24


def read_gif_profile(stream: BinaryIO) -> bytes | None:
    """Read the profile of a GIF file (ICC.1, annex B.5). None where there is none before the first image."""
    stream.seek(10)
    packed = stream.read(3)[:1]
    if packed and packed[0] & 0x80:
        stream.seek(3 << ((packed[0] & 7) + 1), 1)  # the global colour table
    while (head := stream.read(2)) and head[0] == _EXTENSION:
        name = stream.read(12) if head[1:] == bytes([_APPLICATION]) else b""
        if name[1:] == _PROFILE:
            return _sub_blocks(stream) or None
        if name and name[0] > 11:
            stream.seek(name[0] - 11, 1)
        _sub_blocks(stream)
    return None


def _sub_blocks(stream: BinaryIO) -> bytes:
    """Read blocks of at most 255 bytes up to the empty one, or to the end of a file that is cut off."""
    blocks, length = [], 0
    while (size := stream.read(1)) and size[0] and length < LONGEST_PROFILE:
        blocks.append(stream.read(size[0]))
        length += size[0]
    return b"".join(blocks)
