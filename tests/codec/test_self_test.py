"""The self-test behind `semcomp doctor`: it passes here, and it notices what it is there for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from semcomp.bitstream.symbol_stream import HAS_CONSTRICTION, encode_symbols
from semcomp.codec import self_test
from semcomp.codec.codec import Codec
from semcomp.codec.release import Release
from semcomp.networks.refine_bytes import ByteRefiner, fastest_refiner
from semcomp.networks.sigma import IntegerSigma
from semcomp.networks.sigma_bytes import ByteSigma, fastest
from tests.releases import untrained


def test_everything_passes_here(codec: Codec) -> None:
    checks = self_test.self_test(codec.release)
    assert [name for name, passed, _ in checks if not passed] == []
    found = {name for name, _, _ in checks}
    assert found - {"refined tables"} == {"table numbers", "sums stay exact", "control", "coder"}
    assert ("refined tables" in found) == codec.coder.refines


def test_most_tables_are_among_the_numbers_that_are_compared(codec: Codec) -> None:
    """Latents of photos name them. Random integers over the whole range of z name hardly any."""
    numbers = [
        codec.release.sigma.index_numpy(self_test.likely_z(codec.release, quality=quality), quality)
        for quality in self_test.QUALITIES
    ]
    assert len(np.unique(numbers)) > 48
    assert np.mean(np.stack(numbers[2:]) > 0) > 0.2


def test_a_backend_that_rounds_is_noticed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = IntegerSigma.index

    def low_precision(self: IntegerSigma, z_hat: torch.Tensor, quality: int) -> torch.Tensor:
        """What TF32 or half precision would do to the weights."""
        return honest(replace(self, weight2=(self.weight2.float() * 1.003)), z_hat, quality)

    monkeypatch.setattr(IntegerSigma, "index", low_precision)
    failed = [name for name, passed, _ in self_test.self_test(codec.release) if not passed]
    assert failed == ["table numbers"]


def test_bytes_that_are_summed_wrongly_are_noticed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(fastest(codec.release.sigma, torch.device("cpu")), ByteSigma):
        pytest.skip("this processor adds no products of bytes")
    honest = ByteSigma.index
    monkeypatch.setattr(ByteSigma, "index", lambda self, z_hat, quality: honest(self, z_hat, quality).clamp(max=40))
    failed = {name: detail for name, passed, detail in self_test.self_test(codec.release) if not passed}
    assert list(failed) == ["table numbers"] and "bytes" in failed["table numbers"]


@pytest.fixture(scope="module")
def refined() -> Release:
    return untrained()


def test_refined_tables_pass_here(refined: Release) -> None:
    checks = {name: (passed, detail) for name, passed, detail in self_test.self_test(refined)}
    assert all(passed for passed, _ in checks.values())
    assert set(checks) == {"table numbers", "refined tables", "sums stay exact", "control", "coder"}
    assert " 0 numbers refined" not in checks["refined tables"][1]


@pytest.mark.parametrize("name", ["weight1", "bias1", "weight2", "own", "table"])
def test_an_altered_weight_of_the_refinement_is_noticed(
    refined: Release, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrangements run with one changed value, and int64 without."""
    assert refined.refiner is not None
    value = getattr(refined.refiner, name).clone()
    line = value.view(-1)
    line[line.abs().argmax() if name != "table" else 20 * 1024] += -9 if name != "bias1" else 4000
    altered = replace(refined.refiner, **{name: value})
    honest = self_test.refined_arrangements

    def arrangements(release: Release, *arguments: Any) -> Any:
        return honest(replace(release, refiner=altered), *arguments)

    monkeypatch.setattr(self_test, "refined_arrangements", arrangements)
    failed = [name for name, passed, _ in self_test.self_test(refined) if not passed]
    assert failed == ["refined tables"]


def test_bytes_of_the_refinement_that_are_summed_wrongly_are_noticed(
    refined: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refined.refiner is not None
    if not isinstance(fastest_refiner(refined.refiner), ByteRefiner):
        pytest.skip("this processor adds no products of bytes")
    honest = ByteRefiner.index
    monkeypatch.setattr(ByteRefiner, "index", lambda self, *given: honest(self, *given).clamp(max=40))
    failed = {name: detail for name, passed, detail in self_test.self_test(refined) if not passed}
    assert list(failed) == ["refined tables"] and "bytes" in failed["refined tables"]


def test_a_coder_that_differs_is_noticed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HAS_CONSTRICTION:
        pytest.skip("there is only one coder here")
    honest = encode_symbols

    def shifted(parts: Sequence[Any], *, plain: bool = False) -> bytes:
        data = honest(parts, plain=plain)
        return data if plain else data[:-1] + bytes([data[-1] ^ 1])

    monkeypatch.setattr("semcomp.bitstream.symbol_stream.encode_symbols", shifted)
    assert [name for name, passed, _ in self_test.self_test(codec.release) if not passed] == ["coder"]


def test_random_z_covers_the_range() -> None:
    z = self_test.random_z(64, seed=0)
    assert z.abs().max() == 127 and torch.equal(z, z.round()) and (z == 0).float().mean() > 0.05
