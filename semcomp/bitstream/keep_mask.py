"""Which positions of y are kept: from what a user asks for to the body of a REGIONS chunk, and back.

A mask lives on the grid of y, one bool for 16x16 pixels. It is stored as a few rectangles or, where that takes fewer
bytes, as a bitmap in the words of a label map of two classes (label_map.py). FORMAT_PAYLOADS.md specifies the bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.adaptive_ans import Reader, Writer
from semcomp.bitstream.label_map import code_cells
from semcomp.bitstream.regions import MAX_BOXES, MAX_SIDE, Box, pack_bitmap, pack_boxes, read_regions
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Y, grid


def rectangles(keep: NDArray[np.bool_]) -> list[Box]:
    """Boxes that do not overlap and cover exactly the true positions: runs of a row, joined with equal ones below."""
    open_runs: dict[tuple[int, int], int] = {}
    boxes: list[Box] = []
    for row in range(len(keep) + 1):
        line = keep[row] if row < len(keep) else np.zeros(keep.shape[1], bool)
        edges = np.flatnonzero(np.diff(line.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        runs = {(int(start), int(stop)) for start, stop in edges}
        for run in [run for run in open_runs if run not in runs]:
            top = open_runs.pop(run)
            boxes.append(Box(run[0], top, run[1] - run[0], row - top))
        for run in runs:
            open_runs.setdefault(run, row)
    return sorted(boxes, key=lambda box: (box.y, box.x))


def pack_keep(keep: NDArray[np.bool_]) -> bytes:
    """The body of a REGIONS chunk for bool (rows, columns), in the form that takes fewer bytes.

    ``ValueError`` for another type, for nothing or everything kept, and for a bitmap beyond the format's limit.
    """
    kept = int(keep.sum())
    if keep.dtype != bool or keep.ndim != 2 or not 0 < kept < keep.size:
        raise ValueError(f"a mask of {keep.dtype} {keep.shape} that keeps {kept} positions")
    boxes = rectangles(keep)
    forms = [pack_boxes(boxes)] if len(boxes) <= MAX_BOXES else []
    if max(keep.shape) <= MAX_SIDE:
        writer = Writer()
        code_cells(keep.astype(np.uint8), writer, classes=2)
        forms.append(pack_bitmap(kept, writer.finish()))
    if not forms:
        raise ValueError(f"{len(boxes)} rectangles on a grid of {keep.shape}, at most {MAX_BOXES} fit; keep fewer")
    return min(forms, key=len)


def unpack_keep(data: bytes, *, width: int, height: int, plain: bool = False) -> NDArray[np.bool_]:
    """Inverse of :func:`pack_keep` for a file of that size. FormatError for anything else.

    Time and memory are as for a label map with one cell for each position.
    """
    regions, offset = read_regions(data, width=width, height=height)
    keep = np.zeros(grid(height, width, STRIDE_Y), bool)
    if regions.boxes:
        for box in regions.boxes:
            keep[box.y : box.y + box.height, box.x : box.x + box.width] = True
        return keep
    words = bytes(data[offset:])
    if len(words) > 6 * keep.size + 8:
        raise FormatError(f"{len(words)} bytes for a bitmap of {keep.size} positions; copy the file again")
    cells = np.zeros(keep.shape, np.uint8)
    reader = Reader(words, plain=plain)
    code_cells(cells, reader, classes=2)
    reader.finish()
    if int(cells.sum()) != regions.kept:
        raise FormatError(f"the bitmap keeps {cells.sum()} positions, not {regions.kept}; copy the file again")
    return cells.astype(bool)
