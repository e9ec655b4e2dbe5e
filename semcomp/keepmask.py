"""Which positions of y are kept: from what a user asks for to the body of a REGIONS chunk, and back.

A mask lives on the grid of y, one bool for 16x16 pixels. It is stored as a few rectangles or, where that takes fewer
bytes, as a bitmap in the words of a label map of two classes (labelmap.py). FORMAT_PAYLOADS.md specifies the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semcomp.adaptive import Reader, Writer
from semcomp.errors import FormatError, ImageError
from semcomp.labelmap import code_cells
from semcomp.provenance import (
    MAX_BOXES,
    MAX_SIDE,
    POSITION,
    Box,
    grid_of,
    pack_bitmap,
    pack_boxes,
    read_regions,
)

_ALIASES = (
    {"person", "people", "pedestrian", "human"},
    {"bicyclist", "cyclist", "bike", "bicycle", "rider"},
    {"signsymbol", "sign", "traffic sign", "road sign", "symbol"},
    {"car", "automobile", "vehicle"},
    {"pole", "column", "columnpole"},
    {"pavement", "sidewalk", "footpath"},
    {"tree", "vegetation", "plant"},
    {"motorbike", "motorcycle"},
    {"aeroplane", "airplane", "plane"},
    {"sofa", "couch"},
    {"tvmonitor", "tv", "television", "monitor", "screen"},
    {"diningtable", "table"},
    {"pottedplant", "potted plant", "plant"},
    {"cow", "cattle"},
)
"""Plain words for one thing."""


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Numbers of the classes that plain words mean: "people" is the class pedestrian where no class is called so.

    ImageError for a word that none of the classes answers to.
    """
    return [class_number(name, classes) for name in names]


def class_number(name: str, classes: Sequence[str]) -> int:
    """The number of one class; the same rules."""
    known = [each.strip().lower() for each in classes]
    word = name.strip().lower()
    singular = word.removesuffix("s")
    for wanted in (word, singular):
        if wanted in known:
            return known.index(wanted)
    for group in _ALIASES:
        if word in group or singular in group:
            for number, each in enumerate(known):
                if each in group:
                    return number
    raise ImageError(f"no class is called {name!r}; there are {', '.join(each for each in classes if each)}")


def box_mask(boxes: Sequence[tuple[int, int, int, int]], *, width: int, height: int) -> np.ndarray:
    """bool (height, width): inside any of the boxes x, y, w, h in pixels. ImageError for one outside the picture."""
    mask = np.zeros((height, width), bool)
    for x, y, w, h in boxes:
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ImageError(f"the box {x},{y},{w},{h} lies outside the picture of {width}x{height}")
        mask[max(0, y) : y + h, max(0, x) : x + w] = True
    return mask


def positions(mask: np.ndarray, *, dilate: int) -> np.ndarray:
    """bool (rows, columns): positions that hold a pixel of `mask` (H, W), or one at most `dilate` pixels from it.

    ImageError where that is none, or all of them.
    """
    if not mask.any():
        raise ImageError("nothing is to be kept: the mask is empty; keep something else, or choose --mode generative")
    grown = _grow(_grow(mask, dilate).T, dilate).T
    rows, columns = grid_of(mask.shape[1], mask.shape[0])
    padded = np.zeros((POSITION * rows, POSITION * columns), bool)
    padded[: mask.shape[0], : mask.shape[1]] = grown
    keep = padded.reshape(rows, POSITION, columns, POSITION).any(axis=(1, 3))
    if keep.all():
        raise ImageError("everything is to be kept: the mask is full; encode the picture without --keep")
    return keep


def _grow(mask: np.ndarray, by: int) -> np.ndarray:
    """Along the rows: true where a pixel at most `by` columns away is."""
    if not by:
        return mask
    total = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=1, out=total[:, 1:])
    column = np.arange(mask.shape[1])
    last, first = np.minimum(column + by + 1, mask.shape[1]), np.maximum(column - by, 0)
    grown: np.ndarray = total[:, last] > total[:, first]
    return grown


def rectangles(keep: np.ndarray) -> list[Box]:
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


def pack_keep(keep: np.ndarray) -> bytes:
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


def unpack_keep(data: bytes, *, width: int, height: int, plain: bool = False) -> np.ndarray:
    """Inverse of :func:`pack_keep` for a file of that size. FormatError for anything else.

    Time and memory are those of a label map of one cell a position.
    """
    regions, offset = read_regions(data, width=width, height=height)
    keep = np.zeros(grid_of(width, height), bool)
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
