"""Image files that Pillow does not write: any depth, colour type and chunk of PNG, any nclx codes, late depths."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
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


def png(
    samples: NDArray[Any], *, bits: int, color_type: int, extra: Sequence[tuple[bytes, bytes]] = (), end: bool = True
) -> bytes:
    """A PNG of samples (H, W) or (H, W, channels) in the depth of the file, with chunks before its pixels."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if bits == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    elif bits == 8:
        packed = [row.astype(np.uint8).tobytes() for row in rows]
    else:
        planes = (rows.astype(np.uint8)[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        packed = [np.packbits(row.reshape(-1)).tobytes() for row in planes]
    parts = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0))]
    parts += [chunk(kind, body) for kind, body in extra]
    parts.append(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed))))
    return b"".join(parts) + (chunk(b"IEND", b"") if end else b"")


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
