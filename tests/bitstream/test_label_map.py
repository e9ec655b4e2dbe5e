"""Label maps: cells come back exactly, the bytes are those of FORMAT_PAYLOADS.md, and damage is refused."""

import io
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream import adaptive_ans
from semcomp.bitstream.adaptive_ans import Counts, Reader, Writer
from semcomp.bitstream.class_tables import CLASS_TABLES
from semcomp.bitstream.frequency_tables import TOTAL
from semcomp.bitstream.label_map import LabelMap, expand, pack_label_map, reduce_map, unpack_label_map
from semcomp.bitstream.label_map_header import MAX_CELLS, MAX_CELLS_A_SIDE, VOID, LabelMapHead, pack_head, read_head
from semcomp.errors import FormatError
from semcomp.semantics.head import load_head

BOTH = [
    pytest.param(
        False, id="constriction", marks=pytest.mark.skipif(not adaptive_ans.HAS_CONSTRICTION, reason="no wheel")
    ),
    pytest.param(True, id="plain"),
]


def label_map(cells: NDArray[np.uint8], *, classes: int | None = None, cell: int = 1) -> LabelMap:
    count = classes or int(cells.max()) + 1
    names = tuple(f"class {number}" for number in range(count))
    palette = tuple((number, 255 - number, number * 7 % 256) for number in range(count))
    return LabelMap(cells=cells, cell=cell, classes=names, palette=palette, source="head")


def pack(cells: NDArray[np.uint8], **options: Any) -> bytes:
    return pack_label_map(label_map(cells, **options), width=cells.shape[1], height=cells.shape[0])


def unpack(data: bytes, shape: tuple[int, ...], *, plain: bool = False) -> LabelMap:
    return unpack_label_map(data, width=shape[1], height=shape[0], plain=plain)


def words_of(data: bytes) -> bytes:
    return data[len(pack_head(read_head(data))) :]


def street(rows: int = 90, columns: int = 120, seed: int = 0) -> NDArray[np.uint8]:
    """A made-up view along a street in 9 of 11 classes, its edges as rough as drawn by hand."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns] / rows
    end = columns / rows
    middle, horizon = rng.uniform(0.4, 0.6) * end, rng.uniform(0.4, 0.5)

    def rough(count: int) -> NDArray[np.float64]:
        steps: NDArray[np.int64] = rng.integers(-1, 2, count)
        return steps.cumsum() / rows

    cells = np.zeros((rows, columns), np.uint8)  # sky
    cells[y > 0.15 - 0.2 * np.abs(x - middle) + rough(columns)] = 1  # buildings
    cells[y > horizon + 0.3 * rough(columns)] = 4  # pavement
    cells[(y > horizon) & (np.abs(x - middle - rough(rows)[:, None]) < 0.05 + 1.1 * (y - horizon))] = 3  # road
    for number in range(4):  # trees
        right, down = x - rng.uniform(0, end), y - rng.uniform(0.2, 0.35)
        edge = 1 + 0.15 * np.sin(7 * np.arctan2(down, right) + number) + rng.normal(0, 0.05, x.shape)
        cells[np.hypot(right, down) < rng.uniform(0.05, 0.15) * edge] = 5
    for number in range(12):  # poles, cars, people, signs
        left, top = rng.uniform(0, end), rng.uniform(horizon - 0.1, horizon + 0.15)
        kind, above, width, height = [(2, 0.35, 0.012, 0.35), (8, 0, 0.1, 0.08), (9, 0, 0.03, 0.1), (6, 0, 0.03, 0.05)][
            number % 4
        ]
        cells[(np.abs(x - left) < width) & (y > top - above) & (y < top + height)] = kind
    return cells


# there and back


@given(
    stnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 5)),
    st.integers(0, 249),
)
def test_any_map_survives(cells: NDArray[np.uint8], extra: int) -> None:
    data = pack(cells, classes=int(cells.max()) + 1 + extra)
    for plain in (False, True):
        found = unpack(data, cells.shape, plain=plain)
        assert found.cells.dtype == np.uint8 and np.array_equal(found.cells, cells)


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 50), (50, 1), (2, 50), (50, 2), (3, 3), (37, 23)])
@pytest.mark.parametrize("classes", [1, 2, 5, 255])
def test_noise_of_every_shape(shape: tuple[int, int], classes: int, plain: bool) -> None:
    cells = np.random.default_rng(0).integers(0, classes, shape).astype(np.uint8)
    data = pack(cells, classes=classes)
    assert np.array_equal(unpack(data, shape, plain=plain).cells, cells)


def test_everything_besides_the_cells_comes_back() -> None:
    written = LabelMap(
        cells=np.array([[2, 0]], np.uint8),
        cell=64,
        classes=("sky", "", "Straße", "sky"),
        palette=((0, 0, 0), (255, 255, 255), (1, 2, 3), (0, 0, 0)),
        source="ein Kopf",
    )
    data = pack_label_map(written, width=65, height=1)
    found = unpack_label_map(data, width=65, height=1)
    names = ("cell", "classes", "palette", "source")
    assert all(getattr(found, name) == getattr(written, name) for name in names)
    head = read_head(data)
    assert all(getattr(head, name) == getattr(written, name) for name in names)


# void: cells of which nothing is known


def with_void(shape: tuple[int, ...], classes: int, share: float = 0.3) -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    cells = rng.integers(0, classes, shape).astype(np.uint8)
    cells[rng.random(shape) < share] = VOID
    cells[0, 0] = VOID
    return cells


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 9), (17, 23)])
@pytest.mark.parametrize("classes", [1, 2, 11, 254, 255])
def test_void_cells_survive(shape: tuple[int, int], classes: int, plain: bool) -> None:
    cells = with_void(shape, classes)
    data = pack(cells, classes=classes)
    found = unpack(data, shape, plain=plain)
    assert np.array_equal(found.cells, cells) and len(found.classes) == classes
    assert data[0] == 2 and found.has_void and read_head(data).has_void


def test_a_map_without_void_keeps_its_bytes() -> None:
    data = pack(street(15, 20), classes=11)
    assert data[0] == 1 and not read_head(data).has_void


@pytest.mark.parametrize("shape", [(9, 2), (12, 20)])
def test_the_specification_reads_void_as_one_class_more(shape: tuple[int, int]) -> None:
    cells = with_void(shape, 4)
    words = words_of(pack(cells, classes=4))
    found = np.array(read_by_the_book(words, rows=shape[0], columns=shape[1], classes=5))
    assert np.array_equal(np.where(found == 4, VOID, found), cells)


def test_void_votes_and_loses_a_tie() -> None:
    pixels = np.array([[VOID, VOID, VOID, 3], [VOID, 1, 3, VOID]], np.uint8)
    assert np.array_equal(reduce_map(pixels, 2), [[VOID, 3]])
    assert np.array_equal(expand(reduce_map(pixels, 2), 2, 4, 2)[0], [VOID, VOID, 3, 3])


def test_a_body_that_claims_void_and_has_none_is_refused() -> None:
    data = bytearray(pack(np.zeros((2, 3), np.uint8), classes=2))
    wide = pack(np.array([[0, 0, 0], [0, 0, 2]], np.uint8), classes=3)
    data[0] = 2
    for body in (bytes(data), b"\2" + wide[1:]):
        with pytest.raises(FormatError):
            unpack(body, (2, 3))


def test_golden_bytes_with_void() -> None:
    cells = np.array([[0, 0, VOID, VOID], [0, 1, 1, VOID], [VOID, VOID, 1, VOID]], np.uint8)
    names, palette = ("a", "b"), ((0, 0, 0), (1, 1, 1))
    written = LabelMap(cells=cells, cell=8, classes=names, palette=palette, source="s")
    data = pack_label_map(written, width=31, height=24)
    assert data == bytes.fromhex("02 08 01 73 02 01 61 00 00 00 01 62 01 01 01 9c 91 6b f4 6c 7d 01")


@pytest.mark.parametrize(("number", "name"), [(1, "street"), (2, "objects")])
def test_well_known_classes_are_named_by_number(number: int, name: str) -> None:
    head = load_head(name)
    assert CLASS_TABLES[number] == (head.classes, head.palette)
    cells = np.full((2, 3), len(head.classes) - 1, np.uint8)
    written = LabelMap(cells=cells, cell=1, classes=head.classes, palette=head.palette)
    renamed = LabelMap(cells=cells, cell=1, classes=("other", *head.classes[1:]), palette=head.palette)
    data, full = (pack_label_map(each, width=3, height=2) for each in (written, renamed))
    assert len(full) - len(data) == sum(len(each) + 4 for each in renamed.classes) - 1
    for each, body in ((written, data), (renamed, full)):
        found = unpack_label_map(body, width=3, height=2)
        assert (found.classes, found.palette) == (each.classes, each.palette)
        assert np.array_equal(found.cells, cells)


def test_bytes_do_not_depend_on_the_memory_layout() -> None:
    cells = street(30, 40)
    data = pack(cells, classes=11)
    assert pack(np.asfortranarray(cells), classes=11) == data
    assert unpack(data, cells.shape).cells.flags.c_contiguous


# the bytes


def read_by_the_book(words: bytes, *, rows: int, columns: int, classes: int) -> list[list[int]]:
    """FORMAT_PAYLOADS.md in plain Python, a cell at a time; shares no code with the codec."""
    stack = [int.from_bytes(words[at : at + 4], "little") for at in range(0, len(words), 4)]
    x = stack.pop() if stack else 0
    if stack:
        x = x << 32 | stack.pop()

    def symbol(frequencies: list[int]) -> int:
        nonlocal x
        assert sum(frequencies) == 2**24 and min(frequencies) >= 1
        q, k = x % 2**24, 0
        while q >= frequencies[k]:
            q -= frequencies[k]
            k += 1
        x = (x >> 24) * frequencies[k] + q
        if x < 2**32 and stack:
            x = x << 32 | stack.pop()
        return k

    def frequencies(guess: list[int], a: list[int], b: list[int]) -> list[int]:
        s, size = 2**24 - len(guess), len(guess)
        p = [s * g // sum(guess) for g in guess]
        q = [(s * a[k] + 16 * size * p[k]) // (sum(a) + 16 * size) for k in range(size)]
        f = [(s * b[k] + 96 * q[k]) // (sum(b) + 96) + 1 for k in range(size)]
        return [f[0] + 2**24 - sum(f), *f[1:]]

    def count(coarse: Default, fine: Default, seen: list[tuple[Any, Any, int]]) -> None:
        for coarse_key, fine_key, k in seen:
            coarse[coarse_key][k] += 16
            fine[fine_key][k] += 16
        for key in {key for _, key, _ in seen}:
            if sum(fine[key]) > 3200:
                fine[key] = [n // 2 for n in fine[key]]

    fronts: dict[int, dict[int, int]] = {}  # front: {row: class}

    def neighbour(r: int, c: int) -> int:
        front = c + 2 * r
        while front >= 0 and not fronts[front]:
            front -= 1
        if front < 0:
            return 0
        return fronts[front][min(fronts[front], key=lambda row: abs(row - r))]

    guesses = {1: [30, 0, 0, 0, 2], 2: [15, 15, 0, 0, 2], 3: [10, 10, 10, 0, 2], 4: [8, 8, 7, 7, 2]}
    size = max(classes, 2)
    zeros = {"choice": lambda: [0] * 5, "number": lambda: [0] * size}
    coarse = {name: Default(make) for name, make in zeros.items()}
    fine = {name: Default(make) for name, make in zeros.items()}
    for front in range(columns + 2 * rows - 2):
        at = [(r, front - 2 * r) for r in range(rows) if 0 <= front - 2 * r < columns]
        around = [
            [neighbour(r, c - 1), neighbour(r - 1, c), neighbour(r - 1, c + 1), neighbour(r - 1, c - 1)] for r, c in at
        ]
        seen: list[tuple[Any, Any, int]] = []
        now: dict[int, int] = {}
        for (r, _), (w, n, *others) in zip(at, around, strict=True):
            different = list(dict.fromkeys((w, n, *others)))
            pattern = tuple(different.index(value) for value in (w, n, *others))
            k = symbol(frequencies(guesses[len(different)], coarse["choice"][pattern], fine["choice"][pattern, w, n]))
            assert k < len(different) or k == 4
            seen.append((pattern, (pattern, w, n), k))
            if k < 4:
                now[r] = different[k]
        count(coarse["choice"], fine["choice"], seen)
        seen = []
        for (r, _), (w, *others) in zip(at, around, strict=True):
            if r not in now:
                now[r] = symbol(frequencies([1] * size, coarse["number"][0], fine["number"][w]))
                assert now[r] < classes and now[r] not in (w, *others)
                seen.append((0, w, now[r]))
        count(coarse["number"], fine["number"], seen)
        fronts[front] = now
    assert x == 0 and not stack
    return [[fronts[c + 2 * r][r] for c in range(columns)] for r in range(rows)]


class Default(dict[Any, list[int]]):
    def __init__(self, make: Callable[[], list[int]]) -> None:
        self.make = make

    def __missing__(self, key: object) -> list[int]:
        return self.setdefault(key, self.make())


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (9, 2), (2, 9), (40, 60), (60, 25)])
def test_a_decoder_made_from_the_specification_reads_the_same(shape: tuple[int, int]) -> None:
    for cells in (street(*shape), np.random.default_rng(0).integers(0, 7, shape).astype(np.uint8)):
        words = words_of(pack(cells, classes=11))
        found = read_by_the_book(words, rows=shape[0], columns=shape[1], classes=11)
        assert np.array_equal(found, cells)


def test_golden_bytes() -> None:
    cells = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [3, 3, 2, 1]], np.uint8)
    written = LabelMap(
        cells=cells,
        cell=8,
        classes=("a", "b", "c", "d"),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2), (9, 8, 7)),
        source="s",
    )
    data = pack_label_map(written, width=31, height=24)
    assert data == bytes.fromhex("01 08 0173 04 0161 000000 0162 010101 0163 020202 0164 090807 daa2a78b 7ad605")
    curves = (np.arange(60)[:, None] ** 2 // 50 + np.arange(80)) // 9 % 5
    assert zlib.crc32(pack(curves.astype(np.uint8))) == 392846722


@pytest.mark.skipif(not adaptive_ans.HAS_CONSTRICTION, reason="no wheel")
@pytest.mark.parametrize("alphabet", [2, 5, 12, 255])
@pytest.mark.parametrize("evenness", [0.01, 0.3, 10])
def test_constriction_writes_the_same_words(alphabet: int, evenness: float) -> None:
    """Its models keep integer frequencies unchanged, whatever they are."""
    import constriction

    rng = np.random.default_rng(alphabet)
    shares = rng.gamma(evenness, size=(300, alphabet)) + 1e-300
    shares /= shares.sum(axis=1, keepdims=True)
    frequencies = 1 + np.floor(shares * (TOTAL - alphabet)).astype(np.int64)
    frequencies[np.arange(300), frequencies.argmax(axis=1)] += TOTAL - frequencies.sum(axis=1)
    symbols = rng.integers(0, alphabet, 300)
    writer = Writer()
    writer.code(frequencies[:100], symbols[:100])
    writer.code(frequencies[100:], symbols[100:])
    data = writer.finish()
    coder = constriction.stream.stack.AnsCoder()
    family = constriction.stream.model.Categorical(perfect=False)
    coder.encode_reverse(symbols.astype(np.int32), family, (frequencies - 1).astype(np.float64))
    assert coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0") == data
    for plain in (False, True):
        reader = Reader(data, plain=plain)
        found = [reader.code(frequencies[:7]), reader.code(frequencies[7:])]
        reader.finish()
        assert np.concatenate(found).tolist() == symbols.tolist()


@given(st.integers(0, 2**32), st.sampled_from([2, 5, 255]), st.integers(1, 40))
def test_frequencies_are_whole_whatever_was_counted(seed: int, alphabet: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    guess = rng.integers(0, 5, (3, alphabet))
    guess[:, 0] += 1
    counts = Counts(guess, fine=4)
    for _ in range(rounds):
        coarse, fine = rng.integers(0, 3, 60), rng.integers(0, 4, 60)
        frequencies = counts.frequencies(coarse, fine)
        assert frequencies.min() >= 1 and (frequencies.sum(axis=1) == TOTAL).all()
        counts.add(coarse, fine, rng.integers(0, alphabet, 60) // rng.integers(1, alphabet + 1))


def test_frequencies_follow_the_counts() -> None:
    counts = Counts(np.array([[1, 1]]), fine=1)
    zero = np.zeros(1, np.int64)
    assert abs(counts.frequencies(zero, zero)[0, 0] / TOTAL - 0.5) < 1e-6
    counts.add(zero, zero, zero)
    # coarse: (1 + 2 * 1/2) / (1 + 2) = 2/3; fine: (1 + 6 * 2/3) / (1 + 6)
    assert abs(counts.frequencies(zero, zero)[0, 0] / TOTAL - Fraction(5, 7)) < 1e-6


def test_runs_without_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = street(20, 30)
    data = pack(cells, classes=11)
    monkeypatch.setattr(adaptive_ans, "constriction", None)
    monkeypatch.setattr(adaptive_ans, "HAS_CONSTRICTION", False)
    assert pack(cells, classes=11) == data
    assert np.array_equal(unpack(data, cells.shape).cells, cells)


def test_imports_without_constriction() -> None:
    code = (
        "import sys; sys.modules['constriction'] = None; import semcomp.bitstream.label_map; "
        "import semcomp.bitstream.adaptive_ans; "
        "sys.exit(semcomp.bitstream.adaptive_ans.HAS_CONSTRICTION)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_head_is_read_without_numpy() -> None:
    head = pack_head(LabelMapHead(cell=4, classes=("sky",), palette=((1, 2, 3),)))
    code = (
        "import sys; from semcomp.bitstream.label_map_header import read_head; "
        f"assert read_head({head!r}).classes == ('sky',); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# size and speed


@pytest.mark.parametrize(("shape", "number"), [((90, 120), 0), ((90, 120), 5), ((300, 400), 11)])
def test_a_constant_map_costs_a_few_bytes(shape: tuple[int, int], number: int) -> None:
    assert len(words_of(pack(np.full(shape, number, np.uint8), classes=12))) <= 8


def test_rate_of_a_street() -> None:
    """At most 0.03 bits a pixel of the photo at cells of 4 x 4, head included, and 30 % less than a palette PNG."""
    for seed in range(3):
        cells = street(seed=seed)
        size = len(pack_label_map(label_map(cells, classes=11, cell=4), width=480, height=360))
        image = Image.fromarray(cells)
        image.putpalette(np.random.default_rng(0).integers(0, 256, 33).astype(np.uint8).tobytes())
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        assert 8 * size / (480 * 360) <= 0.03
        assert size <= 0.7 * len(buffer.getvalue())


@pytest.mark.parametrize("classes", [2, 4, 16])
def test_noise_costs_little_more_than_its_entropy(classes: int) -> None:
    cells = np.random.default_rng(1).integers(0, classes, (100, 100)).astype(np.uint8)
    assert 8 * len(words_of(pack(cells))) < 1.25 * cells.size * np.log2(classes)


# cells and pixels


@given(
    stnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)),
    st.integers(1, 7),
)
def test_cells_are_the_majority(pixels: NDArray[np.uint8], cell: int) -> None:
    height, width = pixels.shape
    cells = reduce_map(pixels, cell)
    assert cells.dtype == np.uint8 and cells.shape == (-(-height // cell), -(-width // cell))
    for (row, column), value in np.ndenumerate(cells):
        votes = np.bincount(pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell].ravel())
        assert value == votes.argmax()
    back = expand(cells, cell, width, height)
    assert back.shape == pixels.shape and np.array_equal(reduce_map(back, cell), cells)


def test_cells_of_one_pixel_are_the_pixels() -> None:
    pixels = street(31, 17)
    assert np.array_equal(reduce_map(pixels, 1), pixels)
    assert np.array_equal(expand(pixels, 1, 17, 31), pixels)


def test_reducing_takes_little_memory() -> None:
    pixels = np.zeros((2000, 2000), np.uint8)
    pixels[:, 1000:] = 254
    tracemalloc.start()
    reduce_map(pixels, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


# what a writer is not given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": 0}, "0 pixels"),
        ({"cell": 65}, "65 pixels"),
        ({"classes": ()}, "0 classes"),
        ({"classes": ("x",) * 256}, "256 classes"),
        ({"palette": ((0, 0, 0),)}, "1 colours for 2 classes"),
        ({"palette": ((0, 0, 0), (0, 256, 0))}, "three numbers"),
        ({"palette": ((0, 0, 0), (0, 0))}, "three numbers"),
        ({"cells": np.array([[2]], np.uint8)}, "class 2, there are 2"),
        ({"cells": np.array([[0]])}, "int64"),
        ({"cells": np.array([0], np.uint8)}, "expected uint8"),
        ({"cells": np.zeros((0, 3), np.uint8)}, "expected uint8"),
    ],
)
def test_misuse_is_a_value_error(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "cells": np.zeros((1, 1), np.uint8),
        "cell": 1,
        "classes": ("a", "b"),
        "palette": ((0, 0, 0), (1, 1, 1)),
    }
    with pytest.raises(ValueError, match=message):
        LabelMap(**(fields | changes))


def test_a_map_of_another_picture_is_a_value_error() -> None:
    small = label_map(np.zeros((2, 3), np.uint8), cell=4)
    for width, height in ((13, 8), (8, 8), (12, 9), (12, 4), (3, 2)):
        with pytest.raises(ValueError, match="a picture of"):
            pack_label_map(small, width=width, height=height)
        with pytest.raises(ValueError, match="a picture of"):
            expand(small.cells, 4, width, height)
    with pytest.raises(ValueError, match="choose a larger cell"):
        pack_label_map(small, width=MAX_CELLS_A_SIDE * 4 + 1, height=8)
    with pytest.raises(ValueError, match="choose a larger cell"):
        pack_label_map(small, width=1 << 14, height=(MAX_CELLS >> 12) * 4 + 1)
    with pytest.raises(ValueError, match="control character"):
        named = LabelMap(cells=small.cells, cell=4, classes=("\n",), palette=((0, 0, 0),))
        pack_label_map(named, width=12, height=8)


# damage


def attempt(data: bytes, shape: tuple[int, ...], *, plain: bool) -> LabelMap | None:
    try:
        return unpack(data, shape, plain=plain)
    except FormatError:
        return None


def check_outcome(data: bytes, shape: tuple[int, ...]) -> bool:
    """Both readers refuse it, or both read the map that is written so."""
    found = [attempt(data, shape, plain=plain) for plain in (False, True)]
    assert (found[0] is None) == (found[1] is None)
    if found[0] is not None and found[1] is not None:
        assert np.array_equal(found[0].cells, found[1].cells)
        assert pack_label_map(found[0], width=shape[1], height=shape[0]) == data
    return found[0] is not None


def test_a_truncation_is_refused_or_is_another_map() -> None:
    cells = street(15, 20)
    data = pack(cells, classes=11)
    head = len(data) - len(words_of(data))
    for length in range(head):
        with pytest.raises(FormatError):
            unpack(data[:length], cells.shape)
    for length in range(head, len(data)):
        check_outcome(data[:length], cells.shape)
    for tail in (b"\0", bytes(4), b"\1\0\0\0\0"):
        with pytest.raises(FormatError, match="zero byte"):
            unpack(data + tail, cells.shape)
    check_outcome(data + b"\1", cells.shape)


def test_a_mutation_is_refused_or_is_another_map() -> None:
    rng = random.Random(3)
    cells = street(8, 12)
    original = pack(cells, classes=11)
    read = 0
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(data)) if rng.random() < 0.5 else -rng.randrange(1, 1 + len(words_of(original)))
            at %= len(data)
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        read += check_outcome(bytes(data), cells.shape)
    assert read > 0


def test_random_words_are_refused_or_are_a_map() -> None:
    rng = random.Random(4)
    head = pack_head(label_map(np.zeros((1, 1), np.uint8), classes=7))
    for length in [*range(12), 60, 200]:
        for _ in range(5):
            check_outcome(head + rng.randbytes(length), (6, 9))


HEAD = "01 01 00 01 0161 000000"  # cells of one pixel, no source, one class "a", black


@pytest.mark.parametrize("plain", BOTH)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "empty"),
        ("03", "version 3 .* reads 1 and 2; upgrade semcomp"),
        ("01", "number at byte 1 is cut off"),
        ("01 00 00 01 0161 000000", "cells of 0 pixels"),
        ("01 41 00 01 0161 000000", "cells of 65 pixels"),
        ("01 01 00 00", "number at byte 4 is cut off"),
        ("01 01 00 00 00", "classes of table 0, unknown here"),
        ("01 01 00 00 03", "classes of table 3, unknown here"),
        ("01 01 00 8002", "256 classes"),
        ("01 01 00 ffffffff0f", "4294967295 classes"),
        ("01 01 01ff 01 0161 000000", "not UTF-8"),
        ("01 01 00 01 c901", "claims 201 bytes"),
        ("01 01 00 01 011b 000000", "control character"),
        ("01 01 00 01 0161 0000", "cut off at byte 8, in the colour of class 0"),
        ("01 01 00 02 0161 000000", "number at byte 9 is cut off"),
        (HEAD + "00", "zero byte"),
        (HEAD + "ff", "left over"),
        (HEAD + "01" * 100, "100 bytes .* for 2 x 3 cells"),
        # q = 2**24 - 1 is choice 4, and the only class there is, is that of every neighbour
        (HEAD + "ffffff", "does not exist or is a neighbour's"),
        # the one unit of choice 1, where only one class is around
        (HEAD + "FREQUENCY_OF_W", "neighbour that it does not have"),
    ],
)
def test_unsound_bodies_are_refused(body: str, message: str, plain: bool) -> None:
    none = (TOTAL - 5) * 2 // 32 + 1
    body = body.replace("FREQUENCY_OF_W", (TOTAL - 3 - none).to_bytes(3, "little").hex())
    with pytest.raises(FormatError, match=message):
        unpack(bytes.fromhex(body), (2, 3), plain=plain)


def test_a_giant_picture_is_refused_before_anything_is_allocated() -> None:
    data = bytes.fromhex(HEAD)
    tracemalloc.start()
    for width, height in ((1 << 20, 1), (1, 1 << 20), (1 << 14, 1 << 14), (1 << 20, 1 << 20)):
        with pytest.raises(FormatError, match="choose a larger cell"):
            unpack_label_map(data, width=width, height=height)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 16
