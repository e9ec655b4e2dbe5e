"""Products of bytes: the same table numbers, and float32 where a processor cannot be relied on."""

import os
import subprocess
import sys

import pytest
import torch

from semcomp.codec.self_test import random_z
from semcomp.networks.precision import sums_products_of_bytes
from semcomp.networks.rate_table import QUALITIES
from semcomp.networks.sigma import SHIFT2, Z_LIMIT, IntegerSigma
from semcomp.networks.sigma_bytes import ByteSigma, fastest

CPU = torch.device("cpu")


def path_of(*, extreme: bool, channels: int = 8, hyper: int = 32, hidden: int = 64) -> IntegerSigma:
    generator = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> torch.Tensor:
        if extreme:
            return torch.full(shape, 127, dtype=torch.int8)
        return torch.randint(-30, 31, shape, generator=generator).to(torch.int8)

    def bias(size: int, most: int) -> torch.Tensor:
        return torch.randint(-most, most, (QUALITIES, size), generator=generator, dtype=torch.int32)

    return IntegerSigma(
        weight1=weight(hidden, 9 * hyper),
        bias1=bias(hidden, 2000),
        weight2=weight(16 * channels, hidden),
        bias2=bias(channels, 30 << SHIFT2),
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 7), (4, 4), (9, 8)])
@pytest.mark.parametrize("extreme", [False, True])
def test_bytes_give_what_float32_gives(size: tuple[int, int], extreme: bool) -> None:
    path = path_of(extreme=extreme)
    bytewise = ByteSigma(path)
    if not bytewise.exact():
        pytest.skip("this processor adds products of bytes in 16 bits")
    for quality in (1, 50, QUALITIES):
        z_hat = random_z(32, seed=quality, height=size[0], width=size[1])
        index = bytewise.index(z_hat, quality)
        assert index.dtype == torch.int8 and index.is_contiguous()
        assert torch.equal(index, path.index(z_hat, quality))
    far = torch.full((1, 32, *size), float(Z_LIMIT))
    for z_hat in (far, -far):
        assert torch.equal(bytewise.index(z_hat, 1), path.index(z_hat, 1))


def test_they_are_used_where_the_processor_has_them() -> None:
    chosen = fastest(path_of(extreme=True), CPU)
    assert isinstance(chosen, ByteSigma) == (sums_products_of_bytes() and ByteSigma(path_of(extreme=True)).exact())


def test_sums_that_saturate_are_noticed() -> None:
    """oneDNN without VNNI, which adds pairs of products in 16 bits: float32 must take its place."""
    program = (
        "import torch\n"
        "from semcomp.networks.sigma_bytes import ByteSigma, fastest\n"
        "from tests.networks.test_sigma_bytes import path_of\n"
        "path = path_of(extreme=True)\n"
        "print(ByteSigma(path).exact(), type(fastest(path, torch.device('cpu'))).__name__)\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    exact, chosen = done.stdout.split()
    if exact == "True":
        pytest.skip("torch multiplies bytes otherwise than by oneDNN here")
    assert chosen == "IntegerSigma"
