"""The self-test behind `semcomp doctor`: it passes here, and it notices what it is there for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from semcomp.bitstream.symbol_stream import HAS_CONSTRICTION, encode_symbols
from semcomp.codec import self_test
from semcomp.codec.codec import Codec
from semcomp.networks.sigma import IntegerSigma
from semcomp.networks.sigma_bytes import ByteSigma, fastest


def test_everything_passes_here(codec: Codec) -> None:
    checks = self_test.self_test(codec.release)
    assert [name for name, passed, _ in checks if not passed] == []
    assert {"table numbers", "sums stay exact", "control", "coder"} == {name for name, _, _ in checks}


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


def test_a_coder_that_differs_is_noticed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HAS_CONSTRICTION:
        pytest.skip("there is only one coder here")
    honest = encode_symbols

    def shifted(parts: Sequence[Any], *, plain: bool = False) -> bytes:
        data = honest(parts, plain=plain)
        return data if plain else data[:-1] + bytes([data[-1] ^ 1])

    monkeypatch.setattr(self_test, "encode_symbols", shifted)
    assert [name for name, passed, _ in self_test.self_test(codec.release) if not passed] == ["coder"]


def test_random_z_covers_the_range() -> None:
    z = self_test.random_z(64, seed=0)
    assert z.abs().max() == 127 and torch.equal(z, z.round()) and (z == 0).float().mean() > 0.05
