"""What the LOSSLESS chunk says about itself. FORMAT_LOSSLESS.md describes it; semcomp.lossless decodes it."""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.fields import check_version, unpack_varint
from semcomp.errors import FormatError

_DRAWN = (16, 17)


@dataclass(frozen=True, kw_only=True)
class LosslessNote:
    """How the exact pixels of a file are coded."""

    bits: int
    """Bits of a sample, 8 or 16."""
    near: int
    """Largest error of any sample. 0: every sample is exact."""
    drawn: bool
    """The pixels are coded as a drawing, by the general coder in place of the networks."""
    model_id: str
    """Hex: names the networks that decode the pixels."""


def read_note(body: bytes) -> LosslessNote:
    """The note of a chunk. FormatError where it is cut off or of another version."""
    check_version(body, 1, "lossless pixels")
    if len(body) < 4:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(body)}; copy the file again")
    _, at = unpack_varint(body, offset=4)
    _, at = unpack_varint(body, offset=at)
    model_id = body[at : at + 8]
    if len(model_id) < 8:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(body)}; copy the file again")
    return LosslessNote(bits=8 if body[3] == 8 else 16, near=body[2], drawn=body[1] in _DRAWN, model_id=model_id.hex())
