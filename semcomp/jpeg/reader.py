"""JPEG files to quantised coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.jpeg.frame import Frame
from semcomp.jpeg.huffman import Bits
from semcomp.jpeg.progressive import first_ac, first_dc, more_ac, more_dc
from semcomp.jpeg.segments import RST0, SOI, Scan, Segments, read_segments
from semcomp.jpeg.sequential import decode_interval
from semcomp.jpeg.standard import ZIGZAG

_LEAST_BITS = 0.25
"""Bits a block that a file must have. A whole file has at least 1, and a cut file has fewer."""


@dataclass(frozen=True, kw_only=True)
class JpegPlane:
    """The coefficients of one component."""

    coefficients: NDArray[np.int16]
    """Quantised, (rows, columns, 64), in rows of a block. Whole units are kept, also beyond the edge of the picture."""
    steps: NDArray[np.int64]
    """(64,), in rows of a block."""
    horizontal: int
    vertical: int
    """Sampling factors."""
    identifier: int = 1


@dataclass(frozen=True, kw_only=True)
class JpegFile:
    """A JPEG file without entropy coding."""

    width: int
    height: int
    planes: tuple[JpegPlane, ...]
    progressive: bool = False
    records: tuple[tuple[int, bytes], ...] = ()
    """(Marker, payload) of application segments and comments."""
    damage: str = ""
    """What could not be read, in words; empty for a whole file."""

    @property
    def factors(self) -> tuple[int, int]:
        """The largest (vertical, horizontal) sampling factors."""
        return max(plane.vertical for plane in self.planes), max(plane.horizontal for plane in self.planes)


def read_jpeg(data: bytes) -> JpegFile:
    """Read the coefficients of a file. Of a damaged file, what can be read is returned, and `damage` says so.

    Args:
        data: The bytes of a baseline, extended or progressive file with Huffman codes and 8 bits a channel.

    Raises:
        ImageError: The data is not such a file, or no block of it can be read.
    """
    found = read_segments(data)
    if found.frame is None or not found.scans:
        raise ImageError(f"the JPEG file holds no picture: {found.damage or 'it has no scan'}")
    frame = found.frame
    _check_claim(frame, len(data))
    planes = [np.zeros((*frame.blocks(component), 64), np.int16) for component in frame.components]
    counts = [_read_scan(data, frame, scan, planes) for scan in found.scans]
    if not any(read for read, _ in counts):
        raise ImageError("the JPEG file is damaged: no block of it can be read")
    default = np.ones(64, np.int64)
    return JpegFile(
        width=frame.width,
        height=frame.height,
        planes=tuple(
            JpegPlane(
                coefficients=_in_rows(blocks) if frame.progressive else blocks,
                steps=found.tables.get(place, default),
                horizontal=component.horizontal,
                vertical=component.vertical,
                identifier=component.identifier,
            )
            for place, (component, blocks) in enumerate(zip(frame.components, planes, strict=True))
        ),
        progressive=frame.progressive,
        records=tuple(found.records),
        damage=_damage(found, frame, counts),
    )


def _damage(found: Segments, frame: Frame, counts: list[tuple[int, int]]) -> str:
    """Say in words what of a file could not be read, and how that looks. Empty for a whole file.

    A block shows if the scan of its DC coefficient was read. Scans that are missing are known from the bits that the
    scans before them left for later.

    Args:
        found: The structure of the file.
        frame: Its frame.
        counts: (Blocks that were read, blocks that there should be) of each scan.
    """
    whole = all(read >= expected for read, expected in counts)
    basic = [not frame.progressive or (scan.first == 0 and scan.high == 0) for scan in found.scans]
    seen = {place for scan, has_dc in zip(found.scans, basic, strict=True) if has_dc for place, *_ in scan.components}
    missing = [component for place, component in enumerate(frame.components) if place not in seen]
    if whole and not missing and not found.damage:
        return ""
    shown = sum(read for (read, _), has_dc in zip(counts, basic, strict=True) if has_dc)
    total = sum(expected for (_, expected), has_dc in zip(counts, basic, strict=True) if has_dc)
    total += sum(math.prod(frame.own_blocks(component)) for component in missing)
    fine = not frame.progressive or (whole and not _bits_left(found.scans, len(frame.components)))
    reasons = [found.damage, "a colour plane of it is missing" if missing else ""]
    share = "all of its blocks" if shown >= total else f"{100 * shown // total or 'less than 1'} % of its blocks"
    looks = ["what is missing is grey"] * (shown < total) + ["what lacks detail is blurred"] * (not fine)
    text = ", and ".join([f"{share} can be read", *filter(None, reasons)])
    return "; ".join([text, *looks])


def _bits_left(scans: Sequence[Scan], components: int) -> bool:
    """Whether coefficients of a progressive file, or low bits of them, are in no scan."""
    lowest = np.full((components, 64), 16)
    for scan in scans:
        for place, *_ in scan.components:
            lowest[place, scan.first : scan.last + 1] = scan.low
    return bool(lowest.any())


def _check_claim(frame: Frame, size: int) -> None:
    """Refuse a tiny file that claims a huge picture: it has fewer than `_LEAST_BITS` bits a block."""
    blocks = sum(rows * columns for rows, columns in map(frame.blocks, frame.components))
    if 8 * size < blocks * _LEAST_BITS:
        raise ImageError(
            f"the JPEG file claims {frame.width}x{frame.height} pixels, and {size:,} bytes hold almost none of them: "
            "it is cut or damaged"
        )


def _in_rows(blocks: NDArray[np.int16]) -> NDArray[np.int16]:
    ordered = np.empty_like(blocks)
    ordered[..., ZIGZAG] = blocks
    return ordered


def _read_scan(data: bytes, frame: Frame, scan: Scan, planes: list[NDArray[np.int16]]) -> tuple[int, int]:
    """Decode a scan into `planes`. Returns how many blocks were read, and how many there should be."""
    kinds, places = scan_order(frame, [place for place, *_ in scan.components])
    per_unit = len(kinds)
    units = len(places[0])
    interval = scan.restart or units
    read = 0
    for number, piece in _intervals(data[scan.start : scan.end], limit=-(-units // interval)):
        span = slice(number * interval, min((number + 1) * interval, units))
        count = len(range(*span.indices(units)))
        blocks = np.zeros((count * per_unit, 64), np.int16)
        where = [(planes[scan.components[kind][0]], order[span]) for kind, order in zip(kinds, places, strict=True)]
        for place, (plane, own) in enumerate(where):
            blocks[place::per_unit] = plane.reshape(-1, 64)[own]
        done = _read_interval(Bits(piece), frame, scan, kinds, blocks)
        for place, (plane, own) in enumerate(where):
            plane.reshape(-1, 64)[own] = blocks[place::per_unit]
        read += done
    return read, units * per_unit


def scan_order(frame: Frame, chosen: list[int]) -> tuple[list[int], list[NDArray[np.int64]]]:
    """Where the blocks of a scan belong.

    Args:
        frame: The frame.
        chosen: Places in the frame of the scan's components.

    Returns:
        For each block of a unit: which of the scan's components it belongs to, and its place in the component's plane
        for every unit, (units,).
    """
    if len(chosen) == 1:
        component = frame.components[chosen[0]]
        rows, columns = frame.own_blocks(component)
        order = np.arange(rows)[:, None] * frame.blocks(component)[1] + np.arange(columns)
        return [0], [order.reshape(-1)]
    kinds, places = [], []
    unit_rows, unit_columns = frame.units
    for kind, place in enumerate(chosen):
        component = frame.components[place]
        columns = frame.blocks(component)[1]
        for down in range(component.vertical):
            for across in range(component.horizontal):
                row = np.arange(unit_rows)[:, None] * component.vertical + down
                column = np.arange(unit_columns) * component.horizontal + across
                kinds.append(kind)
                places.append((row * columns + column).reshape(-1))
    return kinds, places


def _intervals(data: bytes, *, limit: int) -> Iterator[tuple[int, bytes]]:
    """(Number, bytes) of the restart intervals. A marker out of order tells that intervals before it were lost."""
    number, begin, at = 0, 0, data.find(b"\xff")
    while 0 <= at < len(data) - 1 and number < limit:
        value = data[at + 1]
        if RST0 <= value < SOI:
            yield number, data[begin:at]
            lost = (value - RST0 - number) % 8
            number += 1 + (lost if lost < 4 else 0)
            begin = at + 2
        at = data.find(b"\xff", at + 2 if value != 0xFF else at + 1)
    if number < limit:
        yield number, data[begin:]


def _read_interval(bits: Bits, frame: Frame, scan: Scan, kinds: list[int], blocks: NDArray[np.int16]) -> int:
    """Decode one restart interval into `blocks`, in the order of the scan. Returns how many blocks were read."""
    try:
        if not frame.progressive:
            codes = [(scan.dc[scan.components[kind][1]], scan.ac[scan.components[kind][2]]) for kind in kinds]
            found = decode_interval(bits, codes, kinds, len(blocks) // len(kinds))
            blocks[: len(found)] = found
            return len(found)
        if scan.first == 0:
            if scan.high:
                return more_dc(bits, blocks, scan.low)
            return first_dc(bits, blocks, [scan.dc[scan.components[kind][1]] for kind in kinds], kinds, scan.low)
        step = more_ac if scan.high else first_ac
        return step(bits, blocks, scan.ac[scan.components[0][2]], (scan.first, scan.last), scan.low)
    except KeyError as error:
        raise ImageError(f"the JPEG file is damaged: its Huffman code {error} is missing") from error
