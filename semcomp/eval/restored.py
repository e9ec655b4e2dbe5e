"""JPEG files that the restorer decodes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.eval.classical import JPEG

NAME = "jpeg+restore"
"""Its name. `jpeg+restore=FILE` takes the restorer's weights from a file."""


@dataclass(frozen=True, kw_only=True)
class RestoredJpeg:
    """Pillow's JPEG, decoded by `semcomp.restore`. The restorer is loaded when it is first used."""

    name: str = NAME
    label: str = "JPEG, restored"
    settings: tuple[int, ...] = JPEG.settings
    lowest: int = JPEG.lowest
    highest: int = JPEG.highest
    unit: str = "quality"
    speed_only: bool = False

    @cached_property
    def restorer(self) -> Any:
        from semcomp.restoration.restorer_file import load_restorer

        return load_restorer(self.name.partition("=")[2] or None)

    @property
    def version(self) -> str:
        return f"{JPEG.version}, restorer {self.restorer.restorer_id.hex()}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        return JPEG.encode(pixels, setting)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode and restore a file to uint8 (H, W, 3)."""
        from semcomp.restoration.restore import restore

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.asarray(restore(data, weights=self.restorer).convert("RGB"))
