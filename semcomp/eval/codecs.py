"""All codecs by name, with the interface that the measurements use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.classical import AVIF_SLOW, PILLOW, Heic, JpegXl
from semcomp.eval.jpeg_encoders import Jpegli, MozJpeg
from semcomp.eval.peers import ARCHITECTURES, Peer
from semcomp.eval.restored import NAME as RESTORED
from semcomp.eval.restored import RestoredJpeg

T = TypeVar("T")
CLASSICAL = (*PILLOW, AVIF_SLOW, MozJpeg(), Jpegli(), JpegXl(), Heic())
ONLY_ON_REQUEST = (AVIF_SLOW.name, "mozjpeg", "jpegli")
"""Codecs that are measured only if they are named: one is slow, two are variants of JPEG."""
NAMES = ("semcomp", *(codec.name for codec in CLASSICAL), RESTORED, *ARCHITECTURES)


class Coder(Protocol):
    """The interface of a codec. Settings are whole numbers, and files grow with them."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def settings(self) -> tuple[int, ...]: ...
    @property
    def lowest(self) -> int: ...
    @property
    def highest(self) -> int: ...
    @property
    def unit(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def speed_only(self) -> bool: ...
    def encode(self, pixels: NDArray[Any], setting: int) -> bytes: ...
    def decode(self, data: bytes) -> NDArray[Any]: ...


@dataclass(frozen=True, kw_only=True)
class Semcomp:
    """The codec of semcomp. It is loaded when it is first used."""

    model: str = "base"
    device: str | None = None
    name: str = "semcomp"
    label: str = "semcomp"
    settings: tuple[int, ...] = (1, *range(5, 101, 5))
    lowest: int = 1
    highest: int = 100
    unit: str = "quality"
    speed_only: bool = False

    @cached_property
    def codec(self) -> Any:
        from semcomp.codec.codec import load

        return load(self.model, device=self.device)

    @property
    def version(self) -> str:
        return f"{self.codec.name}, model {self.codec.model_id.hex()}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        data: bytes = self.codec.encode(pixels, quality=setting)
        return data

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        return np.asarray(self.codec.decode(data).convert("RGB"))


def find(name: str, *, model: str = "base", device: str | None = None) -> Coder:
    """A codec by name.

    Args:
        name: One of NAMES, or jpeg+restore=FILE with the weights of a restorer.
        model: Name or file of semcomp's weights.
        device: Device of semcomp's codec.

    Raises:
        SemcompError: No codec has this name.
        MissingExtraError: The codec is not installed.
    """
    if name == "semcomp":
        return Semcomp(model=model, device=device)
    if name in ARCHITECTURES:
        return Peer(name=name)
    if name.partition("=")[0] == RESTORED:
        return RestoredJpeg(name=name)
    for codec in CLASSICAL:
        if codec.name == name:
            if not codec.available:
                raise MissingExtraError(codec.label, "eval")
            return codec
    raise SemcompError(f"no codec called {name}; known: {', '.join(NAMES)}")


def installed() -> list[str]:
    """Names of the codecs that are measured by default: semcomp and the classical codecs that are installed."""
    return ["semcomp", *(codec.name for codec in CLASSICAL if codec.available and codec.name not in ONLY_ON_REQUEST)]


def choose_settings(coder: Coder, qualities: Sequence[int] | str | None) -> tuple[int, ...]:
    """The settings to measure of one codec.

    Args:
        coder: The codec.
        qualities: Qualities, which are clipped to the codec's range. A codec whose setting is not a quality gets
            equally many of its own settings. None takes five of the codec's own settings, "full" takes all.
    """
    if coder.speed_only:
        return coder.settings[len(coder.settings) // 2 :][:1]
    if qualities == "full":
        return coder.settings
    if qualities is None:
        return evenly(coder.settings, 5)
    assert not isinstance(qualities, str)
    if coder.unit != "quality":
        return evenly(coder.settings, len(qualities))
    return tuple(sorted({min(max(quality, coder.lowest), coder.highest) for quality in qualities}))


def evenly(values: Sequence[T], count: int) -> tuple[T, ...]:
    """Choose at most `count` values: the first, the last, and evenly spaced ones between. One alone is the middle.

    Example:
        >>> evenly(range(10), 4)
        (0, 3, 6, 9)
    """
    if count >= len(values):
        return tuple(values)
    if count == 1:
        return (values[len(values) // 2],)
    return tuple(values[round(place * (len(values) - 1) / (count - 1))] for place in range(count))
