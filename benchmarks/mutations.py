"""Damaged and hostile `.semc` files for `benchmarks.fuzz`: mutation number i of a seed is always the same one.

Even numbers are damage: bytes of the raw file flipped, inserted, deleted, doubled, cut off. Odd numbers are made by
someone who knows the format: fields, rows or bodies are changed and every checksum is made right again, up to files
whose symbols are forged throughout and which are valid in all else, and to files that claim as large a picture as
their weight allows.
"""

import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from semcomp.bitstream.container import MAX_SIDE, Chunk, ChunkKind, Container, read, read_header, write
from semcomp.codec.codec import Codec
from semcomp.codec.self_test import numbers_in_int64
from semcomp.imaging.picture import Picture, from_array, open_picture
from semcomp.networks.sigma import Z_LIMIT
from semcomp.pipeline.checks import with_checks
from semcomp.types import STRIDE_Z, Symbols

SIZE = (64, 48)


@dataclass(frozen=True)
class Base:
    """A good file, and what it decodes to."""

    name: str
    data: bytes
    decoded: Image.Image


@dataclass(frozen=True)
class Mutation:
    """A file to try. `kind` says what was done."""

    kind: str
    base: int
    data: bytes
    forged: bool = False
    """It may validly stand for another picture."""
    hopeless: bool = False
    """No reader may decode it: it is damaged, whatever its checksums say."""
    size: tuple[int, int] | None = None
    """Width and height that a forged file claims."""


def base_files(codec: Codec, pixels: NDArray[np.uint8]) -> list[Base]:
    """Small files of several kinds, from pixels (h, w, 3) of at least 64x48."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    photo = np.ascontiguousarray(pixels[:height, :width])
    noise = rng.integers(0, 256, (height, width))
    alpha = np.where(np.indices((height, width)).sum(0) > 50, 255, noise).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    full = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(np.dstack([photo, alpha])).save(full, "PNG", icc_profile=profile, exif=exif)
    pictures: list[tuple[str, Picture, int]] = [
        ("quality 10", from_array(photo), 10),
        ("quality 50", from_array(photo), 50),
        ("quality 100", from_array(photo), 100),
        ("grey", from_array(photo[:, :, 1]), 70),
        ("33x47", from_array(np.ascontiguousarray(photo[:47, :33])), 60),
        ("alpha, ICC, EXIF", open_picture(full.getvalue()), 60),
    ]
    files = [(name, codec.encode(picture, quality=quality)) for name, picture, quality in pictures]
    return [Base(name, data, codec.decode(data)) for name, data in files]


def mutate(codec: Codec, bases: list[Base], *, seed: int, number: int) -> Mutation:
    """Mutation `number` of a seed."""
    rng = random.Random(f"{seed} {number}")
    base = rng.randrange(len(bases))
    data = bases[base].data
    if number % 2 == 0:
        return Mutation("raw bytes", base, damage(rng, data))
    kind = rng.choice(list(REPAIRED))
    if kind == "forged symbols":
        forged, size = forge(rng, codec, data)
        return Mutation(kind, base, forged, forged=True, size=size)
    if kind == "z beyond 127":
        return Mutation(kind, base, z_beyond_its_range(rng, codec, data), hopeless=True)
    return Mutation(kind, base, REPAIRED[kind](rng, data), hopeless=kind == "largest claim")


def damage(rng: random.Random, data: bytes) -> bytes:
    """One to eight of: flip bits, overwrite, insert, delete, double or cut."""
    body = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body)) if body else 0
        length = rng.choice((1, 1, 2, 4, 16, 64))
        what = rng.choice(("bit", "bit", "byte", "byte", "insert", "delete", "double", "cut"))
        if what in ("bit", "byte") and body:
            body[at] = body[at] ^ 1 << rng.randrange(8) if what == "bit" else rng.randrange(256)
        elif what == "insert":
            body[at:at] = rng.randbytes(length)
        elif what == "delete":
            del body[at : at + length]
        elif what == "double":
            body[at:at] = body[at : at + length]
        elif what == "cut" and rng.random() < 0.3:
            del body[at:]
    return bytes(body)


def change_header(rng: random.Random, data: bytes) -> bytes:
    """Another size, quality, mode, flags, id or symbol checksum, all of them in range."""
    container = read(data)
    fields: dict[str, Callable[[], Any]] = {
        "width": lambda: _another_size(rng, container.header.width),
        "height": lambda: _another_size(rng, container.header.height),
        "quality": lambda: rng.randint(1, 100),
        "mode": lambda: rng.randrange(2),
        "flags": lambda: rng.randrange(1 << 12),
        "entropy_id": lambda: rng.randbytes(8),
        "model_id": lambda: rng.randbytes(8),
        "symbol_crc": lambda: rng.randrange(1 << 32),
        "z_check": lambda: rng.randrange(1 << 16),
    }
    chosen = rng.sample(list(fields), rng.choice((1, 1, 2)))
    header = replace(container.header, **{name: fields[name]() for name in chosen})
    return write(Container(header, container.chunks))


def _another_size(rng: random.Random, size: int) -> int:
    near = size + rng.choice((-16, -1, 1, 16, 64))
    return max(1, min(MAX_SIDE, rng.choice((near, near, 2 ** rng.randrange(21), rng.randrange(1, 14000)))))


def change_head_bytes(rng: random.Random, data: bytes) -> bytes:
    """Any bytes of header and table, values out of range among them; the header's checksum is right."""
    _, entries = read_header(data)
    end = entries[0].offset - 4
    head = bytearray(data[:end])
    for _ in range(rng.choice((1, 1, 2, 4))):
        head[rng.randrange(4, end)] = rng.randrange(256)
    return bytes(head) + zlib.crc32(head).to_bytes(4, "little") + data[end + 4 :]


def change_bodies(rng: random.Random, data: bytes) -> bytes:
    """Damage inside one or more chunks, whose checksums are right."""
    container = read(data)
    chosen = set(rng.sample(range(len(container.chunks)), rng.randint(1, min(2, len(container.chunks)))))
    chunks = [
        Chunk(chunk.kind, damage(rng, chunk.data) if number in chosen else chunk.data, chunk.required)
        for number, chunk in enumerate(container.chunks)
    ]
    return write(Container(container.header, tuple(chunks)))


def change_chunks(rng: random.Random, data: bytes) -> bytes:
    """Chunks in another order, empty, swapped, unknown, lost, or too long to be meant. Alpha stays."""
    container = read(data)
    chunks = list(container.chunks)
    what = rng.choice(("order", "empty", "swap", "unknown", "required", "drop", "long"))
    at = rng.randrange(len(chunks))
    if what == "order":
        rng.shuffle(chunks)
    elif what == "empty":
        chunks[at] = replace(chunks[at], data=b"")
    elif what == "swap":
        other = rng.randrange(len(chunks))
        a, b = chunks[at], chunks[other]
        chunks[at], chunks[other] = replace(a, data=b.data), replace(b, data=a.data)
    elif what in ("unknown", "required"):
        chunks.insert(at, Chunk(rng.randrange(100, 4096), rng.randbytes(20), what == "required"))
    elif what == "long":
        chunks[at] = replace(chunks[at], data=chunks[at].data * rng.choice((2, 100)))
    else:
        chunks = [chunk for chunk in chunks if chunk.kind not in (ChunkKind.ICC, ChunkKind.EXIF)]
    return write(Container(container.header, tuple(chunks)))


def claim_most(rng: random.Random, data: bytes) -> bytes:
    """A header that claims as many cells as the file has bytes, some of them added for it; often endless symbols."""
    container = read(data)
    chunks = [*container.chunks, Chunk(ChunkKind.PADDING, bytes(rng.choice((0, 500, 4000))))]
    if rng.random() < 0.5:  # without words every symbol is the first of its table: a stream for any number of them
        chunks = [replace(chunk, data=b"") if chunk.kind == ChunkKind.SYMBOLS else chunk for chunk in chunks]
    cells = len(write(Container(container.header, tuple(chunks))))
    columns = rng.choice((1, cells, rng.randint(1, cells)))
    width, height = columns * STRIDE_Z, cells // columns * STRIDE_Z
    header = replace(container.header, width=min(width, MAX_SIDE), height=min(height, MAX_SIDE))
    return write(Container(header, tuple(chunks)))


def forge(rng: random.Random, codec: Codec, data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Other symbols, extreme ones among them, with every checksum of the format right."""
    container = read(data)
    header, symbols = container.header, codec.read_symbols(data)
    limit = rng.choice((1, 127, 128, 32767))
    if rng.random() < 0.5:  # another z means other tables: y must be written under them
        z = _scatter(rng, symbols.z, np.arange(symbols.z.size), min(limit, Z_LIMIT))
        index = numbers_in_int64(codec.release, replace(symbols, z=z), header.quality)
        symbols = Symbols(z=z, y=np.where(index >= 0, symbols.y, 0).astype(np.int16), index=index)
    else:
        y = _scatter(rng, symbols.y, np.flatnonzero(symbols.index >= 0), limit)
        index = numbers_in_int64(codec.release, replace(symbols, y=y), header.quality)
        symbols = replace(symbols, y=np.where(index >= 0, y, 0).astype(np.int16), index=index)
    return _rewritten(codec, container, symbols), (header.width, header.height)


def z_beyond_its_range(rng: random.Random, codec: Codec, data: bytes) -> bytes:
    """One or more symbols of z that no encoder writes, with every checksum right; the rest is as it was."""
    container, symbols = read(data), codec.read_symbols(data)
    z = _scatter(rng, symbols.z, np.arange(symbols.z.size), rng.choice((1, Z_LIMIT)))
    z.ravel()[rng.randrange(z.size)] = rng.choice((-1, 1)) * rng.choice((Z_LIMIT + 1, 255, 256, 32767))
    return _rewritten(codec, container, replace(symbols, z=z))


def _scatter(
    rng: random.Random, symbols: NDArray[np.int16], places: NDArray[np.signedinteger[Any]], limit: int
) -> NDArray[np.int16]:
    """A copy with values of up to `limit`, itself among them, at some of the places (flat)."""
    symbols = symbols.copy()
    if places.size:
        chosen = np.array(rng.choices(places.tolist(), k=rng.choice((1, 4, places.size))))
        symbols.ravel()[chosen] = [rng.choice((-limit, limit, rng.randint(-limit, limit))) for _ in chosen]
    return symbols


def _rewritten(codec: Codec, container: Container, symbols: Symbols) -> bytes:
    """The file with other symbols and their checksum."""
    header = with_checks(container.header, symbols)
    stream = codec.coder.write(symbols, quality=header.quality)
    chunks = [replace(chunk, data=stream) if chunk.kind == ChunkKind.SYMBOLS else chunk for chunk in container.chunks]
    return write(Container(header, tuple(chunks)))


REPAIRED: dict[str, Callable[..., Any]] = {
    "header fields": change_header,
    "header bytes": change_head_bytes,
    "chunk bodies": change_bodies,
    "chunk table": change_chunks,
    "largest claim": claim_most,
    "forged symbols": forge,
    "z beyond 127": z_beyond_its_range,
}
