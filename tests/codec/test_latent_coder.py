"""Symbols in a file: what lies beyond their range or does not match is refused early; flat pictures are padded."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.bitstream import container as container_module
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, smallest_file, write
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.codec.codec import Codec
from semcomp.codec.self_test import numbers_in_int64
from semcomp.errors import FormatError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.networks.sigma import Z_LIMIT
from semcomp.pipeline.checks import with_checks
from semcomp.types import Symbols


def rewritten(codec: Codec, data: bytes, z: NDArray[np.int16]) -> bytes:
    """The file with another z and no y coded but zeros, every checksum right."""
    header = read(data).header
    shape = (codec.release.config.latents, -(-header.height // 16), -(-header.width // 16))
    zeros = np.zeros(shape, np.int16)
    valid = Symbols(z=np.clip(z, -Z_LIMIT, Z_LIMIT), y=zeros, index=zeros.astype(np.int8))
    symbols = replace(valid, z=z, index=numbers_in_int64(codec.release, valid, header.quality))
    header = with_checks(header, symbols)
    return write(Container(header, (Chunk(ChunkKind.SYMBOLS, codec.coder.write(symbols, quality=header.quality)),)))


@pytest.mark.parametrize("value", [127, -127, 128, -128, 32767, -32767])
def test_z_is_within_127_or_refused(codec: Codec, photo: NDArray[np.uint8], value: int) -> None:
    data = codec.encode(photo, quality=50)
    z = codec.read_symbols(data).z.copy()
    z[3, 1, 2] = value
    file = rewritten(codec, data, z)
    if abs(value) <= Z_LIMIT:
        np.testing.assert_array_equal(codec.read_symbols(file).z, z)
        assert codec.decode(file).size == (131, 90)
        return
    for plain in (False, True):
        with pytest.raises(FormatError, match=f"z holds {abs(value)}, at most 127"):
            codec.read_symbols(file, plain=plain)
    for reader in (codec.decode, codec.latents):
        with pytest.raises(FormatError, match=f"z holds {abs(value)}, at most 127"):
            reader(file)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 132},
        {"height": 89},
        {"width": 90, "height": 131},
        {"width": 1280},
        {"mode": 1},
        {"flags": 1},
        {"quality": 51},
        {"quality": 100},
    ],
)
def test_a_header_changed_with_its_checksum_is_noticed_by_the_symbols(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    container = read(codec.encode(photo, quality=50))
    file = write(Container(replace(container.header, **change), container.chunks))

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("y was read")

    for name in ("index", "sums"):
        monkeypatch.setattr(vars(codec.coder)["_sigma"], name, forbidden)
    with pytest.raises(FormatError):
        codec.decode(file)
    if change.keys() <= {"mode", "flags"} or change == {"height": 89}:  # the same positions: the stream itself is sound
        with pytest.raises(FormatError, match="do not match their checksum"):
            codec.decode(file)


def test_z_and_y_are_read_from_one_stream(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo, quality=50)
    container, symbols, tables = read(data), codec.read_symbols(data), codec.release.tables_z
    assert [chunk.kind for chunk in container.chunks] == [ChunkKind.SYMBOLS]
    stream = container.get(ChunkKind.SYMBOLS)
    assert stream == codec.coder.write(symbols, quality=50)
    (_, index, _), *passes = codec.coder.streamed(symbols, quality=50)
    alone = encode_symbols([(symbols.z.ravel(), index, tables)])
    assert len(alone) < len(stream) and not stream.endswith(alone)
    reader = SymbolReader(stream)
    np.testing.assert_array_equal(reader.read(index, tables), symbols.z.ravel())
    with pytest.raises(FormatError, match="left over"):
        reader.finish()
    for y, numbers, tables_y in passes:
        np.testing.assert_array_equal(reader.read(numbers, tables_y), y)
    reader.finish()


@pytest.mark.parametrize(("width", "height"), [(20000, 1), (2048, 1024)])
def test_a_large_flat_picture_comes_back_and_is_padded_only_if_needed(codec: Codec, width: int, height: int) -> None:
    black = np.zeros((height, width, 3), np.uint8)
    data = codec.encode(black, quality=1)
    container = read(data)
    bare = write(Container(container.header, tuple(c for c in container.chunks if c.kind != ChunkKind.PADDING)))
    assert (container.get(ChunkKind.PADDING) is not None) == (len(bare) < smallest_file(width, height))
    assert len(data) >= smallest_file(width, height)
    result = np.asarray(codec.decode(data))
    assert result.shape == black.shape
    assert psnr_db(black, result) > 25


@pytest.mark.parametrize("missing", [-1, 0, 1, 200, 5000])
def test_padding_fills_what_is_missing_and_changes_nothing_else(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    bare = codec.encode(photo, quality=20)
    with monkeypatch.context() as patched:
        patched.setattr(container_module, "smallest_file", lambda width, height: len(bare) + missing)
        file = codec.encode(photo, quality=20)
    if missing <= 0:
        assert file == bare
        return
    held = read(file)
    assert held.get(ChunkKind.PADDING) == bytes(missing)
    assert held.chunks[:-1] == read(bare).chunks and held.header == read(bare).header
    assert len(bare) + missing <= len(file) <= len(bare) + missing + 8
    np.testing.assert_array_equal(np.asarray(codec.decode(file)), np.asarray(codec.decode(bare)))


def test_a_file_too_light_for_its_picture_is_refused_before_anything_is_decoded(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symbols that cost nothing: without words every symbol is the first of its table."""
    header = replace(read(codec.encode(photo, quality=1)).header, width=6400, height=6400)
    chunk = Chunk(ChunkKind.SYMBOLS, b"")

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("the symbols were looked at")

    monkeypatch.setattr(codec.coder, "read", forbidden)
    with pytest.raises(FormatError, match="take at least 10,000 bytes"):
        codec.decode(write(Container(header, (chunk,))))
    monkeypatch.undo()
    padded = Container(header, (chunk, Chunk(ChunkKind.PADDING, bytes(10_000))))
    with pytest.raises(FormatError, match="do not match their checksum"):
        codec.decode(write(padded))


def test_packing_takes_the_size_of_the_picture(codec: Codec) -> None:
    """`pack` alone, with the cheapest symbols there are, of a picture whose cells outnumber their bytes."""
    width, height, quality = 64 * 400, 1, 1
    picture = from_array(np.zeros((height, width, 3), np.uint8))
    z_tables = codec.release.tables_z
    z_index = codec.coder.z_index((codec.release.config.hyper, 1, 400), quality=quality)
    z = np.array([-int(z_tables.bounds[t]) for t in z_index.tolist()], np.int16).reshape(-1, 1, 400)
    shape = (codec.release.config.latents, 1, 1600)
    symbols = Symbols(z=z, y=np.zeros(shape, np.int16), index=np.full(shape, -1, np.int8))
    file = codec.pack(picture, symbols, quality=quality)
    assert [chunk.kind for chunk in read(file).chunks] == [ChunkKind.SYMBOLS, ChunkKind.PADDING]
    assert 400 <= len(file) <= 408
