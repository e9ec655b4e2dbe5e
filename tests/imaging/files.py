"""Image files that Pillow does not write: any depth, colour type and chunk of PNG, any nclx codes, late depths."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SRGB_GAMMA, SRGB_CHRM = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_CHRM = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps across and down, of the passes of an interlaced PNG."""


def png(
    samples: NDArray[Any],
    *,
    bits: int,
    color_type: int,
    extra: Sequence[tuple[bytes, bytes]] = (),
    interlaced: bool = False,
) -> bytes:
    """A PNG of samples (H, W) or (H, W, channels) in the depth of the file, with chunks before its pixels."""
    height, width = samples.shape[:2]
    passes = [samples[y::down, x::across] for x, y, across, down in ADAM7] if interlaced else [samples]
    rows = b"".join(_packed(part, bits) for part in passes if part.size)
    parts = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced))]
    parts += [chunk(kind, body) for kind, body in extra]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"".join(parts)


def _packed(samples: NDArray[Any], bits: int) -> bytes:
    """Rows of samples as a PNG stores them, each behind its filter 0."""
    rows = samples.reshape(len(samples), -1)
    if bits >= 8:
        packed = [row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in rows]
    else:
        planes = (rows.astype(np.uint8)[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        packed = [np.packbits(row.reshape(-1)).tobytes() for row in planes]
    return b"".join(b"\0" + row for row in packed)


def with_chunks(data: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks put behind its header."""
    return data[:33] + b"".join(chunk(kind, body) for kind, body in extra) + data[33:]


def gama(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def chrm(values: Sequence[int]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *values)


def cicp(primaries: int, transfer: int, *, full_range: bool = True) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, full_range])


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"a profile\0\0" + zlib.compress(profile)


def avif(image: Image.Image, *, primaries: int, transfer: int, **options: Any) -> bytes:
    """An AVIF whose nclx box has these codes."""
    data = bytearray(file_of(image, "AVIF", quality=100, subsampling="4:4:4", **options))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def boxed_late(jp2: bytes, *, size: int = 9000) -> bytes:
    """A JPEG 2000 file with a large uuid box before its codestream."""
    at = jp2.index(b"jp2c") - 4
    return jp2[:at] + struct.pack(">I4s", size + 8, b"uuid") + bytes(size) + jp2[at:]


def srgb_of(profile: bytes | None, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a colour-managed viewer shows of colours (N, 3) with a profile: their sRGB values."""
    if profile is None:
        return colours
    image = Image.fromarray(colours[None])
    if profile[16:20] == b"GRAY":
        image = image.getchannel("G")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB", flags=ImageCms.Flags.NOOPTIMIZE)
    assert shown is not None
    first: NDArray[np.uint8] = np.asarray(shown)[0]
    return first


def jp2(samples: NDArray[Any], **options: Any) -> bytes:
    """A JPEG 2000 file of samples in their own depth."""
    imagecodecs = pytest.importorskip("imagecodecs")
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, **options))


def tiff(samples: NDArray[Any], *, photometric: int, tags: dict[int, int] | None = None) -> bytes:
    """An uncompressed little-endian TIFF with its directory behind a long strip of pixels. `tags` are further tags."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits, kind = samples.itemsize * 8, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    pixels = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    fields = [(256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, 8)]
    fields += [(number, 4, 1, value) for number, value in (tags or {}).items()]
    fields += [(277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(pixels)), (339, 3, 1, kind)]
    directory = 8 + len(pixels) + 2 * channels
    if channels == 1:
        fields.append((258, 3, 1, bits))
    else:
        depth = 8 + len(pixels) if channels > 2 else bits << 16 | bits
        fields += [(258, 3, channels, depth), (339, 3, channels, directory - 2 * channels)]
        fields = [field for field in fields if field != (339, 3, 1, kind)][:-1]
    entries = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    head = b"II*\0" + struct.pack("<I", directory)
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    return head + pixels + depths + struct.pack("<H", len(fields)) + entries + bytes(4)


def heic(samples: NDArray[np.uint16], *, bits: int) -> bytes:
    """A HEIC file of 10 or 12 bits of 16-bit samples (H, W, 3)."""
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    image = pillow_heif.from_bytes(mode="RGB;16", size=samples.shape[1::-1], data=samples.tobytes())
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    image.save(buffer, quality=-1)
    return buffer.getvalue()


def deep_avif(samples: NDArray[np.uint16], *, bits: int) -> bytes:
    """An AVIF of 10 or 12 bits of 16-bit samples (H, W, 3)."""
    imagecodecs = pytest.importorskip("imagecodecs")
    return bytes(imagecodecs.avif_encode(samples >> (16 - bits), bitspersample=bits, level=100))
