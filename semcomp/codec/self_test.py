"""Does this machine decode what every other machine decodes? A self-test of a second, for `semcomp doctor`.

The sigma path is run in float32 and by bytes, where that is exact, with every arrangement of threads, backend and
memory layout that torch offers here, and compared with int64 arithmetic in numpy; the coder with its pure Python twin.
A control, the same path with weights that are no integers, must differ: otherwise the comparison could not have noticed
anything.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from semcomp.bitstream.symbol_stream import HAS_CONSTRICTION, SymbolReader, encode_symbols
from semcomp.codec.release import Release
from semcomp.networks.sigma import Z_LIMIT, IntegerSigma, neighbours
from semcomp.networks.sigma_bytes import ByteSigma, fastest

QUALITIES = (1, 13, 50, 87, 100)


@contextmanager
def arranged(threads: int, onednn: bool) -> Iterator[None]:
    """torch on so many threads, with or without oneDNN; its remark that Intel GPUs have TF32 is left out."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TF32.*")
            with torch.backends.mkldnn.flags(enabled=onednn):
                yield
    finally:
        torch.set_num_threads(before)


def arrangements(sigma: IntegerSigma, z_hat: Tensor, quality: int) -> Iterator[tuple[str, np.ndarray]]:
    """Table numbers of z_hat (1, Z, h, w) by every way to compute them here: name, int64 (M, 4h, 4w)."""
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


def random_z(hyper: int, *, seed: int, height: int = 3, width: int = 4) -> Tensor:
    """Integers over the whole range of z_hat, most of them small: (1, hyper, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(1, hyper, height, width, generator=generator) * 3
    far = torch.rand(z.shape, generator=generator) < 0.05
    return torch.where(far, z * 40, z).round().clamp(-Z_LIMIT, Z_LIMIT)


def control_differs(sigma: IntegerSigma, *, seed: int = 0) -> bool:
    """Whether sums of non-integer weights depend on their order here, as they should."""
    generator = torch.Generator().manual_seed(seed)
    weight = sigma.weight1.float() + torch.rand(sigma.weight1.shape, generator=generator) / 3
    around = neighbours(random_z(sigma.weight1.shape[1] // 9, seed=seed)).flatten(2)[0] / 3
    order = torch.randperm(weight.shape[1], generator=generator)
    return not torch.equal(weight @ around, weight[:, order] @ around[order])


def self_test(release: Release) -> list[tuple[str, bool, str]]:
    """Checks as (name, passed, detail)."""
    sigma, hyper = release.sigma, release.config.hyper
    different, tried = [], 0
    for quality in QUALITIES:
        z_hat = random_z(hyper, seed=quality)
        expected = sigma.index_numpy(z_hat[0].numpy().astype(np.int64), quality)
        for name, index in arrangements(sigma, z_hat, quality):
            tried += 1
            if not np.array_equal(index, expected):
                different.append(f"{name}, quality {quality}")
    sums = sigma.bound_of_sums()
    rng = np.random.default_rng(0)
    index = rng.integers(-1, len(release.tables_y), 4000)
    symbols = np.round(rng.laplace(scale=2, size=4000)).astype(np.int32)
    part = (symbols, index, release.tables_y)
    plain = encode_symbols([part], plain=True)
    read = SymbolReader(plain, plain=True).read(index, release.tables_y)
    coder_ok = bool(np.array_equal(read, np.where(index < 0, 0, symbols)))
    detail = "pure Python only"
    if HAS_CONSTRICTION:
        coder_ok = coder_ok and encode_symbols([part]) == plain
        coder_ok = coder_ok and bool(np.array_equal(SymbolReader(plain).read(index, release.tables_y), read))
        detail = "constriction and pure Python, equal bytes"
    return [
        ("table numbers", not different, f"{tried} arrangements equal int64" if not different else different[0]),
        ("sums stay exact", sums < 1 << 24, f"largest possible sum {sums:,} of {1 << 24:,}"),
        ("control", control_differs(sigma), "non-integer weights do depend on the order of their sum"),
        ("coder", coder_ok, detail),
    ]
