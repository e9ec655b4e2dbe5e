"""Damaged and hostile `.semc` files for `benchmarks.fuzz`: mutation number i of a seed is always the same one.

Even numbers are damage: bytes of the raw file flipped, inserted, deleted, doubled, cut off. Odd numbers are made by
someone who knows the format: fields, rows or bodies are changed and every checksum is made right again, up to files
whose symbols are forged throughout and which are valid in all else.
"""

import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from semcomp.codec import Codec, _crc
from semcomp.container import MAX_SIDE, Chunk, ChunkKind, Container, read, read_header, write
from semcomp.image import Picture, from_array, open_picture

SIZE = (64, 48)


@dataclass(frozen=True)
class Base:
    """A good file, and what it decodes to."""

    name: str
    data: bytes
    decoded: Image.Image


@dataclass(frozen=True)
class Mutation:
    """A file to try. `kind` says what was done; `forged`: it may validly stand for another picture."""

    kind: str
    base: int
    data: bytes
    forged: bool = False
    size: tuple[int, int] | None = None
    """Width and height that a forged file claims."""


def base_files(codec: Codec, pixels: np.ndarray) -> list[Base]:
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
    return Mutation(kind, base, REPAIRED[kind](rng, data))


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
        "symbol_crc_z": lambda: rng.randrange(1 << 32),
        "symbol_crc_y": lambda: rng.randrange(1 << 32),
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


def forge(rng: random.Random, codec: Codec, data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Other symbols, extreme ones among them, with every checksum of the format right."""
    container = read(data)
    header, symbols = container.header, codec.read_symbols(data)
    limit = rng.choice((1, 127, 128, 32767))
    z, y = symbols.z.copy(), symbols.y.copy()
    target, coded = (z, np.arange(z.size)) if rng.random() < 0.5 else (y, np.flatnonzero(symbols.index >= 0))
    if coded.size:
        chosen = np.array(rng.choices(coded.tolist(), k=rng.choice((1, 4, coded.size))))
        target.ravel()[chosen] = [rng.choice((-limit, limit, rng.randint(-limit, limit))) for _ in chosen]
    if target is z:  # another z means other tables: y must be written under them
        _, rows, columns = y.shape
        numbers = codec.release.sigma.index_numpy(z, header.quality)[:, :rows, :columns]
        index = np.where(numbers >= codec.release.skip_below, numbers, -1).astype(np.int8)
        symbols = replace(symbols, z=z, y=np.where(index >= 0, y, 0).astype(np.int16), index=index)
    else:
        symbols = replace(symbols, y=y)
    stream_z, stream_y = codec.coder.write(symbols, quality=header.quality)
    bodies = {ChunkKind.Z: stream_z, ChunkKind.Y: stream_y}
    chunks = [replace(chunk, data=bodies.get(chunk.kind, chunk.data)) for chunk in container.chunks]
    header = replace(header, symbol_crc_z=_crc(header, symbols.z), symbol_crc_y=_crc(header, symbols.y))
    return write(Container(header, tuple(chunks))), (header.width, header.height)


REPAIRED: dict[str, Callable[..., Any]] = {
    "header fields": change_header,
    "header bytes": change_head_bytes,
    "chunk bodies": change_bodies,
    "chunk table": change_chunks,
    "forged symbols": forge,
}
