"""The first byte of a thumbnail's code: whether it is a short one, whether alpha follows, and the aspect ratio.

Bit 7 says that the code is a long one. Bit 6 says that it holds alpha. Bits 0 to 5 are the shape: 0 is a square, 1 to
31 are landscapes, 32 to 62 the same ratios as portraits, and 63 belongs to later versions.
"""

import math
from dataclasses import dataclass

from semcomp.errors import FormatError

RATIOS = (
    (20, 19),
    (10, 9),
    (7, 6),
    (11, 9),
    (5, 4),
    (13, 10),
    (4, 3),
    (7, 5),
    (10, 7),
    (3, 2),
    (14, 9),
    (8, 5),
    (5, 3),
    (7, 4),
    (16, 9),
    (37, 20),
    (19, 10),
    (2, 1),
    (21, 10),
    (13, 6),
    (9, 4),
    (7, 3),
    (12, 5),
    (5, 2),
    (27, 10),
    (3, 1),
    (10, 3),
    (4, 1),
    (5, 1),
    (6, 1),
    (8, 1),
)
"""Width : height of landscapes, in the order of their numbers."""
ALPHA = 0x40
LONG = 0x80


def shape_number(width: int, height: int) -> int:
    """Number of the nearest ratio, compared in logarithm."""
    wanted = abs(math.log(width / height))
    errors = [wanted] + [abs(math.log(w / h) - wanted) for w, h in RATIOS]
    best = errors.index(min(errors))
    return best if width >= height or best == 0 else best + len(RATIOS)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first byte says."""

    ratio: tuple[int, int]
    """Width and height in proportion."""
    alpha: bool
    short: bool


EMPTY = Header(ratio=(1, 1), alpha=False, short=False)
"""What a code without bytes is taken for."""


def pack(width: int, height: int, *, alpha: bool, short: bool) -> int:
    """The first byte of the code of an image of this size."""
    return shape_number(width, height) | (ALPHA if alpha else 0) | (0 if short else LONG)


def unpack(first: int) -> Header:
    """What a first byte says. Raises FormatError for a byte of a later version."""
    number = first & 0x3F
    if number > 2 * len(RATIOS):
        raise FormatError(
            f"the thumbnail's code begins with byte {first:#04x}, which this version does not know: "
            "upgrade semcomp, or check that the code is whole"
        )
    width, height = RATIOS[(number - 1) % len(RATIOS)] if number else (1, 1)
    ratio = (width, height) if number <= len(RATIOS) else (height, width)
    return Header(ratio=ratio, alpha=bool(first & ALPHA), short=not first & LONG)


def size_within(ratio: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) in pixels of a ratio whose longer side is `longest`."""
    width, height = ratio
    if width >= height:
        return longest, max(1, round(longest * height / width))
    return max(1, round(longest * width / height)), longest
