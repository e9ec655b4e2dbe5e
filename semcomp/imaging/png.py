"""What a PNG file says beside its pixels, read chunk by chunk.

Pillow stops at text and profiles above its own limits, scales grey levels without the transparent one, and knows
nothing of cICP. Here each chunk is read under a limit that fits it, and Pillow gets the file without them.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.color_space import ColorSpace, from_gamma
from semcomp.imaging.icc import Primaries

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_METADATA = 1 << 24
"""Bytes that a profile, an EXIF record or an XMP packet has at most after decompression."""
_FOR_PILLOW = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"})
_READ = frozenset({b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP_KEY = b"XML:com.adobe.xmp"
_RAW_KEY = b"Raw profile type "
_GREY = (0, 4)
_CHANNELS_OF_TRNS = {0: 1, 2: 3}
"""Colour type -> channels of the one transparent colour."""


class Chunk(NamedTuple):
    """One chunk; `body` is shorter than `length` where the file ends inside it."""

    kind: bytes
    length: int
    body: bytes
    crc: bytes


@dataclass(kw_only=True)
class PngFacts:
    """The header of a PNG and the chunks that tell what its pixels mean."""

    bits: int
    color_type: int
    complete: bool = False
    """Whether the file reaches its IEND chunk."""
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    """Body of the first chunk of each kind that is read here, texts left out."""
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def is_grey(self) -> bool:
        """Whether the file holds grey levels."""
        return self.color_type in _GREY

    def codes(self) -> tuple[int, int, bool] | None:
        """H.273 codes of primaries and transfer in cICP, and whether the range is full."""
        body = self.chunks.get(b"cICP", b"")
        return (body[0], body[1], bool(body[3])) if len(body) >= 4 else None

    def color_space(self) -> ColorSpace | None:
        """What gAMA and cHRM say, where neither sRGB nor a profile outranks them. None for sRGB."""
        return None if self.icc or b"sRGB" in self.chunks else self._gamma_and_primaries()

    def _gamma_and_primaries(self) -> ColorSpace | None:
        gamma, primaries = None, None
        if len(body := self.chunks.get(b"gAMA", b"")) >= 4:
            value = int.from_bytes(body[:4], "big") / 100_000
            gamma = value if 0.05 <= value <= 20 else None
            if gamma is None:
                _warn(f"its gAMA of {value:g} makes no sense")
        if len(body := self.chunks.get(b"cHRM", b"")) >= 32 and not self.is_grey:
            x = [value / 100_000 for value in struct.unpack(">8I", body[:32])]
            try:
                white, red, green, blue = zip(x[::2], x[1::2], strict=True)
                primaries = Primaries(red=red, green=green, blue=blue, white=white)
                from_gamma(gamma, primaries)
            except ValueError as error:
                primaries = None
                _warn(f"its cHRM makes no sense: {error}")
        return from_gamma(gamma, primaries)

    def transparent_samples(self) -> tuple[int, ...] | None:
        """The grey level or the RGB colour that tRNS makes transparent, in the depth of the file.

        As libpng, only the low bits that the depth has are read.
        """
        body, count = self.chunks.get(b"tRNS", b""), _CHANNELS_OF_TRNS.get(self.color_type, 0)
        if not count or len(body) < 2 * count:
            return None
        mask = (1 << self.bits) - 1
        return tuple(value & mask for value in struct.unpack(f">{count}H", body[: 2 * count]))


def read_png(stream: BinaryIO) -> tuple[PngFacts, BinaryIO] | None:
    """The facts of a PNG, and the file for Pillow without what Pillow need not see. None for another format.

    Damaged optional chunks are left out with a SemcompWarning, as libpng does.
    """
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        return None
    facts, kept = None, [SIGNATURE]
    for chunk in _chunks(stream):
        if chunk.kind == b"tRNS" and facts and len(chunk.body) < 2 * _CHANNELS_OF_TRNS.get(facts.color_type, 0):
            _warn("its tRNS chunk is too short")
            continue
        if chunk.kind in _FOR_PILLOW:
            kept += [struct.pack(">I", chunk.length), chunk.kind, chunk.body, chunk.crc]
        if chunk.kind == b"IHDR" and len(chunk.body) >= 13 and facts is None:
            facts = PngFacts(bits=chunk.body[8], color_type=chunk.body[9])
        elif facts is None:
            return None
        elif chunk.kind == b"IEND":
            facts.complete = True
            break
        elif chunk.kind in _READ:
            _take(facts, chunk)
    return None if facts is None else (facts, io.BytesIO(b"".join(kept)))


def _chunks(stream: BinaryIO) -> Iterator[Chunk]:
    while len(head := stream.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in _FOR_PILLOW or kind in _READ:
            body = stream.read(length)
        else:
            stream.seek(length, 1)
            body = b""
        yield Chunk(kind, length, body, stream.read(4))


def _take(facts: PngFacts, chunk: Chunk) -> None:
    if int.from_bytes(chunk.crc, "big") != zlib.crc32(chunk.kind + chunk.body):
        if chunk.kind not in _FOR_PILLOW:  # Pillow judges its own
            _warn(f"the checksum of its {chunk.kind.decode()} chunk is wrong")
            return
    elif chunk.kind in _TEXTS:
        _take_text(facts, chunk)
        return
    if chunk.kind == b"iCCP" and facts.icc is None:
        facts.icc = _inflated(chunk.body.partition(b"\0")[2][1:], "ICC profile", needed=True)
    elif chunk.kind == b"eXIf" and facts.exif is None:
        facts.exif = _within_limit(chunk.body, "EXIF record")
    facts.chunks.setdefault(chunk.kind, chunk.body)


def _take_text(facts: PngFacts, chunk: Chunk) -> None:
    """XMP, and the profiles that ImageMagick writes as hexadecimal text."""
    key, _, rest = chunk.body.partition(b"\0")
    if key != _XMP_KEY and not key.startswith(_RAW_KEY):
        return
    compressed = chunk.kind == b"zTXt"
    if chunk.kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    elif compressed:
        rest = rest[1:]
    what = "XMP packet" if key == _XMP_KEY else key.decode("latin-1")
    text = _inflated(rest, what) if compressed else _within_limit(rest, what)
    if not text:
        return
    if key == _XMP_KEY:
        facts.xmp = facts.xmp or text
        return
    try:
        raw = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except ValueError:
        _warn(f"its {what} is not hexadecimal")
        return
    if raw.startswith(b"Exif\0\0"):
        facts.exif = facts.exif or raw
    elif key.endswith(b"xmp"):
        facts.xmp = facts.xmp or raw


def _inflated(data: bytes, what: str, *, needed: bool = False) -> bytes | None:
    """ImageError where a needed one is above the limit; None and a warning where it is damaged."""
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(data, MAX_METADATA + 1)
    except zlib.error as error:
        _warn(f"its {what} is damaged: {error}")
        return None
    if needed and len(text) > MAX_METADATA:
        raise ImageError(f"the {what} of the image has more than {MAX_METADATA:,} bytes, the limit: remove it first")
    return _within_limit(text, what)


def _within_limit(text: bytes, what: str) -> bytes | None:
    if len(text) <= MAX_METADATA:
        return text
    warnings.warn(
        f"the {what} of the image has more than {MAX_METADATA:,} bytes, the limit, and is left out",
        SemcompWarning,
        stacklevel=2,
    )
    return None


def _warn(what: str) -> None:
    text = f"the metadata of the image is damaged ({what}); its pixels are not"
    warnings.warn(text, SemcompWarning, stacklevel=2)


def alpha_of_samples(
    samples: NDArray[np.uint16] | NDArray[np.uint8], transparent: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Alpha (H, W), 0 where a pixel has the transparent value. `samples` is (H, W) or (H, W, 3)."""
    planes = samples[:, :, None] if samples.ndim == 2 else samples
    same = np.ones(planes.shape[:2], bool)
    for channel, value in enumerate(transparent):
        same &= planes[:, :, channel] == value
    return np.where(same, 0, 255).astype(np.uint8)
