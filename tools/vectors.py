"""Writes vectors for whoever writes a decoder: python -m tools.vectors -o vectors/

A vector is a file that was written with the weights inside semcomp, and what it decodes to:

    NAME.semc   the file
    NAME.npz    its integers: arrays z (H, rows, columns) and y (M, rows, columns)
    NAME.png    its pixels. A float network made them, so that a level or two may differ on another machine
    manifest.json   every vector with its sizes, checksums and tolerance, and every file that must be refused

`python -m tools.conformance` compares the output of another decoder with them. The golden files of the tests are some
of these vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import semcomp
from semcomp.bitstream.container import Chunk, ChunkKind, read, write
from semcomp.bitstream.header import Container
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError
from tools.conformance import FORMAT, LARGEST_DIFFERENCE, MANIFEST, MEAN_DIFFERENCE

PHOTO = Path(__file__).parents[1] / "examples" / "photo.png"
SIDES = ((1, 1), (16, 16), (17, 33), (64, 64), (65, 63), (200, 130))
"""Sizes (width, height) around what a decoder computes in blocks of."""
UNKNOWN = 3001
"""A kind of chunk that no version of the format has."""


def golden_pictures() -> dict[str, tuple[Image.Image, int]]:
    """Map names to a picture and a quality: crops of the sample photo, and what formats hold besides RGB."""
    photo = _photo()
    crop = photo.crop((150, 100, 150 + 131, 100 + 97))
    ramp = Image.fromarray(np.add.outer(np.arange(40) * 3, np.arange(50) * 2).astype(np.uint8))
    veil = crop.copy()
    veil.putalpha(Image.fromarray(np.tile(np.arange(131, dtype=np.uint8), (97, 1))))
    return {
        "low": (crop, 5),
        "middle": (crop, 50),
        "high": (crop, 100),
        "grey": (crop.convert("L"), 35),
        "alpha": (veil, 20),
        "ramp": (ramp, 60),
        "pixel": (photo.crop((200, 200, 201, 201)), 80),
        "strip": (photo.crop((0, 240, 300, 243)), 70),
    }


def more_pictures() -> dict[str, tuple[Image.Image, int]]:
    """Map names to further pictures: sizes around the blocks of a decoder, flat areas, and both ends of the quality."""
    photo = _photo()
    found = {f"size_{w}x{h}": (photo.crop((120, 80, 120 + w, 80 + h)), 40) for w, h in SIDES}
    return found | {
        "flat": (Image.new("RGB", (150, 90), (128, 64, 200)), 50),
        "quality_1": (photo.crop((0, 0, 96, 80)), 1),
        "quality_99": (photo.crop((0, 0, 96, 80)), 99),
    }


def write_vector(folder: Path, name: str, data: bytes, codec: Codec) -> dict[str, Any]:
    """Write a file with its integers and pixels.

    Args:
        folder: Where to.
        name: Name of the vector.
        data: The bytes of the file.
        codec: What decodes it.

    Returns:
        Its entry in the manifest.
    """
    symbols, picture = codec.read_symbols(data), codec.decode(data)
    (folder / f"{name}.semc").write_bytes(data)
    np.savez_compressed(folder / f"{name}.npz", z=symbols.z, y=symbols.y)
    picture.save(folder / f"{name}.png", optimize=True)
    return {
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "quality": read(data).header.quality,
        "z": list(symbols.z.shape),
        "y": list(symbols.y.shape),
        "symbols_sha256": {key: _digest(getattr(symbols, key)) for key in ("z", "y")},
        "largest_difference": LARGEST_DIFFERENCE,
        "mean_difference": MEAN_DIFFERENCE,
    }


def other_containers(data: bytes) -> dict[str, bytes]:
    """Map names to files that hold the same picture as `data` in another container."""
    container = read(data)
    optional = replace(container, chunks=(*container.chunks, Chunk(UNKNOWN, b"skip me")))
    profile = replace(container, chunks=(*container.chunks, Chunk(ChunkKind.EXIF, b"MM\0*\0\0\0\x08\0\0\0\0\0\0")))
    damaged = write(optional)
    return {
        "unknown_chunk": write(optional),
        "damaged_optional_chunk": damaged[:-1] + bytes([damaged[-1] ^ 1]),
        "exif": write(profile),
    }


def refused_files(data: bytes) -> dict[str, tuple[bytes, str]]:
    """Map names to files that every decoder refuses, each with the reason."""
    container = read(data)
    required = replace(container, chunks=(*container.chunks, Chunk(UNKNOWN, b"needed", required=True)))
    middle = len(data) - 20
    other_symbols = replace(container.header, symbol_crc=container.header.symbol_crc ^ 1)
    return {
        "refuse_truncated": (data[:-10], "the last chunk is cut"),
        "refuse_empty": (b"", "there is no byte"),
        "refuse_magic": (b"\x88" + data[1:], "the magic is another one"),
        "refuse_version": (data[:4] + b"\x02" + data[5:], "version 2, and a header checksum that does not hold"),
        "refuse_body": (data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :], "a bit of SYMBOLS is flipped"),
        "refuse_appended": (data + b"\0", "a byte follows the last chunk"),
        "refuse_unknown_chunk": (write(required), "an unknown chunk is required"),
        "refuse_symbols": (write(Container(other_symbols, container.chunks)), "the symbol checksum does not hold"),
    }


def write_golden(folder: Path, codec: Codec) -> None:
    """Write the vectors that the tests keep, without a manifest.

    Args:
        folder: Where to. Vectors that are there already are removed.
        codec: What encodes and decodes.
    """
    for old in (*folder.glob("*.semc"), *folder.glob("*.png"), *folder.glob("*.npz")):
        old.unlink()
    for name, (picture, quality) in golden_pictures().items():
        write_vector(folder, name, codec.encode(picture, quality=quality), codec)


def write_all(folder: Path, codec: Codec, *, progress: Callable[[str], None] = lambda name: None) -> dict[str, Any]:
    """Write every vector and the manifest.

    Args:
        folder: Where to; it is made if it does not exist.
        codec: What encodes and decodes.
        progress: Is called with the name of each vector.

    Returns:
        The manifest.

    Raises:
        AssertionError: The library itself decodes a file that has to be refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, (picture, quality) in (golden_pictures() | more_pictures()).items():
        files[name] = codec.encode(picture, quality=quality)
    files |= other_containers(files["size_64x64"])
    vectors = []
    for name, data in files.items():
        progress(name)
        vectors.append(write_vector(folder, name, data, codec))
    refused = []
    for name, (data, reason) in refused_files(files["size_64x64"]).items():
        progress(name)
        (folder / f"{name}.semc").write_bytes(data)
        refused.append({"name": name, "sha256": hashlib.sha256(data).hexdigest(), "reason": reason})
        assert _is_refused(data, codec), f"{name} decodes"
    manifest = {
        "format": FORMAT,
        "entropy_id": codec.entropy_id.hex(),
        "model_id": codec.model_id.hex(),
        "vectors": vectors,
        "refused": refused,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _is_refused(data: bytes, codec: Codec) -> bool:
    try:
        codec.decode(io.BytesIO(data))
    except FormatError:
        return True
    return False


def _digest(values: Any) -> str:
    """SHA-256 of integers as 16-bit two's complement, little-endian, in the order channel, row, column."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i2").tobytes()).hexdigest()


def _photo() -> Image.Image:
    with Image.open(PHOTO) as photo:
        picture: Image.Image = photo.convert("RGB")
    return picture


def main(arguments: list[str] | None = None) -> int:
    """Write the vectors. Returns the exit status."""
    import warnings

    parser = argparse.ArgumentParser(prog="python -m tools.vectors", description="Write vectors for decoders.")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder")
    parser.add_argument("--model", default="base", metavar="NAME", help="weights: a name or a .safetensors path (base)")
    options = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", semcomp.SemcompWarning)  # the damaged optional chunk is damaged on purpose
        manifest = write_all(options.output, semcomp.load(options.model), progress=print)
    print(
        f"{len(manifest['vectors'])} vectors, {len(manifest['refused'])} files to refuse: {options.output / MANIFEST}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
