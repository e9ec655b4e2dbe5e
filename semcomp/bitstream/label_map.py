"""A label map: the class of every cell of a grid over the picture, lossless, as the body of a LABEL_MAP chunk.

A cell is coded as one of its neighbours' classes ("as W", "as N", ...), or as none of them and then by number. What
that costs adapts to the map: to what was chosen before under the same pattern of equal and different neighbours, and
under that pattern between the same two classes. Cell (r, c) is coded in wavefront c + 2r, when W, N, NE and NW are
known; the cells of a wavefront do not see each other, so numpy does a whole one at a time. FORMAT_PAYLOADS.md
specifies the bytes.

101 drawn masks of 480 x 360 pixels in 12 classes, cells of 4 pixels: 370 bytes, 130 of them for names and colours; a
palette PNG takes 835, a lossless WebP 573 (``python -m benchmarks.labelmap``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.adaptive_ans import Counts, Reader, Writer
from semcomp.bitstream.label_map_header import VOID, LabelMapHead, pack_head, unpack_head
from semcomp.errors import FormatError

_NEIGHBOURS = 4
_NONE = 4
"""The choice "none of the neighbours"; the others are the neighbours' different classes, numbered as they come."""
_MAX_BYTES_A_CELL = 6  # two symbols of at most 24 bits
_COPY_AGAIN = "copy the file again"


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap(LabelMapHead):
    """A whole label map. ``ValueError`` for a field out of range."""

    cells: NDArray[np.uint8]
    """uint8 (rows, columns): class numbers below ``len(classes)``, or VOID. ``has_void`` follows from them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_type(self.cells)
        void = self.cells == VOID
        highest = int(np.where(void, 0, self.cells).max())
        if highest >= len(self.classes):
            raise ValueError(f"the cells hold class {highest}, there are {len(self.classes)} classes")
        object.__setattr__(self, "has_void", bool(void.any()))


def reduce_map(label_map: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Give each cell the class that most of its pixels have, uint8 (rows, columns). A tie goes to the smaller class.

    ``label_map`` is uint8 (H, W). VOID votes like a class. Cells at the right and lower edge vote with the pixels that
    they have. ``ValueError`` for another type or shape. Needs memory for columns x classes numbers.
    """
    _check_type(label_map)
    height, width = label_map.shape
    columns, classes = -(-width // cell), int(label_map.max()) + 1
    bins = np.arange(width) // cell * classes
    cells = np.empty((-(-height // cell), columns), np.uint8)
    for row in range(len(cells)):
        voters = label_map[row * cell : (row + 1) * cell] + bins
        cells[row] = np.bincount(voters.ravel(), minlength=columns * classes).reshape(columns, classes).argmax(axis=1)
    return cells


def expand(cells: NDArray[np.uint8], cell: int, width: int, height: int) -> NDArray[np.uint8]:
    """Give every pixel the class of its cell, (height, width). ``ValueError`` for the cells of another picture."""
    _check_shape(cells, cell, (-(-height // cell), -(-width // cell)), width, height)
    return np.repeat(np.repeat(cells, cell, axis=1)[:, :width], cell, axis=0)[:height]


def pack_label_map(label_map: LabelMap, *, width: int, height: int) -> bytes:
    """Write the body of a LABEL_MAP chunk for a picture of ``width`` x ``height`` pixels.

    ``ValueError`` for the cells of another picture, more of them than ``label_map_header.MAX_CELLS``, and strings that
    a file does not take.
    """
    shape = label_map.shape(width=width, height=height)
    _check_shape(label_map.cells, label_map.cell, shape, width, height)
    writer = Writer()
    classes = len(label_map.classes)
    cells = np.where(label_map.cells == VOID, np.uint8(classes), label_map.cells)
    code_cells(cells, writer, classes=classes + label_map.has_void)
    return pack_head(label_map) + writer.finish()


def unpack_label_map(data: bytes, *, width: int, height: int, plain: bool = False) -> LabelMap:
    """Inverse of :func:`pack_label_map`; ``width`` and ``height`` come from the file's header.

    ``plain`` does without constriction even where it is installed; the map is the same.
    FormatError unless ``data`` is exactly what :func:`pack_label_map` writes for some map. Time and memory are
    O(rows x columns + len(data)) whatever it holds, and a map has at most ``label_map_header.MAX_CELLS`` cells.
    """
    head, offset = unpack_head(data)
    try:
        shape = head.shape(width=width, height=height)
    except ValueError as error:
        raise FormatError(f"the label map does not belong to this picture: {error}") from None
    words = bytes(data[offset:])
    if len(words) > shape[0] * shape[1] * _MAX_BYTES_A_CELL + 8:
        raise FormatError(
            f"{len(words)} bytes (from byte {offset} on) for {shape[0]} x {shape[1]} cells; {_COPY_AGAIN}"
        )
    reader = Reader(words, plain=plain)
    cells = np.zeros(shape, np.uint8)
    code_cells(cells, reader, classes=len(head.classes) + head.has_void)
    reader.finish()
    if head.has_void:
        cells[cells == len(head.classes)] = VOID
        if not (cells == VOID).any():
            raise FormatError(f"the label map claims cells of which nothing is known, and has none; {_COPY_AGAIN}")
    return LabelMap(cells=cells, **{field.name: getattr(head, field.name) for field in fields(LabelMapHead)})


def _check_type(cells: NDArray[Any]) -> None:
    if cells.dtype != np.uint8 or cells.ndim != 2 or not cells.size:
        raise ValueError(f"a label map of {cells.dtype} {cells.shape}, expected uint8 (H, W)")


def _check_shape(cells: NDArray[np.uint8], cell: int, expected: tuple[int, int], width: int, height: int) -> None:
    if cells.shape != expected:
        raise ValueError(f"{cells.shape} cells of {cell} pixels, a picture of {width} x {height} has {expected}")


def _patterns() -> list[tuple[int, ...]]:
    """The 15 ways in which W, N, NE, NW can be equal: the number of each one's class, in order of appearance."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(_NEIGHBOURS):
        found = [(*classes, number) for classes in found for number in range(max(classes, default=-1) + 2)]
    return found


_CHOICE = np.array(_patterns())
"""(15, 4): the choice that each neighbour's class is."""
_CHOICES = _CHOICE.max(axis=1) + 1
"""(15,): how many different classes there are."""
_WHO = np.array([[row.index(k) if k in row else 0 for k in range(_NONE + 1)] for row in _CHOICE.tolist()])
"""(15, 5): the first neighbour that has the class of a choice."""
_PAIRS = [(a, b) for b in range(_NEIGHBOURS) for a in range(b)]
_PATTERN = np.zeros(1 << len(_PAIRS), np.int64)
"""(64,): the pattern of the bits "the two of this pair are equal"."""
for _number, _row in enumerate(_CHOICE.tolist()):
    _PATTERN[sum((_row[a] == _row[b]) << bit for bit, (a, b) in enumerate(_PAIRS))] = _number
_GUESS = np.array([[30, 0, 0, 0, 2], [15, 15, 0, 0, 2], [10, 10, 10, 0, 2], [8, 8, 7, 7, 2]])[_CHOICES - 1]
"""(15, 5): weights of the choices before anything is known."""


def code_cells(cells: NDArray[np.uint8], stream: Writer | Reader, *, classes: int) -> None:
    """Give ``cells`` (rows, columns) to a writer, or fill them from a reader, wavefront by wavefront."""
    rows, columns = cells.shape
    choices = Counts(_GUESS, fine=len(_CHOICE) * classes * classes)
    numbers = Counts(np.ones((1, max(classes, 2)), np.int64), fine=classes)
    # The classes of the last three wavefronts, row r at r + 1. Where one ends, its last cell is repeated.
    past = [np.zeros(rows + 2, np.uint8)] * 3
    for front in range(columns + 2 * rows - 2):
        low, high = max(0, (front - columns + 2) // 2), min(rows - 1, front // 2)
        if low > high:  # in a map of one column every second wavefront is empty
            past = [past[0], *past[:2]]
            continue
        row = np.arange(low, high + 1)
        at = row, front - 2 * row
        same_row, row_above = slice(low + 1, high + 2), slice(low, high + 1)
        around = np.stack([past[0][same_row], past[1][row_above], past[0][row_above], past[2][row_above]])
        equal = np.zeros(row.size, np.uint8)
        for bit, (a, b) in enumerate(_PAIRS):
            equal |= (around[a] == around[b]).view(np.uint8) << bit
        pattern = _PATTERN[equal]
        west = around[0].astype(np.int64)
        between = (pattern * classes + west) * classes + around[1]
        frequencies = choices.frequencies(pattern, between)

        if isinstance(stream, Writer):
            values = cells[at]
            choice = stream.code(frequencies, _choose(values, around, pattern))
        else:
            choice = stream.code(frequencies)
            if ((choice >= _CHOICES[pattern]) & (choice != _NONE)).any():
                raise FormatError(f"a cell of the label map is like a neighbour that it does not have; {_COPY_AGAIN}")
            values = around[_WHO[pattern, choice], np.arange(row.size)]
        choices.add(pattern, between, choice)

        new = np.flatnonzero(choice == _NONE)
        if new.size:
            nothing, beside = np.zeros(new.size, np.int64), west[new]
            frequencies = numbers.frequencies(nothing, beside)
            if isinstance(stream, Writer):
                number = stream.code(frequencies, values[new])
            else:
                number = stream.code(frequencies)
                if number.max() >= classes or (around[:, new] == number).any():
                    raise FormatError(f"a class of the label map does not exist or is a neighbour's; {_COPY_AGAIN}")
                values[new] = number
            numbers.add(nothing, beside, number)
        if isinstance(stream, Reader):
            cells[at] = values

        padded = np.empty(rows + 2, np.uint8)
        padded[same_row] = values
        padded[low], padded[high + 2] = values[0], values[-1]
        past = [padded, *past[:2]]


def _choose(values: NDArray[Any], around: NDArray[Any], pattern: NDArray[Any]) -> NDArray[Any]:
    """int64 (N,): the choice that each of ``values`` (N,) is, among its neighbours ``around`` (4, N)."""
    like = around == values
    return np.where(like.any(axis=0), _CHOICE[pattern, like.argmax(axis=0)], _NONE)
