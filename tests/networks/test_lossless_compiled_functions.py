"""The compiled functions compute the integers of the numpy code, and where they cannot run the numpy code does."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.bitstream.symbol_stream import Stack, pop_latent, push_latent
from semcomp.lossless.banks import AdaptiveBank
from semcomp.lossless.features import chroma_step, luma_step
from semcomp.lossless.fits import LumaFit
from semcomp.lossless.geometry import PASSES
from semcomp.lossless.known import Known, Place
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.network import BLOCK_SHIFT, INPUT_SHIFT, Block, IntegerNetwork
from semcomp.lossless.step import in_eighths, predicted
from tests.lossless.conftest import model

pytest.importorskip("numba")

from semcomp.networks.lossless_compiled import amx, coder, jit
from semcomp.networks.lossless_compiled.cells import predictions
from semcomp.networks.lossless_compiled.level import CompiledLevel, pixels_of
from semcomp.networks.lossless_compiled.symbols import CompiledBank, CompiledStack
from semcomp.networks.lossless_compiled.tiles import BATCH, run, tile_network

__all__ = ["model"]

needs_tiles = pytest.mark.skipif(not amx.has_tiles(), reason="no tiles here")

NUMPY_ONLY = {"IntegerNetwork", "bias_for_bytes", "byte_halves"}
"""What arranges weights before a compiled function gets them."""
Planes = NDArray[np.int16]


def wide_network(features: int, hidden: int, inner: int, blocks: int, rng: np.random.Generator) -> IntegerNetwork:
    """A network of random weights of all sizes."""

    def weight(outputs: int, inputs: int) -> NDArray[np.int8]:
        return np.clip(rng.normal(0, 30, (outputs, inputs)), -127, 127).astype(np.int8)

    def bias(outputs: int) -> NDArray[np.int32]:
        return rng.integers(-9999, 9999, outputs).astype(np.int32)

    parts = [
        Block(
            direct=weight(hidden, hidden),
            inner=weight(inner, hidden),
            inner_bias=bias(inner),
            outer=weight(hidden, inner),
            bias=bias(hidden),
        )
        for _ in range(blocks)
    ]
    return IntegerNetwork(
        entry=weight(hidden, features),
        entry_bias=bias(hidden),
        blocks=tuple(parts),
        from_hidden=rng.integers(-200, 200, (2, hidden)).astype(np.int16),
        from_features=rng.integers(-200, 200, (2, features)).astype(np.int16),
        bias=bias(2),
    )


def unused(*_: Any) -> Any:
    raise AssertionError("no network is asked here")


def lattices(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> Planes:
    """Planes or errors (3, h, w)."""
    if kind == "flat":
        return np.full((3, *shape), rng.integers(-255, 256), np.int16)
    if kind == "extreme":
        return (255 * rng.integers(-1, 2, (3, *shape))).astype(np.int16)
    return (
        rng.integers(-9, 10, (3, *shape)).astype(np.int16)
        if kind == "quiet"
        else rng.integers(-255, 256, (3, *shape)).astype(np.int16)
    )


@pytest.mark.parametrize("kind", ["flat", "quiet", "noise", "extreme"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 300)])
@pytest.mark.parametrize("differences", [False, True])
def test_features_are_those_of_numpy(
    model: LosslessModel, shape: tuple[int, int], kind: str, differences: bool
) -> None:
    rng, passes = np.random.default_rng(shape[1]), {name: pixels_of(name, one) for name, one in model.windows.items()}
    place = Place(level=shape[0] // 2, differences=differences)
    known, level = Known(np), CompiledLevel(place, *shape, passes, unused)

    def add(lattice: str, planes: Planes, errors: Planes) -> None:
        known.add(lattice, planes[:, None], errors[:, None])
        level.add(lattice, planes, errors)

    add("00", lattices(rng, shape, kind), lattices(rng, shape, kind))
    for target in PASSES:
        fit, windows = LumaFit(np, known.planes, target, bits=8), model.windows[target]
        level.begin(target)
        planes, errors = lattices(rng, shape, kind), lattices(rng, shape, kind)
        before: list[tuple[Planes, Planes]] = []
        for channel in range(3):
            rows = slice(shape[0] // 2 if channel != 1 else 0, shape[0])
            if channel == 0:
                step = luma_step(known, windows, fit, place=place, rows=rows)
            else:
                span = slice(rows.start * shape[1], rows.stop * shape[1])
                values, around = (tuple(flat[span] for flat in part) for part in zip(*before, strict=True))
                step = chroma_step(known, windows, values, around, place=place, rows=rows)
            small, means = level.features(channel, before, rows)
            assert np.array_equal(small[:, : means.shape[1]].astype(int) - 128, step.features)
            assert np.array_equal(means, [step.initial, step.k])
            before.append((planes[channel].reshape(-1), errors[channel].reshape(-1)))
            known.add_values(target, planes[: channel + 1, None])
            level.add_values(planes[: channel + 1])
        add(target, planes, errors)


def test_predictions_are_those_of_numpy() -> None:
    rng, cells = np.random.default_rng(0), 3000
    hidden, direct = (rng.integers(-(1 << 16), 1 << 16, (cells + 9, 4)).astype(np.float32) for _ in range(2))
    hidden[: cells // 2] //= 64
    direct[: cells // 2] //= 64
    bias = np.array([-77777, 12345], np.int32)
    means = np.stack([rng.integers(-255, 256, cells), rng.integers(0, 9, cells)]).astype(np.int16)
    mean, table = np.empty((2, cells), np.int32)
    predictions(hidden, direct, bias, means, mean, table)
    sums = (hidden + direct)[:cells].astype(np.int64).T
    output, scale = (128 * sums[:2] + sums[2:] + bias[:, None]) >> 9
    initial, k = means.astype(np.int64)
    wanted = predicted(np, initial, in_eighths(np, output, k), scale, k, 8)
    assert np.array_equal(mean, wanted.mean)
    assert np.array_equal(table, wanted.table)
    assert len(np.unique(table)) > 100


@needs_tiles
@pytest.mark.parametrize("cells", [1, 31, 32, 3000])
@pytest.mark.parametrize(
    ("features", "hidden", "inner", "blocks"), [(97, 80, 40, 2), (128, 33, 7, 1), (131, 16, 64, 3)]
)
def test_networks_in_tiles_are_those_of_numpy(cells: int, features: int, hidden: int, inner: int, blocks: int) -> None:
    rng = np.random.default_rng(cells + features)
    network = wide_network(features, hidden, inner, blocks, rng)
    seen = rng.integers(-127, 128, (features, cells + BATCH))
    seen[:, cells // 2 :: 7] = 127 * rng.choice([-1, 1], (features, len(range(cells // 2, cells + BATCH, 7))))
    means = np.stack([rng.integers(-255, 256, cells), rng.integers(0, 9, cells)]).astype(np.int16)
    mean, table = np.empty((2, cells), np.int32)
    run(
        (seen + 128).astype(np.uint8),
        np.array([INPUT_SHIFT, BLOCK_SHIFT], np.int32),
        tile_network(network),
        means,
        mean,
        table,
    )
    output, scale = network.run_in_int64(seen[:, :cells].astype(np.int32))
    initial, k = means.astype(np.int64)
    wanted = predicted(np, initial, in_eighths(np, output, k), scale, k, 8)
    assert np.array_equal(mean, wanted.mean) and np.array_equal(table, wanted.table)
    assert cells < 100 or len(np.unique(table)) > 50


@pytest.mark.parametrize("setting", ["CPU_NAME", "CPU_FEATURES"])
def test_tiles_stay_unused_where_numba_compiles_for_another_processor(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"numba.config.{setting}", "generic")
    assert not amx.has_tiles.__wrapped__()


def test_tiles_stay_unused_where_the_system_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = SimpleNamespace(syscall=lambda *_: -1)
    monkeypatch.setattr(amx, "get_host_cpu_features", lambda: {"amx-int8": True})
    monkeypatch.setattr("ctypes.CDLL", lambda name: refusing)
    assert not amx.has_tiles.__wrapped__()


def steps(model: LosslessModel, *, wide: bool) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Symbols and the numbers of their tables, of several steps."""
    rng = np.random.default_rng(1)
    sizes = [1, 30, 2100, 6000]
    spread = 300 if wide else 4
    return [
        (np.rint(rng.laplace(0, spread, size)).astype(np.int32), rng.integers(0, 500, size).astype(np.int32))
        for size in sizes
    ]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_words_and_tables_are_those_of_the_other_coders(model: LosslessModel, wide: bool, plain: bool) -> None:
    stacks, banks = (Stack(plain=plain), CompiledStack()), (AdaptiveBank(model.banks[0]), CompiledBank(model.banks[0]))
    coded = []
    for symbols, tables in steps(model, wide=wide):
        used = [bank.tables for bank in banks]
        assert np.array_equal(used[0].flat, used[1].flat)
        coded.append((symbols, tables, used[0]))
        for bank in banks:
            bank.count(tables, symbols)
    assert not np.array_equal(coded[-1][2].flat, model.banks[0].flat)
    for symbols, tables, frequencies in reversed(coded):
        for stack in stacks:
            push_latent(stack, symbols.astype(np.int16), tables.astype(np.int16), frequencies)
    words = stacks[0].words()
    assert np.array_equal(words, stacks[1].words())
    assert stacks[0].below == stacks[1].below
    reader = CompiledStack(words)
    for symbols, tables, frequencies in coded:
        assert np.array_equal(pop_latent(reader, tables, frequencies), symbols)
    assert reader.coder.is_empty()


@pytest.mark.parametrize("words", [[], [5], [0, 7], [1, 2, 3, 4]])
def test_an_empty_stack_gives_what_the_plain_coder_gives(model: LosslessModel, words: list[int]) -> None:
    tables, index = model.banks[0], np.arange(0, 500, 7)
    found = [
        pop_latent(kind(np.array(words, np.uint32)), index, tables)
        for kind in (CompiledStack, lambda given: Stack(given, plain=True))
    ]
    assert np.array_equal(found[0], found[1])


def test_an_index_without_a_table_is_refused(model: LosslessModel) -> None:
    with pytest.raises(ValueError, match="index names table 512"):
        pop_latent(CompiledStack(np.array([1, 2, 3], np.uint32)), np.array([512]), model.banks[0])


def test_a_wrong_count_would_be_noticed(model: LosslessModel, monkeypatch: pytest.MonkeyPatch) -> None:
    banks = (AdaptiveBank(model.banks[0]), CompiledBank(model.banks[0]))
    symbols, tables = steps(model, wide=False)[-1]
    right = coder.count
    monkeypatch.setattr(
        "semcomp.networks.lossless_compiled.symbols.count",
        lambda numbers, values, *rest: right(numbers, values + 1, *rest),
    )
    for bank in banks:
        bank.count(tables, symbols)
    assert not np.array_equal(banks[0].tables.flat, banks[1].tables.flat)


def test_no_compiled_function_calls_a_function_of_another_file() -> None:
    folder = Path(jit.__file__).parent
    instructions = {f"semcomp.networks.lossless_compiled.{name}" for name in ("amx", "jit")}
    for path in folder.glob("*.py"):
        if "@compiled" not in path.read_text(encoding="utf-8"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("semcomp"):
                names = {alias.name for alias in node.names}
                assert node.module in instructions or (path.name == "tiles.py" and names <= NUMPY_ONLY), node.module
    assert importlib.import_module("semcomp.networks.lossless_compiled.features").features
