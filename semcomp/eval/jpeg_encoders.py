"""Encoders that write smaller JPEG files than libjpeg-turbo: mozjpeg inside libvips, and jpegli.

Both are optional. Any viewer opens their files; Pillow decodes them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import MissingExtraError
from semcomp.eval.classical import JPEG


@dataclass(frozen=True, kw_only=True)
class _JpegEncoder:
    """What encoders of JPEG have in common with Pillow's."""

    name: str
    label: str
    settings: tuple[int, ...] = JPEG.settings
    lowest: int = JPEG.lowest
    highest: int = JPEG.highest
    unit: str = "quality"
    speed_only: bool = False

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        return JPEG.decode(data)


@dataclass(frozen=True, kw_only=True)
class MozJpeg(_JpegEncoder):
    """mozjpeg: trellis quantisation, its own tables and the smallest progressive scans, 4:2:0.

    The wheels of pyvips-binary hold a libvips that was built with it.
    """

    name: str = "mozjpeg"
    label: str = "mozjpeg"

    @property
    def available(self) -> bool:
        return find_spec("pyvips") is not None and find_spec("_libvips") is not None

    @property
    def version(self) -> str:
        _module("pyvips", "mozjpeg")
        return f"mozjpeg of pyvips-binary {version('pyvips-binary')}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        image = _module("pyvips", "mozjpeg").Image.new_from_array(np.ascontiguousarray(pixels))
        smallest = {"trellis_quant": True, "overshoot_deringing": True, "optimize_scans": True, "quant_table": 3}
        common = {"Q": setting, "optimize_coding": True, "interlace": True, "subsample_mode": "on", "keep": "none"}
        return bytes(image.jpegsave_buffer(**common, **smallest))


@dataclass(frozen=True, kw_only=True)
class Jpegli(_JpegEncoder):
    """jpegli by pyjpegli, which leaves the choice of subsampling and scans to it."""

    name: str = "jpegli"
    label: str = "jpegli"

    @property
    def available(self) -> bool:
        return find_spec("pyjpegli") is not None

    @property
    def version(self) -> str:
        _module("pyjpegli", "jpegli")
        return f"jpegli of pyjpegli {version('pyjpegli')}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        height, width = pixels.shape[:2]
        made = _module("pyjpegli", "jpegli").encode(np.ascontiguousarray(pixels).tobytes(), width, height, setting)
        return bytes(made)


def _module(name: str, codec: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        raise MissingExtraError(codec, "eval") from error
