"""What `info` reads at the beginning of exact pixels."""

import pytest

from semcomp.bitstream.fields import pack_varint
from semcomp.bitstream.lossless_note import LosslessNote, read_note
from semcomp.errors import FormatError

ID = bytes(range(1, 9))


def body(*, coding: int = 1, near: int = 0, bits: int = 8) -> bytes:
    """The beginning of a chunk."""
    return bytes([1, coding, near, bits]) + pack_varint(300) + pack_varint(200) + ID


def test_a_note_says_how_the_pixels_are_coded() -> None:
    assert read_note(body()) == LosslessNote(bits=8, near=0, drawn=False, model_id=ID.hex())
    assert read_note(body(near=3, bits=16) + b"more") == LosslessNote(bits=16, near=3, drawn=False, model_id=ID.hex())
    assert [coding for coding in range(20) if read_note(body(coding=coding)).drawn] == [16, 17]


@pytest.mark.parametrize("length", range(len(body())))
def test_every_cut_is_noticed(length: int) -> None:
    with pytest.raises(FormatError):
        read_note(body()[:length])
