"""The container: what is written is read; what is damaged, cut, foreign or hostile is refused."""

import io
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import semcomp
from semcomp.bitstream.container import (
    MAX_CHUNKS,
    MAX_HEADER_BYTES,
    MAX_SIDE,
    SYNTHESISED,
    Chunk,
    ChunkKind,
    ColorMode,
    Container,
    Header,
    read,
    read_header,
    smallest_file,
    write,
)
from semcomp.bitstream.fields import pack_varint, unpack_varint
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Z

GOLDEN = bytes.fromhex(
    "89534d43 01 c002 c001 00 32 1111111111111111 2222222222222222 efbeadde 341207 05 7317c6fd a84a8f777a7a797979"
)


def header(**changes: Any) -> Header:
    fields: dict[str, Any] = {
        "width": 320,
        "height": 192,
        "mode": ColorMode.RGB,
        "quality": 50,
        "entropy_id": b"\x11" * 8,
        "model_id": b"\x22" * 8,
        "symbol_crc": 0xDEADBEEF,
        "z_check": 0x1234,
    }
    return Header(**(fields | changes))


SYMBOLS = Chunk(ChunkKind.SYMBOLS, b"zzyyy")
PLAIN = Container(header(), (SYMBOLS,))
FULL = Container(
    header(width=3, height=5000, mode=ColorMode.L, quality=1, flags=SYNTHESISED),
    (SYMBOLS, Chunk(ChunkKind.ALPHA, b"alpha"), Chunk(ChunkKind.ICC, b"i" * 300), Chunk(77, b"later"), Chunk(12, b"")),
)


def padded(container: Container) -> Container:
    """The same with the PADDING that its size asks for, if any."""
    missing = smallest_file(container.header.width, container.header.height) - len(write(container))
    padding = (Chunk(ChunkKind.PADDING, bytes(missing)),) if missing > 0 else ()
    return Container(container.header, (*container.chunks, *padding))


def raw(
    rows: Sequence[tuple[int, int, int]],
    *,
    body: bytes = b"",
    sides: tuple[int, int] = (8, 8),
    mode: int = 0,
    quality: int = 50,
    ids: bytes = bytes(22),
) -> bytes:
    """A file with correct checksums from rows of (tag, length, CRC), sound or not."""
    head = b"\x89SMC\x01" + b"".join(map(pack_varint, (*sides, mode))) + bytes([quality]) + ids
    for tag, length, crc in rows:
        head += pack_varint(tag) + pack_varint(length) + crc.to_bytes(4, "little")
    return head + zlib.crc32(head).to_bytes(4, "little") + body


def tag(kind: int, *, last: bool = False, required: bool = True) -> int:
    return kind << 2 | last << 1 | required


EMPTY, EMPTY_LAST = (tag(1), 0, 0), (tag(1, last=True), 0, 0)


# what is written is read


@pytest.mark.parametrize("container", [PLAIN, FULL])
def test_reads_what_it_wrote(container: Container) -> None:
    back = read(write(container))
    assert back == container
    assert back.lost == ()
    assert back.get(ChunkKind.SYMBOLS) == b"zzyyy"
    assert back.get(ChunkKind.EXIF) is None


@st.composite
def sides(draw: st.DrawFn) -> Sequence[int]:
    """Width and height up to the largest, of at most 2**15 cells: as large as a file of a test can be."""
    one = draw(st.integers(1, MAX_SIDE))
    other = draw(st.integers(1, min(MAX_SIDE, 2**15 // -(-one // STRIDE_Z) * STRIDE_Z)))
    return draw(st.permutations((one, other)))


@given(
    sides=sides(),
    mode=st.sampled_from(ColorMode),
    quality=st.integers(1, 100),
    flags=st.integers(0, 4095),
    entropy_id=st.binary(min_size=8, max_size=8),
    model_id=st.binary(min_size=8, max_size=8),
    symbol_crc=st.integers(0, 2**32 - 1),
    z_check=st.integers(0, 2**16 - 1),
    bodies=st.dictionaries(st.sampled_from([*range(3, 11)]), st.binary(max_size=200)),
    unknown=st.dictionaries(st.just(2) | st.integers(12, 4095), st.binary(max_size=20), max_size=5),
    data=st.data(),
)
def test_any_container_survives(
    sides: tuple[int, int], bodies: dict[int, bytes], unknown: dict[int, bytes], data: st.DataObject, **fields: Any
) -> None:
    chunks = [Chunk(kind, body) for kind, body in ({1: b"zy"} | bodies | unknown).items()]
    container = padded(Container(header(width=sides[0], height=sides[1], **fields), tuple(chunks)))
    container = Container(container.header, tuple(data.draw(st.permutations(container.chunks))))
    written = write(container)
    assert read(memoryview(written), max_pixels=MAX_SIDE**2) == container
    head, table = read_header(io.BytesIO(written), max_pixels=MAX_SIDE**2)
    assert head == container.header
    for entry, chunk in zip(table, container.chunks, strict=True):
        assert (entry.kind, entry.required) == (chunk.kind, chunk.required)
        assert written[entry.offset : entry.offset + entry.length] == chunk.data


def test_the_bytes_of_version_1_do_not_change() -> None:
    assert write(PLAIN) == GOLDEN
    assert read(GOLDEN) == PLAIN


@pytest.mark.parametrize(("sides", "length"), [((768, 512), 30_400), ((6000, 4000), 9_100_000)])
def test_everything_besides_the_symbols_takes_at_most_46_bytes(sides: tuple[int, int], length: int) -> None:
    chunk = Chunk(ChunkKind.SYMBOLS, bytes(length))
    assert len(write(Container(header(width=sides[0], height=sides[1]), (chunk,)))) - length <= 46


def test_largest_head_stays_within_the_bytes_that_are_read_for_it() -> None:
    chunks = [SYMBOLS] + [Chunk(4095 - i, b"") for i in range(MAX_CHUNKS - 1)]
    data = write(padded(Container(header(width=MAX_SIDE, height=STRIDE_Z, flags=4095), (*chunks[:-1],))))
    assert len(read(data).chunks) == MAX_CHUNKS
    rows = [(tag(chunk.kind, required=chunk.required), 2**32 - 1, 0) for chunk in chunks[:-1]]
    rows.append((tag(chunks[-1].kind, last=True, required=False), 2**32 - 1, 0))
    data = raw(rows, sides=(MAX_SIDE, MAX_SIDE), mode=0xFFF0)
    assert len(data) < MAX_HEADER_BYTES
    head, table = read_header(data, max_pixels=MAX_SIDE**2)
    assert head.flags == 4095 and len(table) == MAX_CHUNKS


def test_needs_the_standard_library_alone() -> None:
    code = "import sys, semcomp.bitstream.container; sys.exit(bool({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# writer


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": MAX_SIDE + 1},
        {"quality": 0},
        {"quality": 101},
        {"flags": -1},
        {"flags": 4096},
        {"mode": 2},
        {"entropy_id": b"short"},
        {"model_id": bytes(9)},
        {"symbol_crc": -1},
        {"symbol_crc": 2**32},
        {"z_check": 2**16},
    ],
)
def test_header_refuses_what_cannot_be_stored(changes: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(changes)) if "mode" not in changes else "ColorMode"):
        header(**changes)


@pytest.mark.parametrize(
    "chunks", [(), (Chunk(2, b""),), (SYMBOLS, SYMBOLS), (SYMBOLS, *[Chunk(100 + i, b"") for i in range(64)])]
)
def test_writer_refuses_an_unsound_table(chunks: tuple[Chunk, ...]) -> None:
    with pytest.raises(ValueError):
        write(Container(header(), chunks))


def test_kinds_that_make_the_picture_are_always_required() -> None:
    assert Chunk(ChunkKind.ALPHA, b"", False).required
    assert not Chunk(ChunkKind.ICC, b"").required
    with pytest.raises(ValueError, match="kind is 0"):
        Chunk(0, b"")


# damage


@pytest.mark.parametrize("container", [PLAIN, FULL])
def test_every_truncation_is_refused(container: Container) -> None:
    data = write(container)
    for length in range(len(data)):
        with pytest.raises(FormatError, match="empty" if not length else "byte"):
            read(data[:length])


def test_no_flipped_bit_goes_unnoticed() -> None:
    data = write(FULL)
    offsets = {entry.kind: entry.offset for entry in read_header(data)[1]}
    for bit in range(8 * len(data)):
        mutated = bytearray(data)
        mutated[bit // 8] ^= 1 << bit % 8
        try:
            back = read(mutated)
        except FormatError:
            continue
        assert bit // 8 >= offsets[ChunkKind.ICC]
        assert back.header == FULL.header
        assert len(back.lost) == 1
        assert set(back.chunks) < set(FULL.chunks)


def test_damaged_optional_chunk_is_listed_not_fatal() -> None:
    data = bytearray(write(FULL))
    entries = {entry.kind: entry for entry in read_header(data)[1]}
    data[entries[ChunkKind.ICC].offset] ^= 1
    data[entries[77].offset] ^= 1
    back = read(data)
    assert [lost.name for lost in back.lost] == ["ICC", "chunk 77"]
    assert all("checksum" in lost.reason for lost in back.lost)
    assert back.get(ChunkKind.ICC) is None
    assert back.get(ChunkKind.ALPHA) == b"alpha"
    data[entries[ChunkKind.ALPHA].offset] ^= 1
    with pytest.raises(FormatError, match="ALPHA is damaged"):
        read(data)


def test_bytes_behind_the_last_chunk_are_refused() -> None:
    with pytest.raises(FormatError, match="1 bytes follow the last chunk"):
        read(GOLDEN + b"\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", r"not a \.semc file: it begins with 89 50 4e 47"),
        (b"GIF89a", r"not a \.semc file"),
        (GOLDEN[:4] + b"\x02" + GOLDEN[5:], "format version 2 .* upgrade"),
        (GOLDEN[:10] + b"\x64" + GOLDEN[11:], "the header is damaged"),
    ],
)
def test_refusals_say_what_it_is(data: bytes, message: str) -> None:
    for reader in (read, read_header):
        with pytest.raises(FormatError, match=message):
            reader(data)


# written so: every checksum is right


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw([EMPTY, EMPTY_LAST]), "kind 1 comes twice"),
        (raw([(tag(7, last=True, required=False), 0, 0)]), "no SYMBOLS chunk"),
        (raw([(tag(1, last=True, required=False), 0, 0)]), "SYMBOLS is marked as optional"),
        (raw([(tag(2), 0, 0), EMPTY_LAST]), "needs chunk 2, .* upgrade"),
        (raw([(tag(500), 0, 0), EMPTY_LAST]), "needs chunk 500, .* upgrade"),
        (raw([(tag(0), 0, 0), EMPTY_LAST]), "chunk kind is 0"),
        (raw([(tag(4096), 0, 0), EMPTY_LAST]), "chunk kind is 4096"),
        (raw([(tag(100 + k), 0, 0) for k in range(64)] + [EMPTY_LAST]), "more than 64"),
        (raw([(tag(1, last=True), 2**32 - 1, 0)]), "truncated"),
        (raw([EMPTY_LAST], quality=0), "quality is 0"),
        (raw([EMPTY_LAST], quality=101), "quality is 101"),
        (raw([EMPTY_LAST], mode=2), "ColorMode"),
        (raw([EMPTY_LAST], mode=1 << 16), "flags is 4096"),
        (raw([EMPTY_LAST], sides=(0, 8)), "width is 0"),
        (raw([EMPTY_LAST], sides=(8, MAX_SIDE + 1)), "height is 1048577"),
        (raw([EMPTY_LAST], sides=(20000, 10000)), "above the limit of 178,000,000"),
    ],
)
def test_unsound_files_are_refused_whatever_their_checksums_say(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(data)


def test_pixel_limit_is_the_callers() -> None:
    body = bytes(smallest_file(20000, 10000))
    data = raw([(tag(1, last=True), len(body), zlib.crc32(body))], body=body, sides=(20000, 10000))
    assert read(data, max_pixels=200_000_000).header.width == 20000
    with pytest.raises(FormatError, match="limit of 178,000,000"):
        read(data)
    with pytest.raises(FormatError, match="limit of 63"):
        read_header(raw([EMPTY_LAST]), max_pixels=63)


def test_huge_claims_allocate_nothing() -> None:
    data = raw([(tag(1), 2**32 - 1, 0), (tag(3, last=True), 2**32 - 1, 0)], body=bytes(100))
    tracemalloc.start()
    with pytest.raises(FormatError, match="truncated"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


# a file weighs what it claims


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [
        (1, 1, 1),
        (64, 64, 1),
        (65, 64, 2),
        (64, 65, 2),
        (65, 65, 4),
        (768, 512, 96),
        (20000, 1, 313),
        (MAX_SIDE, 1, 1 << 14),
        (MAX_SIDE, MAX_SIDE, 1 << 28),
    ],
)
def test_smallest_file_counts_the_cells_begun(width: int, height: int, least: int) -> None:
    assert smallest_file(width, height) == least


def weighing(total: int, *, sides: tuple[int, int]) -> bytes:
    """A file of that many bytes in all, the most of them padding."""
    head = header(width=sides[0], height=sides[1])
    for size in range(total, 0, -1):
        data = write(Container(head, (SYMBOLS, Chunk(ChunkKind.PADDING, bytes(size)))))
        if len(data) == total:
            return data
    raise AssertionError(f"no file has {total} bytes")


@pytest.mark.parametrize("sides", [(6400, 4096), (6399, 4033), (409_600, 63)])
def test_file_lighter_than_its_claim_is_refused_by_its_head_alone(sides: tuple[int, int]) -> None:
    good, light = weighing(6400, sides=sides), weighing(6399, sides=sides)
    assert read(good).header == header(width=sides[0], height=sides[1])
    assert read(good).get(ChunkKind.PADDING) and read_header(good) == read_header(io.BytesIO(good))
    sentence = rf"claims {sides[0]} x {sides[1]} pixels, which take at least 6,400 bytes, in a file of 6,399; copy"
    reads: Sequence[tuple[Callable[[Any], object], object]] = (
        (read, light),
        (read_header, light),
        (read_header, light[:MAX_HEADER_BYTES]),
        (read_header, Trickle(light)),
        (semcomp.info, light),
    )
    for reader, source in reads:
        with pytest.raises(FormatError, match=sentence):
            reader(source)


def test_claimed_length_is_no_weight() -> None:
    rows = [EMPTY, (tag(ChunkKind.PADDING, last=True, required=False), 1 << 28, 0)]
    data = raw(rows, sides=(MAX_SIDE, MAX_SIDE))
    with pytest.raises(FormatError, match="truncated at byte"):
        read(data, max_pixels=MAX_SIDE**2)


def test_padding_is_optional_and_its_damage_is_not_fatal() -> None:
    assert not Chunk(ChunkKind.PADDING, b"").required
    container = padded(Container(header(width=6400, height=4096), (SYMBOLS,)))
    data = bytearray(write(container))
    assert read(data) == container
    data[-1] ^= 1
    back = read(data)
    assert [lost.name for lost in back.lost] == ["PADDING"]
    assert back.chunks == (SYMBOLS,)
    with pytest.raises(FormatError, match="truncated"):
        read(data[:-1])


@pytest.mark.parametrize("reseal", [False, True])
def test_random_mutations_end_in_a_container_or_a_format_error(reseal: bool) -> None:
    rng = random.Random(1)
    original = write(FULL)
    body = read_header(original)[1][0].offset
    read_back = 0
    for _ in range(4000):
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(data) if not reseal else body - 4)
            byte = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
            gone, new = rng.choice(((1, byte), (0, byte), (1, b"")))  # replace, insert, delete
            data[at : at + gone] = new
        if reseal:
            end = body - 4 + len(data) - len(original)
            data[end : end + 4] = zlib.crc32(data[:end]).to_bytes(4, "little")
        try:
            back = read(data)
        except FormatError:
            continue
        read_back += 1
        assert back.lost or write(back) == data  # one container, one file
    assert read_back > 0


# header alone


class Trickle(io.BytesIO):
    """A pipe that gives three bytes at a time and counts them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.taken = data, 0

    def read(self, size: int | None = -1) -> bytes:
        piece = self.data[self.taken : self.taken + min(size or 3, 3)]
        self.taken += len(piece)
        return piece


def test_header_of_a_stream_takes_no_more_than_it_needs() -> None:
    source = Trickle(write(Container(header(), (Chunk(ChunkKind.SYMBOLS, bytes(100_000)),))))
    assert read_header(source)[0] == header()
    assert source.taken == MAX_HEADER_BYTES


def test_header_does_not_need_the_bodies() -> None:
    head, table = read_header(GOLDEN[:-5])
    assert head == PLAIN.header
    assert [(entry.name, entry.length) for entry in table] == [("SYMBOLS", 5)]
    with pytest.raises(FormatError):
        read_header(GOLDEN[:-6])


# numbers


@given(st.integers(0, 2**32 - 1), st.binary(max_size=3))
def test_varint(value: int, tail: bytes) -> None:
    packed = pack_varint(value)
    assert unpack_varint(packed + tail) == (value, len(packed))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\xff\x00", b"\xff\xff\xff\xff\x10", b"\x80" * 5 + b"\x01"]
)
def test_varint_has_one_form(data: bytes) -> None:
    with pytest.raises(FormatError):
        unpack_varint(data)


def test_varint_is_32_bits() -> None:
    for value in (-1, 2**32):
        with pytest.raises(ValueError):
            pack_varint(value)
    largest = pack_varint(2**32 - 1)
    assert unpack_varint(largest) == (2**32 - 1, 5)
    with pytest.raises(FormatError, match="number"):
        unpack_varint(b"\x80\x80\x80\x80\x10")  # 2**32
