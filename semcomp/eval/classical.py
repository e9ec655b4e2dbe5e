"""Classical codecs: JPEG, WebP, AVIF and JPEG 2000 by Pillow, JPEG XL by imagecodecs, HEIC by pillow-heif.

The options are what users of these codecs choose: JPEG 4:2:0 optimized, WebP method 6, AVIF 4:2:0 at Pillow's speed,
JPEG 2000 irreversible as a bare codestream whose setting is a PSNR in dB, JPEG XL effort 7, HEIC 4:2:0 by x265. No
codec writes metadata. imagecodecs and pillow-heif are optional.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from semcomp.errors import MissingExtraError


@dataclass(frozen=True, kw_only=True)
class PillowCodec:
    """A codec of Pillow, with the settings of its curve in the order of growing files."""

    name: str
    label: str
    format: str
    settings: tuple[int, ...]
    lowest: int
    highest: int
    options: tuple[tuple[str, Any], ...]
    feature: str
    unit: str = "quality"
    """"quality" or "dB"."""
    speed_only: bool = False

    @property
    def available(self) -> bool:
        return bool(features.check(self.feature))

    @property
    def version(self) -> str:
        library = features.version("libjpeg_turbo") if self.feature == "jpg" else features.version(self.feature)
        return f"{_LIBRARIES[self.feature]} {library}, Pillow {version('pillow')}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        file = io.BytesIO()
        rate = {"quality_mode": "dB", "quality_layers": [setting]} if self.unit == "dB" else {"quality": setting}
        Image.fromarray(pixels).save(file, self.format, **dict(self.options), **rate)
        return file.getvalue()

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))


_LIBRARIES = {"jpg": "libjpeg-turbo", "webp": "libwebp", "avif": "libavif", "jpg_2000": "OpenJPEG"}

JPEG = PillowCodec(
    name="jpeg",
    label="JPEG",
    format="JPEG",
    lowest=1,
    highest=95,
    feature="jpg",
    settings=(5, 8, 12, 18, 25, 35, 45, 55, 65, 75, 82, 88, 92, 95),
    options=(("optimize", True), ("subsampling", "4:2:0")),
)
WEBP = PillowCodec(
    name="webp",
    label="WebP",
    format="WEBP",
    lowest=0,
    highest=100,
    feature="webp",
    settings=(0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 86, 90, 94, 97, 100),
    options=(("method", 6),),
)
AVIF = PillowCodec(
    name="avif",
    label="AVIF",
    format="AVIF",
    lowest=0,
    highest=100,
    feature="avif",
    settings=(5, 15, 25, 35, 45, 55, 65, 75, 82, 88, 93, 97),
    options=(("subsampling", "4:2:0"), ("max_threads", 1)),
)
JPEG2000 = PillowCodec(
    name="jpeg2000",
    label="JPEG 2000",
    format="JPEG2000",
    lowest=18,
    highest=60,
    feature="jpg_2000",
    unit="dB",
    settings=tuple(range(22, 47, 2)),
    options=(("irreversible", True), ("mct", 1), ("no_jp2", True)),
)
PILLOW = (JPEG, WEBP, AVIF, JPEG2000)
AVIF_SLOW = PillowCodec(
    name="avif444",
    label="AVIF 4:4:4 s3",
    format="AVIF",
    lowest=0,
    highest=100,
    feature="avif",
    settings=AVIF.settings,
    options=(("subsampling", "4:4:4"), ("speed", 3), ("max_threads", 1)),
)
"""AVIF at its best, full colour and speed 3. It is slow."""


@dataclass(frozen=True, kw_only=True)
class JpegXl:
    """JPEG XL by imagecodecs. The setting is the quality of libjxl."""

    name: str = "jxl"
    label: str = "JPEG XL"
    settings: tuple[int, ...] = (5, 15, 25, 35, 45, 55, 65, 75, 82, 88, 93, 97)
    lowest: int = 1
    highest: int = 99
    unit: str = "quality"
    speed_only: bool = False

    @property
    def available(self) -> bool:
        return find_spec("imagecodecs") is not None

    @property
    def version(self) -> str:
        codec = self._module()
        return f"{codec.jpegxl_version()}, imagecodecs {version('imagecodecs')}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        distance = distance_of(setting)
        return bytes(self._module().jpegxl_encode(pixels, distance=distance, effort=7, numthreads=1))

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        return np.asarray(self._module().jpegxl_decode(data, numthreads=1))

    def _module(self) -> Any:
        try:
            import imagecodecs
        except ImportError as error:
            raise MissingExtraError("JPEG XL", "eval") from error
        return imagecodecs


def distance_of(quality: int) -> float:
    """The distance of a quality below 100, as libjxl's JxlEncoderDistanceFromQuality computes it."""
    return 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25


@dataclass(frozen=True, kw_only=True)
class Heic:
    """HEIC by pillow-heif."""

    name: str = "heic"
    label: str = "HEIC"
    settings: tuple[int, ...] = (5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90)
    lowest: int = 0
    highest: int = 100
    unit: str = "quality"
    speed_only: bool = False

    @property
    def available(self) -> bool:
        return find_spec("pillow_heif") is not None

    @property
    def version(self) -> str:
        return f"libheif {self._module().libheif_version()}, pillow-heif {version('pillow-heif')}"

    def encode(self, pixels: NDArray[Any], setting: int) -> bytes:
        """Encode pixels, uint8 (H, W, 3), to a file."""
        file = io.BytesIO()
        self._module().from_pillow(Image.fromarray(pixels)).save(file, quality=setting, chroma=420)
        return file.getvalue()

    def decode(self, data: bytes) -> NDArray[Any]:
        """Decode a file to uint8 (H, W, 3)."""
        return np.asarray(self._module().open_heif(data).to_pillow().convert("RGB"))

    def _module(self) -> Any:
        try:
            import pillow_heif
        except ImportError as error:
            raise MissingExtraError("HEIC", "eval") from error
        return pillow_heif
