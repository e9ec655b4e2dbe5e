"""The header of lossless pixels: what a reader must know before the first symbol.

version u8, form u8, near u8, depth u8, width varint, height varint, model id 8 bytes, CRC-32 of the decoded pixels u32
first pixel: zigzag varint of each channel; of levels 1 to 3, as far as there are: varint words, u32 CRC-32
the symbols follow, symbols.py
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from semcomp.bitstream.fields import check_version, pack_varint, unpack_varint
from semcomp.errors import FormatError
from semcomp.lossless.colour import ColourTransform
from semcomp.lossless.step import MAX_NEAR

VERSION = 1
MAX_PIXELS = 178_000_000
MAX_SIDE = 1 << 20
ID_BYTES = 8
MARKS = 3
"""Levels 1..MARKS can be read without the symbols of finer levels: 1/2, 1/4 and 1/8 of the size."""
MAX_HEAD_BYTES = 80
"""A header always ends before this byte."""
REPEATED = 257
"""65535 / 255: a sample of 16 bits that repeats its high byte is this many times a value of 8 bits."""
_DEPTH_REPEATED = 9
_CRC_BYTES = 4
_AGAIN = "copy the file again"


class Form(IntEnum):
    """What the symbols stand for; the number is what a file stores."""

    GREY = 0
    RGB = 1
    """1 + the number of the colour transform"""
    GENERAL = 16
    """WebP's lossless bitstream of the image follows the header."""
    GENERAL_GREY = 17
    """So is a grey image, whose three channels are equal there."""


class Mark(NamedTuple):
    """What a reader needs that stops at a level."""

    words: int
    """Words from the start."""
    crc: int
    """CRC-32 of the level's pixels."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The fields of the header."""

    form: int
    near: int
    bits: int
    """8 or 16: bits of the values that are coded."""
    factor: int = 1
    """A sample is a coded value times this: 1, or REPEATED where values of 8 bits make samples of 16, or 2^s where the
    low s bits of all samples are zero."""
    width: int
    height: int
    model_id: bytes
    crc: int
    """CRC-32 of the decoded pixels."""
    first: tuple[int, ...]
    """Top left pixel: one value for grey, three for colour, none for a general file."""
    marks: tuple[Mark, ...] = ()
    """What a reader needs for levels 1, 2 and 3. There are none in a general file."""

    @property
    def transform(self) -> ColourTransform:
        """The colour transform of an RGB image."""
        return ColourTransform(self.form - Form.RGB)

    def pack(self) -> bytes:
        """The header as bytes."""
        depth = _DEPTH_REPEATED if self.factor == REPEATED else self.bits + self.factor.bit_length() - 1
        head = bytes([VERSION, self.form, self.near, depth]) + pack_varint(self.width) + pack_varint(self.height)
        head += self.model_id + self.crc.to_bytes(_CRC_BYTES, "little")
        head += b"".join(pack_varint(zigzag(value)) for value in self.first)
        return head + b"".join(pack_varint(mark.words) + mark.crc.to_bytes(4, "little") for mark in self.marks)


def marked_levels(form: int, height: int, width: int) -> int:
    """How many levels have marks.

    >>> marked_levels(Form.RGB, 100, 100), marked_levels(Form.RGB, 3, 2), marked_levels(Form.GENERAL, 100, 100)
    (3, 2, 0)
    """
    return min(MARKS, (max(height, width) - 1).bit_length()) if channels_of(form) else 0


def channels_of(form: int) -> int:
    """Channels of a form: 1 for grey, 3 for RGB, 0 for a general file. FormatError for an unknown form."""
    known = {int(Form.GREY): 1, int(Form.GENERAL): 0, int(Form.GENERAL_GREY): 0}
    known |= {Form.RGB + transform: 3 for transform in ColourTransform}
    if form not in known:
        raise FormatError(f"lossless pixels of form {form} (byte 1), which this semcomp does not know; upgrade semcomp")
    return known[form]


def unpack_head(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[Head, int]:
    """The header, and where the words begin. FormatError where a field is missing or out of its range."""
    check_version(data, VERSION, "lossless pixels")
    if len(data) < 4:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(data)}; {_AGAIN}")
    form, near, depth = data[1], data[2], data[3]
    channels = channels_of(form)
    if near > MAX_NEAR or (near and form not in (Form.GREY, Form.RGB + ColourTransform.GREEN)):
        raise FormatError(f"lossless pixels of form {form} cannot be {near} off (byte 2); {_AGAIN}")
    deep = 16 <= depth < 32 and form not in (Form.GENERAL, Form.GENERAL_GREY)
    if depth != 8 and (near or not (deep or depth == _DEPTH_REPEATED)):
        raise FormatError(f"lossless pixels of form {form} cannot have depth {depth} (byte 3); {_AGAIN}")
    bits, factor = (16, 1 << depth - 16) if deep else (8, REPEATED if depth == _DEPTH_REPEATED else 1)
    width, at = unpack_varint(data, offset=4)
    height, at = unpack_varint(data, offset=at)
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= max_pixels):
        raise FormatError(f"the lossless image claims {width}x{height}, at most {max_pixels} pixels are allowed")
    end = at + ID_BYTES + _CRC_BYTES
    if len(data) < end:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(data)}; {_AGAIN}")
    model_id, crc = data[at : at + ID_BYTES], int.from_bytes(data[at + ID_BYTES : end], "little")
    first = []
    for _ in range(channels):
        value, end = unpack_varint(data, offset=end)
        first.append(unzigzag(value))
    if any(abs(value) >= 1 << bits for value in first):
        raise FormatError(f"the first pixel is {first}, which no {bits}-bit image has; {_AGAIN}")
    marks = []
    for _ in range(marked_levels(form, height, width)):
        words, end = unpack_varint(data, offset=end)
        marks.append(Mark(words, int.from_bytes(data[end : end + _CRC_BYTES], "little")))
        end += _CRC_BYTES
    if len(data) < end:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(data)}; {_AGAIN}")
    kept = {"form": form, "near": near, "bits": bits, "factor": factor, "width": width, "height": height}
    head = Head(**kept, model_id=model_id, crc=crc, first=tuple(first), marks=tuple(marks))
    return head, end


def zigzag(value: int) -> int:
    """Integers as non-negative ones: 0, -1, 1, -2, ... are 0, 1, 2, 3, ...

    >>> [zigzag(value) for value in (0, -1, 1, -2)]
    [0, 1, 2, 3]
    """
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    """:func:`zigzag` undone."""
    return -(value >> 1) - 1 if value & 1 else value >> 1
