"""Codecs by name: what each can do, semcomp's own among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval.classical import PILLOW, Heic, JpegXl
from semcomp.eval.peers import ARCHITECTURES, Peer

T = TypeVar("T")
CLASSICAL = (*PILLOW, JpegXl(), Heic())
NAMES = ("semcomp", *(codec.name for codec in CLASSICAL), *ARCHITECTURES)


class Coder(Protocol):
    """A codec as the measurements see it. Settings are whole numbers, files grow with them."""

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
    def encode(self, pixels: np.ndarray, setting: int) -> bytes: ...
    def decode(self, data: bytes) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Semcomp:
    """semcomp's codec, loaded when it is first used."""

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

    def encode(self, pixels: np.ndarray, setting: int) -> bytes:
        """The file of uint8 (H, W, 3)."""
        data: bytes = self.codec.encode(pixels, quality=setting)
        return data

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 (H, W, 3)."""
        return np.asarray(self.codec.decode(data).convert("RGB"))


def find(name: str, *, model: str = "base", device: str | None = None) -> Coder:
    """A codec by name. SemcompError for an unknown one, MissingExtraError for one that is not installed."""
    if name == "semcomp":
        return Semcomp(model=model, device=device)
    if name in ARCHITECTURES:
        return Peer(name=name)
    for codec in CLASSICAL:
        if codec.name == name:
            if not codec.available:
                raise MissingExtraError(codec.label, "eval")
            return codec
    raise SemcompError(f"no codec called {name}; known: {', '.join(NAMES)}")


def installed() -> list[str]:
    """What is measured unless told otherwise: semcomp and every classical codec that is there."""
    return ["semcomp", *(codec.name for codec in CLASSICAL if codec.available)]


def choose_settings(coder: Coder, qualities: Sequence[int] | str | None) -> tuple[int, ...]:
    """Settings of one codec.

    `qualities` are taken as they are where a codec's setting is a quality, each brought into its range; where it is
    something else, as many of its own are taken. None takes five of its own, "full" all of them.
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
    """At most `count` of them: the first, the last, and what lies evenly between; the middle one alone."""
    if count >= len(values):
        return tuple(values)
    if count == 1:
        return (values[len(values) // 2],)
    return tuple(values[round(place * (len(values) - 1) / (count - 1))] for place in range(count))
