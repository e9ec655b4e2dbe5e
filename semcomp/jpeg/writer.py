"""Quantised coefficients to JPEG files: baseline or progressive, with Huffman codes made for the file.

The progressive form sends DC first, then two bands of AC for each component, with runs of finished blocks. It uses no
successive approximation.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.jpeg.frame import Component, Frame
from semcomp.jpeg.reader import JpegFile, scan_order
from semcomp.jpeg.segments import DHT, DQT, EOI, SOI, SOS, HuffmanCode
from semcomp.jpeg.standard import ZIGZAG

Ints = NDArray[np.int64]
_BANDS = ((1, 5), (6, 63))
"""Bands of AC coefficients of the progressive form."""
_LONGEST = 0xFFFF
"""Largest side in pixels, and largest segment in bytes with the two bytes of its length."""
_LONGEST_RUN = 0x7FFF
_LONGEST_CODE = 16
_LARGEST_DC = 11
"""Bits of the largest difference of DC that samples of 8 bits may have (T.81, table F.1)."""
_ORDER = 512
"""Keys of a block's symbols are below this number."""
_AT_ONCE = 1 << 14
"""Symbols whose bits are unpacked at a time. A bit takes about 25 bytes of memory until it is packed."""


class Symbols(NamedTuple):
    """Symbols in the order of a scan, with the bits behind each."""

    tables: Ints
    """Which code each symbol belongs to."""
    symbols: Ints
    sizes: Ints
    """Number of bits behind the symbol."""
    extra: Ints
    """Those bits."""


def write_jpeg(file: JpegFile, *, progressive: bool | None = None) -> bytes:
    """Write a file.

    Args:
        file: Size, coefficients, tables, and the records to be written, in their order.
        progressive: Which form to write. None writes the smaller one.

    Raises:
        ImageError: A coefficient, a step, a side or a record is beyond what the format holds.
    """
    if progressive is None:
        return min(write_jpeg(file, progressive=False), write_jpeg(file, progressive=True), key=len)
    _check(file)
    tables = _table_numbers(file)
    frame = Frame(
        width=file.width,
        height=file.height,
        progressive=progressive,
        components=tuple(
            Component(
                identifier=plane.identifier, horizontal=plane.horizontal, vertical=plane.vertical, table=tables[number]
            )
            for number, plane in enumerate(file.planes)
        ),
    )
    parts = [bytes([0xFF, SOI]), *(_segment(marker, payload) for marker, payload in file.records)]
    for number, plane in dict(zip(tables, file.planes, strict=True)).items():
        parts.append(_segment(DQT, bytes([number]) + plane.steps[ZIGZAG].astype(np.uint8).tobytes()))
    parts += [_frame_segment(frame), *_scans(file, frame), bytes([0xFF, EOI])]
    return b"".join(parts)


def _check(file: JpegFile) -> None:
    if not 1 <= min(file.width, file.height) <= max(file.width, file.height) <= _LONGEST:
        raise ImageError(f"a JPEG file has sides of 1 to {_LONGEST:,} pixels, not {file.width}x{file.height}")
    longest = max((len(payload) for _, payload in file.records), default=0)
    if longest > _LONGEST - 2:
        raise ImageError(f"a record of a JPEG file has at most {_LONGEST - 2:,} bytes, not {longest:,}: leave it out")
    for plane in file.planes:
        blocks = plane.coefficients
        if len(blocks) and (np.abs(blocks[..., 1:]).max(initial=0) > 1023 or np.abs(blocks[..., 0]).max() > 2047):
            raise ImageError("a coefficient is too large for a JPEG file: AC coefficients end at 1023, DC at 2047")
        if plane.steps.min() < 1 or plane.steps.max() > 255:  # T.81, B.2.4.1: samples of 8 bits have steps of 8 bits
            raise ImageError(f"quantisation steps must be 1 to 255, not {plane.steps.min()} to {plane.steps.max()}")


def _table_numbers(file: JpegFile) -> list[int]:
    """The number of each plane's quantisation table: planes with equal steps share one."""
    known: list[Ints] = []
    numbers = []
    for plane in file.planes:
        same = [number for number, steps in enumerate(known) if (steps == plane.steps).all()]
        if not same:
            known.append(plane.steps)
        numbers.append(same[0] if same else len(known) - 1)
    return numbers


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def _frame_segment(frame: Frame) -> bytes:
    head = b"\x08" + frame.height.to_bytes(2, "big") + frame.width.to_bytes(2, "big") + bytes([len(frame.components)])
    rows = (bytes([c.identifier, c.horizontal << 4 | c.vertical, c.table]) for c in frame.components)
    return _segment(0xC2 if frame.progressive else 0xC0, head + b"".join(rows))


def _scans(file: JpegFile, frame: Frame) -> list[bytes]:
    planes = [plane.coefficients.reshape(-1, 64)[:, ZIGZAG].astype(np.int64) for plane in file.planes]
    everything = list(range(len(planes)))
    if not frame.progressive:
        return [_scan(frame, planes, everything, (0, 63))]
    parts = [_scan(frame, planes, everything, (0, 0))]
    return parts + [_scan(frame, planes, [place], band) for band in _BANDS for place in everything]


def _scan(frame: Frame, planes: list[Ints], chosen: list[int], band: tuple[int, int]) -> bytes:
    """The Huffman codes, the header and the data of a scan."""
    kinds, places = scan_order(frame, chosen)
    blocks = np.stack([planes[chosen[kind]][order] for kind, order in zip(kinds, places, strict=True)], 1)
    owners = np.tile([chosen[kind] for kind in kinds], len(blocks))
    flat = blocks.reshape(-1, 64)
    coded = scan_symbols(flat, owners, band, runs=frame.progressive)
    parts, codes = [], {}
    for table in np.unique(coded.tables).tolist():
        code = best_code(np.bincount(coded.symbols[coded.tables == table], minlength=256))
        codes[table] = code
        parts.append(_segment(DHT, bytes([(table & 1) << 4 | table >> 1]) + code.counts + code.symbols))
    rows = b"".join(bytes([frame.components[place].identifier, 0x11 * min(place, 1)]) for place in chosen)
    parts.append(_segment(SOS, bytes([len(chosen)]) + rows + bytes([*band, 0])))
    return b"".join(parts) + entropy_bytes(coded, codes)


def scan_symbols(blocks: Ints, owners: Ints, band: tuple[int, int], *, runs: bool) -> Symbols:
    """The symbols of a scan.

    Args:
        blocks: In the order of the scan, (N, 64), coefficients in the order of files.
        owners: Place of each block's component in the frame, (N,).
        band: First and last coefficient.
        runs: Whether finished blocks are counted, as in progressive files.

    Raises:
        ImageError: A difference of DC is beyond what the format holds.

    Returns:
        The symbols. Codes are numbered 2 for each pair of luma (0, 1) and chroma (2, 3), DC even and AC odd.
    """
    first, last = band
    chroma = 2 * np.minimum(owners, 1)
    keys, rows = [], []
    if first == 0:
        values = blocks[:, 0].copy()
        for owner in np.unique(owners):
            own = np.flatnonzero(owners == owner)
            values[own] = np.diff(blocks[own, 0], prepend=0)
        keys.append(np.arange(len(blocks)) * _ORDER)
        sizes = _sizes(values)
        if sizes.max(initial=0) > _LARGEST_DC:
            raise ImageError(
                f"DC coefficients of neighbouring blocks differ by {np.abs(values).max():,}, and a JPEG file of 8 bits "
                f"holds differences of at most {(1 << _LARGEST_DC) - 1:,}: keep them from -1024 to 1023"
            )
        rows.append((chroma, sizes, sizes, _extra(values, sizes)))
    if last > 0:
        low = max(first, 1)
        block, place = np.nonzero(blocks[:, low : last + 1])
        values = blocks[block, place + low]
        fresh = np.diff(block, prepend=-1) > 0
        skipped = np.where(fresh, place, np.diff(place, prepend=0) - 1)
        sizes = _sizes(values)
        at = block * _ORDER + 2 * place + 3
        keys.append(at)
        table = chroma[block] + 1
        rows.append((table, (skipped & 15) << 4 | sizes, sizes, _extra(values, sizes)))
        long = np.repeat(np.arange(len(at)), skipped >> 4)
        keys.append(at[long] - 1)
        rows.append((table[long], np.full(len(long), 0xF0), np.zeros_like(long), np.zeros_like(long)))
        ends, lengths = _ends(len(blocks), block, place + low, last, runs)
        keys.append(ends * _ORDER + _ORDER - 1)
        bits = _sizes(lengths) - 1
        rows.append((chroma[ends] + 1, bits << 4, bits, lengths - (1 << bits)))
    order = np.argsort(np.concatenate(keys), kind="stable")
    return Symbols(*(np.concatenate(column)[order] for column in zip(*rows, strict=True)))


def _ends(count: int, block: Ints, place: Ints, last: int, runs: bool) -> tuple[Ints, Ints]:
    """Blocks behind which an end is coded, and how many blocks it ends."""
    full = np.zeros(count, bool)
    full[block[place == last]] = True
    if not runs:
        ends = np.flatnonzero(~full)
        return ends, np.ones_like(ends)
    something = np.zeros(count, bool)
    something[block] = True
    before = np.concatenate([[True], full[:-1]])
    begins = np.flatnonzero(~full & (something | before))
    # A run goes on to the next block that codes something, which either begins a run itself or is full.
    stops = np.flatnonzero(something)
    following = np.concatenate([stops, [count]])[np.searchsorted(stops, begins, side="right")]
    lengths = following - begins
    pieces = -(-lengths // _LONGEST_RUN)
    if (pieces > 1).any():
        starts = np.repeat(begins, pieces)
        within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts += within * _LONGEST_RUN
        return starts, np.minimum(np.repeat(following, pieces) - starts, _LONGEST_RUN)
    return begins, lengths


def _sizes(values: Ints) -> Ints:
    """Number of bits of each magnitude."""
    sizes: Ints = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    return sizes


def _extra(values: Ints, sizes: Ints) -> Ints:
    return np.where(values < 0, values + (1 << sizes) - 1, values)


def best_code(counts: Sequence[int] | Ints) -> HuffmanCode:
    """The best code of at most 16 bits for symbols that occur `counts` times (T.81, K.2). No code is all ones."""
    present = [symbol for symbol, count in enumerate(counts) if count]
    heap = [(int(counts[symbol]), number, [symbol]) for number, symbol in enumerate(present)]
    heap.append((0, len(heap), [-1]))  # takes the code of all ones, which the format forbids
    depth = dict.fromkeys([*present, -1], 0)
    heapq.heapify(heap)
    number = len(heap)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in one[2] + other[2]:
            depth[symbol] += 1
        heapq.heappush(heap, (one[0] + other[0], number, one[2] + other[2]))
        number += 1
    lengths = _limited(np.bincount(list(depth.values()), minlength=_LONGEST_CODE + 1).tolist())
    lengths[max(length for length, amount in enumerate(lengths) if amount)] -= 1
    symbols = sorted(present, key=lambda symbol: (-counts[symbol], symbol))
    return HuffmanCode(counts=bytes(lengths[1:]), symbols=bytes(symbols))


def _limited(lengths: list[int]) -> list[int]:
    """Numbers of codes by length, changed so that none is longer than 16 bits (T.81, figure K.3)."""
    for length in range(len(lengths) - 1, _LONGEST_CODE, -1):
        while lengths[length]:
            shorter = length - 2
            while not lengths[shorter]:
                shorter -= 1
            lengths[length] -= 2
            lengths[length - 1] += 1
            lengths[shorter + 1] += 2
            lengths[shorter] -= 1
    return lengths[: _LONGEST_CODE + 1]


def code_words(code: HuffmanCode) -> tuple[Ints, Ints]:
    """(256,) words and lengths by symbol; length 0 for symbols without a code."""
    words, lengths = np.zeros(256, np.int64), np.zeros(256, np.int64)
    word, at = 0, 0
    for length, count in enumerate(code.counts, 1):
        for symbol in code.symbols[at : at + count]:
            words[symbol], lengths[symbol] = word, length
            word += 1
        word, at = word << 1, at + count
    return words, lengths


def entropy_bytes(coded: Symbols, codes: dict[int, HuffmanCode]) -> bytes:
    """The data of a scan, with stuffing."""
    if not len(coded.symbols):
        return b""
    words, lengths = np.zeros((max(codes) + 1, 256), np.int64), np.zeros((max(codes) + 1, 256), np.int64)
    for table, code in codes.items():
        words[table], lengths[table] = code_words(code)
    packed, rest = [], np.zeros(0, np.uint8)
    for start in range(0, len(coded.symbols), _AT_ONCE):
        tables, symbols, sizes, extra = (column[start : start + _AT_ONCE] for column in coded)
        size = lengths[tables, symbols] + sizes
        values = words[tables, symbols] << sizes | extra
        ends = np.cumsum(size)
        shifts = np.repeat(ends, size) - np.arange(ends[-1]) - 1
        bits = np.concatenate([rest, (np.repeat(values, size) >> shifts & 1).astype(np.uint8)])
        whole = len(bits) // 8 * 8
        packed.append(np.packbits(bits[:whole]).tobytes())
        rest = bits[whole:]
    if len(rest):
        packed.append(np.packbits(np.concatenate([rest, np.ones(8 - len(rest), np.uint8)])).tobytes())
    return b"".join(packed).replace(b"\xff", b"\xff\x00")
