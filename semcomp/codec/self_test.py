"""The self-test of `semcomp doctor`: does this machine decode what every other machine decodes? It takes a second.

The sigma path runs in float32, and in bytes where that is exact, with every arrangement of threads, backend and memory
layout that torch offers on this machine. So does the refinement of its tables, where the release has one, on symbols of
every size. Each result is compared with int64 arithmetic in numpy. The coder is compared with its pure Python twin. As
a control, sums of weights that are not integers must depend on their order; otherwise the
comparison could not notice anything.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.bitstream.frequency_tables import MAX_VALUE
from semcomp.bitstream.symbol_stream import check_coder
from semcomp.codec.release import Release
from semcomp.networks.refine import IntegerRefiner, refined_numpy
from semcomp.networks.refine_bytes import ByteRefiner, fastest_refiner
from semcomp.networks.sigma import SCALES, Z_LIMIT, IntegerSigma, neighbours
from semcomp.networks.sigma_bytes import ByteSigma, fastest
from semcomp.pipeline.passes import FOUR, quarter
from semcomp.pipeline.refined_tables import RefinedTables, surprise_lines
from semcomp.types import Symbols, rate_node

QUALITIES = (1, 13, 50, 87, 100)


@contextmanager
def arranged(threads: int, onednn: bool) -> Iterator[None]:
    """Run torch on a number of threads, with or without oneDNN. It silences a warning about TF32 on Intel GPUs."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TF32.*")
            with torch.backends.mkldnn.flags(enabled=onednn):
                yield
    finally:
        torch.set_num_threads(before)


def arrangements(sigma: IntegerSigma, z_hat: Tensor, quality: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Table numbers of z_hat (1, Z, h, w) by every arrangement: its name, and int64 (M, 4h, 4w)."""
    forms: dict[str, IntegerSigma | ByteSigma] = {"float32": sigma}
    if isinstance(bytewise := fastest(sigma, torch.device("cpu")), ByteSigma):
        forms["bytes"] = bytewise
    layouts = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
    for threads in sorted({1, 2, torch.get_num_threads()}):
        for onednn in (True, False):
            for layout, memory_format in layouts.items():
                for form, path in forms.items():
                    with arranged(threads, onednn), torch.inference_mode():
                        index = path.index(z_hat.contiguous(memory_format=memory_format), quality)
                    name = f"{form}, {threads} threads, oneDNN {'on' if onednn else 'off'}, {layout}"
                    yield name, index[0].to(torch.int64).numpy()
    if torch.cuda.is_available():
        index = sigma.to(torch.device("cuda")).index(z_hat.cuda(), quality)
        yield "CUDA", index[0].to("cpu", torch.int64).numpy()


def refined_arrangements(
    release: Release, z: NDArray[np.int64], symbols: NDArray[np.int64], usable: NDArray[np.bool_], quality: int
) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Table numbers of all passes by every arrangement: its name, and int8 (M, rows, columns), -1 where not coded.

    Args:
        release: A release that refines its tables.
        z: (Z, a, b).
        symbols: (M, rows, columns). What is not coded is ignored.
        usable: bool (rows, columns): positions that are kept.
        quality: 1..100.
    """
    assert release.refiner is not None
    forms: dict[str, IntegerRefiner | ByteRefiner] = {"float32": release.refiner}
    if isinstance(bytewise := fastest_refiner(release.refiner), ByteRefiner):
        forms["bytes"] = bytewise
    surprise = surprise_lines(release.refiner.table.numpy())
    rows, columns = symbols.shape[1:]
    for threads in sorted({1, 2, torch.get_num_threads()}):
        for onednn in (True, False):
            for form, refiner in forms.items():
                path = release.sigma if form == "float32" else fastest(release.sigma, torch.device("cpu"))

                def refine(
                    seen: NDArray[np.int8],
                    sums: NDArray[Any],
                    number: int,
                    refiner: IntegerRefiner | ByteRefiner = refiner,
                ) -> NDArray[np.int8]:
                    index = refiner.index(torch.from_numpy(seen), torch.from_numpy(sums), quality, number)
                    numbers: NDArray[np.int8] = index.numpy()
                    return numbers

                with arranged(threads, onednn), torch.inference_mode():
                    sums = path.sums(torch.from_numpy(z).float()[None], quality)[0].numpy()
                    tables = RefinedTables(
                        sums,
                        rows=rows,
                        columns=columns,
                        keep=usable,
                        surprise=surprise,
                        refine=refine,
                        skip=release.skip_below,
                    )
                    for number in range(FOUR):
                        tables.index()
                        tables.add(quarter(symbols, number))
                yield f"{form}, {threads} threads, oneDNN {'on' if onednn else 'off'}", tables.plane


def numbers_in_int64(release: Release, symbols: Symbols, quality: int) -> NDArray[np.int8]:
    """The table numbers of symbols, int8 (M, rows, columns), -1 where nothing is coded, in int64 numpy."""
    rows, columns = symbols.y.shape[1:]
    sums = release.sigma.sums_numpy(symbols.z, quality)[:, :rows, :columns]
    usable = np.ones((rows, columns), np.bool_) if symbols.keep is None else symbols.keep
    usable = np.broadcast_to(usable, sums.shape)
    if release.refiner is not None:
        y, skip = symbols.y.astype(np.int64), release.skip_below
        return refined_numpy(release.refiner, sums, y, usable, quality=quality, skip=skip).astype(np.int8)
    index = release.sigma.index_numpy(symbols.z, quality)[:, :rows, :columns]
    return np.where(usable & (index >= release.skip_below), index, -1).astype(np.int8)


def numbers_by_arrangement(release: Release, symbols: Symbols, quality: int) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """The table numbers of symbols by every arrangement of torch, as `numbers_in_int64` returns them."""
    rows, columns = symbols.y.shape[1:]
    usable = np.ones((rows, columns), np.bool_) if symbols.keep is None else symbols.keep
    if release.refiner is not None:
        yield from refined_arrangements(
            release, symbols.z.astype(np.int64), symbols.y.astype(np.int64), usable, quality
        )
        return
    for name, numbers in arrangements(release.sigma, torch.from_numpy(symbols.z).float()[None], quality):
        index = numbers[:, :rows, :columns]
        yield name, np.where(usable & (index >= release.skip_below), index, -1).astype(np.int8)


def random_symbols(shape: tuple[int, ...], *, seed: int) -> NDArray[np.int64]:
    """Integers of every magnitude up to the largest that a file may hold. Most are small, and loud places are near."""
    rng = np.random.default_rng(seed)
    loud = np.exp(rng.uniform(-2, 4, (shape[0], -(-shape[1] // 3), -(-shape[2] // 3)))).repeat(3, 1).repeat(3, 2)
    symbols = np.rint(rng.standard_normal(shape) * loud[:, : shape[1], : shape[2]])
    far = rng.random(shape) < 0.002
    return np.where(far, rng.integers(-MAX_VALUE, MAX_VALUE + 1, shape), symbols).astype(np.int64)


def likely_z(release: Release, *, quality: int, height: int = 3, width: int = 4) -> NDArray[np.int64]:
    """Integers (Z, height, width) as the tables of z expect them, so that many table numbers follow from them."""
    nodes, hyper = release.config.nodes, release.config.hyper
    rng, z = np.random.default_rng(quality), np.zeros((hyper, height, width), np.int64)
    for channel in range(hyper):
        table = int(rate_node(quality, nodes)) * hyper + channel
        bound = int(release.tables_z.bounds[table])
        shares = release.tables_z.frequencies_of(table)[: 2 * bound + 1].astype(np.float64)
        z[channel] = rng.choice(np.arange(-bound, bound + 1), (height, width), p=shares / shares.sum())
    return z


def random_z(hyper: int, *, seed: int, height: int = 3, width: int = 4) -> Tensor:
    """Random integers (1, hyper, height, width) over the whole range of z_hat. Most are small."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(1, hyper, height, width, generator=generator) * 3
    far = torch.rand(z.shape, generator=generator) < 0.05
    return torch.where(far, z * 40, z).round().clamp(-Z_LIMIT, Z_LIMIT)


def control_differs(sigma: IntegerSigma, *, seed: int = 0) -> bool:
    """Whether sums of non-integer weights depend on their order, as they should."""
    generator = torch.Generator().manual_seed(seed)
    weight = sigma.weight1.float() + torch.rand(sigma.weight1.shape, generator=generator) / 3
    around = neighbours(random_z(sigma.weight1.shape[1] // 9, seed=seed)).flatten(2)[0] / 3
    order = torch.randperm(weight.shape[1], generator=generator)
    return not torch.equal(weight @ around, weight[:, order] @ around[order])


def self_test(release: Release) -> list[tuple[str, bool, str]]:
    """Run all checks.

    Args:
        release: The codec.

    Returns:
        (name, passed, detail) of each check.
    """
    sums = release.sigma.bound_of_sums()
    refined = [] if release.refiner is None else [_check_refined(release)]
    if release.refiner is not None:
        sums = release.refiner.bound_of_sums(sums)
    return [
        _check_table_numbers(release),
        *refined,
        ("sums stay exact", sums < 1 << 24, f"largest possible sum {sums:,} of {1 << 24:,}"),
        ("control", control_differs(release.sigma), "non-integer weights do depend on the order of their sum"),
        check_coder(release.tables_y),
    ]


def _check_table_numbers(release: Release) -> tuple[str, bool, str]:
    sigma = release.sigma
    different, tried, seen = [], 0, set[int]()
    for quality in QUALITIES:
        for z in (likely_z(release, quality=quality), random_z(release.config.hyper, seed=quality)[0].long().numpy()):
            expected = sigma.index_numpy(z, quality)
            seen.update(np.unique(expected).tolist())
            for name, index in arrangements(sigma, torch.from_numpy(z).float()[None], quality):
                tried += 1
                if not np.array_equal(index, expected):
                    different.append(f"{name}, quality {quality}")
    detail = different[0] if different else f"{tried} arrangements equal int64, {len(seen)} of {SCALES} tables named"
    return "table numbers", not different, detail


def _check_refined(release: Release) -> tuple[str, bool, str]:
    assert release.refiner is not None
    different, tried, changed = [], 0, 0
    for quality in QUALITIES:
        z = likely_z(release, quality=quality)
        shape = (release.config.latents, 4 * z.shape[1] - quality % 4, 4 * z.shape[2] - quality % 3)
        symbols = random_symbols(shape, seed=quality)
        usable = np.random.default_rng(quality).random(shape[1:]) < (0.8 if quality == QUALITIES[1] else 2)
        sums = release.sigma.sums_numpy(z, quality)[:, : shape[1], : shape[2]]
        expected = refined_numpy(
            release.refiner, sums, symbols, np.broadcast_to(usable, shape), quality=quality, skip=release.skip_below
        )
        plain = release.sigma.index_numpy(z, quality)[:, : shape[1], : shape[2]]
        changed += int(np.count_nonzero((expected != plain) & (expected >= 0)))
        for name, index in refined_arrangements(release, z, symbols, usable, quality):
            tried += 1
            if not np.array_equal(index, expected):
                different.append(f"{name}, quality {quality}")
    detail = different[0] if different else f"{tried} arrangements equal int64, {changed:,} numbers refined"
    return "refined tables", not different, detail
