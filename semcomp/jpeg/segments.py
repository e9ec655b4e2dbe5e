"""The marker segments of a JPEG file (ITU-T T.81, Annex B): frame, tables, scans and records, checked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.jpeg.frame import Frame, read_frame
from semcomp.jpeg.standard import AC_CODES, DC_CODES, ZIGZAG

SOI, EOI, SOS, DQT, DHT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
RST0, APP0 = 0xD0, 0xE0
_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_REFUSED = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xC9: "arithmetic",
    0xCA: "arithmetic",
    0xCB: "arithmetic",
    0xCD: "arithmetic",
    0xCE: "arithmetic",
    0xCF: "arithmetic",
}
_STANDALONE = {0x01, *range(RST0, SOI)}
_LOWEST_BIT = 13
"""Largest bit that a scan may begin with."""
_MAX_SCANS = 200
"""Libraries write at most 10. A limit keeps a hostile file from asking for hours of work."""


@dataclass(frozen=True, kw_only=True)
class HuffmanCode:
    """A table of Huffman codes as a file holds it."""

    counts: bytes
    """Number of codes of 1 to 16 bits."""
    symbols: bytes
    """The symbols in the order of their codes."""


_PRESET_DC, _PRESET_AC = (
    {number: HuffmanCode(counts=counts, symbols=symbols) for number, (counts, symbols) in enumerate(codes)}
    for codes in (DC_CODES, AC_CODES)
)
"""Codes by number for baseline files that leave them out, as the frames of Motion JPEG do. libjpeg presets them too."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan: its header, the tables in force, and where its data is."""

    components: tuple[tuple[int, int, int], ...]
    """(Place in the frame, number of the DC code, number of the AC code) for each component."""
    first: int
    last: int
    """The band of coefficients, in the order of files. Only scans of progressive files have one."""
    high: int
    low: int
    """Bits of successive approximation."""
    dc: dict[int, HuffmanCode]
    ac: dict[int, HuffmanCode]
    restart: int
    """Minimum coded units between restart markers, or 0."""
    start: int
    end: int
    """The slice of the file that holds the entropy-coded data."""


@dataclass(kw_only=True)
class Segments:
    """Everything in a file, with entropy-coded data not yet read."""

    frame: Frame | None = None
    tables: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    """Quantisation steps by number, (64,) in rows."""
    scans: list[Scan] = field(default_factory=list)
    records: list[tuple[int, bytes]] = field(default_factory=list)
    """(Marker, payload) of application segments and comments."""
    damage: str = ""
    """What is wrong with the structure, in words; empty for a whole file."""


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 2
        self.found = Segments()
        self.dc: dict[int, HuffmanCode] = {}
        self.ac: dict[int, HuffmanCode] = {}
        self.restart = 0
        self.steps: dict[int, NDArray[np.int64]] = {}

    def run(self) -> Segments:
        while True:
            marker = self._next_marker()
            if marker is None:
                self.found.damage = self.found.damage or "it ends early"
                break
            if marker == EOI:
                break
            if marker in _STANDALONE:
                continue
            length = int.from_bytes(self.data[self.at : self.at + 2], "big")
            payload = self.data[self.at + 2 : self.at + length]
            if length < 2 or len(payload) != length - 2:
                self.found.damage = "a segment of it is cut"
                break
            self.at += length
            try:
                self._segment(marker, payload)
            except (IndexError, ValueError) as error:
                raise ImageError(
                    f"the JPEG file is damaged: its segment 0x{marker:02x} makes no sense ({error})"
                ) from error
        return self.found

    def _next_marker(self) -> int | None:
        at = self.data.find(b"\xff", self.at)
        while 0 <= at < len(self.data) - 1:
            value = self.data[at + 1]
            if value not in (0x00, 0xFF):
                self.at = at + 2
                return value
            at = self.data.find(b"\xff", at + 1 if value == 0xFF else at + 2)
        return None

    def _segment(self, marker: int, payload: bytes) -> None:
        if marker == DQT:
            self._quantisation(payload)
        elif marker == DHT:
            self._huffman(payload)
        elif marker == DRI:
            self.restart = int.from_bytes(payload[:2], "big")
        elif marker in _FRAMES:
            if self.found.frame is not None:
                raise ImageError("the JPEG file has several frames, which only hierarchical files may have")
            self.found.frame = read_frame(payload, progressive=marker == 0xC2)
        elif marker in _REFUSED:
            raise ImageError(
                f"the JPEG file is {_REFUSED[marker]}, and only Huffman-coded baseline and progressive files can be "
                "read: convert it with a program that reads it, such as jpegtran"
            )
        elif marker == SOS:
            self._scan(payload)
        elif marker == COM or APP0 <= marker < APP0 + 16:
            self.found.records.append((marker, payload))

    def _quantisation(self, payload: bytes) -> None:
        while payload:
            wide, number = payload[0] >> 4, payload[0] & 15
            size = 128 if wide else 64
            values = np.frombuffer(payload[1 : 1 + size], ">u2" if wide else np.uint8)
            if len(values) != 64 or number > 3 or not values.all():
                raise ValueError("64 steps above 0 are expected")
            steps = np.empty(64, np.int64)
            steps[ZIGZAG] = values
            self.steps[number] = steps
            payload = payload[1 + size :]

    def _huffman(self, payload: bytes) -> None:
        while payload:
            kind, number, counts = payload[0] >> 4, payload[0] & 15, payload[1:17]
            symbols = payload[17 : 17 + sum(counts)]
            kraft = sum(count << (16 - length) for length, count in enumerate(counts, 1))
            if kind > 1 or number > 3 or len(counts) != 16 or len(symbols) != sum(counts) or kraft > 1 << 16:
                raise ValueError("the Huffman codes are not a prefix code")
            (self.ac if kind else self.dc)[number] = HuffmanCode(counts=counts, symbols=symbols)
            payload = payload[17 + len(symbols) :]

    def _scan(self, payload: bytes) -> None:
        frame = self.found.frame
        if frame is None:
            raise ValueError("a scan comes before the frame")
        count = payload[0]
        places = {component.identifier: place for place, component in enumerate(frame.components)}
        chosen = [(payload[1 + 2 * n], payload[2 + 2 * n]) for n in range(count)]
        if not 1 <= count <= 4 or any(identifier not in places for identifier, _ in chosen):
            raise ValueError("a scan names components that the frame does not have")
        first, last, bits = payload[1 + 2 * count : 4 + 2 * count]
        end = self._end_of_data()
        components = tuple((places[identifier], codes >> 4, codes & 15) for identifier, codes in chosen)
        if len({place for place, *_ in components}) != count:
            raise ValueError("a scan names a component twice")
        if frame.progressive:
            _check_progression(count, first, last, bits >> 4, bits & 15)
        for place, *_ in components:
            number = frame.components[place].table
            if number not in self.steps:
                raise ValueError(f"the quantisation table {number} is missing")
            self.found.tables.setdefault(place, self.steps[number])
        if len(self.found.scans) >= _MAX_SCANS:
            raise ImageError(f"the JPEG file has more than {_MAX_SCANS} scans: rewrite it with jpegtran first")
        self.found.scans.append(
            Scan(
                components=components,
                first=first,
                last=last,
                high=bits >> 4,
                low=bits & 15,
                dc=dict(self.dc) if frame.progressive else _PRESET_DC | self.dc,
                ac=dict(self.ac) if frame.progressive else _PRESET_AC | self.ac,
                restart=self.restart,
                start=self.at,
                end=end,
            )
        )
        self.at = end

    def _end_of_data(self) -> int:
        """Where the next marker begins that is not a restart marker."""
        data, at = self.data, self.data.find(b"\xff", self.at)
        while 0 <= at < len(data) - 1:
            value = data[at + 1]
            if value == 0 or RST0 <= value < SOI:
                at = data.find(b"\xff", at + 2)
            elif value == 0xFF:
                at += 1
            else:
                return at
        return len(data)


def _check_progression(count: int, first: int, last: int, high: int, low: int) -> None:
    """Check the parameters of a progressive scan (T.81, G.1.1.1.1). They come from a file.

    Args:
        count: Number of components.
        first: First coefficient of the band, Ss.
        last: Last coefficient of the band, Se.
        high: Lowest bit that is known already, or 0 in the first scan of the band, Ah.
        low: Lowest bit that the scan codes, Al.
    """
    if not first <= last <= 63 or (first == 0 and last > 0):
        raise ValueError(f"a progressive scan has the band {first} to {last}")
    if first > 0 and count > 1:
        raise ValueError(f"a scan of AC coefficients has {count} components")
    if low > _LOWEST_BIT or (high and low != high - 1):
        raise ValueError(f"a progressive scan goes from bit {high} to bit {low}")


def read_segments(data: bytes) -> Segments:
    """Read the structure of a JPEG file.

    Raises:
        ImageError: The data is not a JPEG file, is of a kind that cannot be read, or a segment makes no sense.
    """
    if not data:
        raise ImageError("the file or the stream is empty, and is not a JPEG file")
    if data[:2] != b"\xff\xd8":
        raise ImageError("the file is not a JPEG file, which begins with ff d8: pass a file of JPEG or JPEG 2000")
    return _Reader(data).run()
