"""How symbols become words, and how tables follow them: by numpy and constriction, or compiled."""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.symbol_stream import Stack
from semcomp.lossless.banks import AdaptiveBank


@dataclass(frozen=True)
class Coding:
    """The classes that do it. All write the same words."""

    stack: type[Stack] = Stack
    bank: type[AdaptiveBank] = AdaptiveBank


PLAIN = Coding()
