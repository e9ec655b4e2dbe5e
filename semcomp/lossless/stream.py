"""A lossless image as bytes: a short header, the words of the entropy coder, and a checksum of the pixels.

    version u8, form u8, width varint, height varint, model id 8 bytes, CRC-32 of the pixels u32,
    first pixel: zigzag varint of each channel, words of the symbol stream

``form`` is 0 for grey and 1 + the number of the colour transform for RGB.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.fields import check_version, pack_varint, unpack_varint
from semcomp.bitstream.frequency_tables import Tables
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.errors import FormatError, ImageError, ModelError
from semcomp.lossless.banks import AdaptiveBank
from semcomp.lossless.colour import ColourTransform, forward, inverse
from semcomp.lossless.model import ID_BYTES, LosslessModel
from semcomp.lossless.step import Networks
from semcomp.lossless.walk import Walk

Pixels = NDArray[np.uint8]
Int32 = NDArray[np.int32]

VERSION = 1
GREY = 0
MAX_PIXELS = 178_000_000
MAX_SIDE = 1 << 20


class StepWriter:
    """Collects the symbols of every step; the entropy coder takes them last step first."""

    def __init__(self, model: LosslessModel) -> None:
        self._banks = [AdaptiveBank(prior) for prior in model.banks]
        self._parts: list[tuple[NDArray[np.int16], NDArray[np.int16], Tables]] = []

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Take the symbols of one step."""
        assert symbols is not None
        bank = self._banks[channel]
        self._parts.append((symbols.astype(np.int16), tables.astype(np.int16), bank.tables))
        bank.count(tables, symbols)
        return symbols

    def finish(self, *, plain: bool = False) -> bytes:
        """The words of all steps."""
        return encode_symbols(self._parts, plain=plain)


class StepReader:
    """Reads the symbols of every step."""

    def __init__(self, model: LosslessModel, words: bytes, *, plain: bool = False) -> None:
        self._banks = [AdaptiveBank(prior) for prior in model.banks]
        self._reader = SymbolReader(words, plain=plain)

    def code(self, channel: int, tables: Int32, symbols: Int32 | None) -> Int32:
        """Read the symbols of one step."""
        bank = self._banks[channel]
        read = self._reader.read(tables, bank.tables)
        bank.count(tables, read)
        return read

    def finish(self) -> None:
        """FormatError unless the words have been used up."""
        self._reader.finish()


def encode_lossless(
    pixels: Pixels,
    *,
    model: LosslessModel,
    networks: Networks | None = None,
    transform: ColourTransform = ColourTransform.YCOCG,
    plain: bool = False,
) -> bytes:
    """Encode an 8-bit image exactly.

    Args:
        pixels: uint8, (H, W) for grey or (H, W, 3) for RGB.
        model: The networks and tables.
        networks: The model's networks on another backend. None runs them on numpy.
        transform: How RGB becomes luma and two colour differences.
        plain: Use the plain Python entropy coder even where constriction is installed. The bytes are the same.

    Returns:
        The bytes. :func:`decode_lossless` gives back every pixel.

    Raises:
        ImageError: The pixels are not of such a type or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ImageError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (H, W) or (H, W, 3)")
    height, width = pixels.shape[:2]
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise ImageError(
            f"the image is {width}x{height}, expected 1..{MAX_SIDE} a side and at most {MAX_PIXELS} pixels"
        )
    grey = pixels.ndim == 2
    planes = pixels[None].astype(np.int32) if grey else forward(pixels, transform)
    writer = StepWriter(model)
    differences = not grey and transform != ColourTransform.YCOCG
    walk = Walk(networks=networks or model, coder=writer, channels=len(planes), differences=differences)
    walk.run(height, width, planes[:, 0, 0], planes)
    head = bytes([VERSION, GREY if grey else 1 + transform]) + pack_varint(width) + pack_varint(height)
    head += model.id + zlib.crc32(np.ascontiguousarray(pixels)).to_bytes(4, "little")
    head += b"".join(pack_varint(_zigzag(int(value))) for value in planes[:, 0, 0])
    return head + writer.finish(plain=plain)


def decode_lossless(
    data: bytes,
    *,
    model: LosslessModel,
    networks: Networks | None = None,
    plain: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Decode what :func:`encode_lossless` wrote.

    Args:
        data: The bytes.
        model: The networks and tables that wrote them.
        networks: The model's networks on another backend. None runs them on numpy.
        plain: Use the plain Python entropy coder even where constriction is installed.
        max_pixels: Larger images are refused.

    Returns:
        uint8 (H, W) or (H, W, 3): the pixels.

    Raises:
        FormatError: The bytes are damaged, or of another version.
        ModelError: Another model wrote them.
    """
    check_version(data, VERSION, "lossless pixels")
    if len(data) < 2 or not GREY <= data[1] <= 1 + max(ColourTransform):
        raise FormatError("the form of the lossless pixels is missing or unknown (byte 1); copy the file again")
    channels = 1 if data[1] == GREY else 3
    width, at = unpack_varint(data, offset=2)
    height, at = unpack_varint(data, offset=at)
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= max_pixels):
        raise FormatError(f"the lossless image claims {width}x{height}, at most {max_pixels} pixels are allowed")
    if len(data) < at + ID_BYTES + 4:
        raise FormatError(f"the lossless pixels are cut off in their header, at byte {len(data)}; copy the file again")
    wanted, crc, at = data[at : at + ID_BYTES], data[at + ID_BYTES : at + ID_BYTES + 4], at + ID_BYTES + 4
    if wanted != model.id:
        raise ModelError(f"model {wanted.hex()} wrote the lossless pixels, this one is {model.id.hex()}")
    first = np.zeros(channels, np.int32)
    for channel in range(channels):
        value, at = unpack_varint(data, offset=at)
        first[channel] = _unzigzag(value)
    if np.abs(first).max() > 255:
        raise FormatError(f"the first pixel is {first.tolist()}, which no 8-bit image has; copy the file again")
    reader = StepReader(model, data[at:], plain=plain)
    differences = data[1] not in (GREY, 1 + ColourTransform.YCOCG)
    walk = Walk(networks=networks or model, coder=reader, channels=channels, differences=differences)
    planes = walk.run(height, width, first, None)
    reader.finish()
    image = planes[0] if channels == 1 else inverse(planes, ColourTransform(data[1] - 1))
    if image.min() < 0 or image.max() > 255 or zlib.crc32(image.astype(np.uint8)).to_bytes(4, "little") != crc:
        raise FormatError("the decoded pixels do not match their checksum; copy the file again")
    return image.astype(np.uint8)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return -(value >> 1) - 1 if value & 1 else value >> 1
