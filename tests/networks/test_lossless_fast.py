"""The torch backend of lossless coding writes the bytes of the numpy backend, and the check of that can fail."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from semcomp.errors import FormatError
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.network import IntegerNetwork
from semcomp.lossless.stream import decode_lossless, encode_lossless
from semcomp.networks.lossless_fast import TorchNetworks
from semcomp.networks.precision import sums_products_of_bytes
from tests.lossless.conftest import model, photo

__all__ = ["model"]

WAYS = [False, pytest.param(True, marks=pytest.mark.skipif(not sums_products_of_bytes(), reason="no byte sums here"))]


@pytest.mark.parametrize("by_bytes", WAYS)
@pytest.mark.parametrize("size", [(1, 1), (3, 8), (64, 64), (101, 57)])
def test_torch_writes_and_reads_what_numpy_does(model: LosslessModel, by_bytes: bool, size: tuple[int, int]) -> None:
    pixels, networks = photo(*size), TorchNetworks(model, by_bytes=by_bytes)
    data = encode_lossless(pixels, model=model)
    assert encode_lossless(pixels, model=model, networks=networks) == data
    assert np.array_equal(decode_lossless(data, model=model, networks=networks), pixels)


@pytest.mark.parametrize("by_bytes", WAYS)
def test_last_weights_of_two_bytes_are_exact(model: LosslessModel, by_bytes: bool) -> None:
    rng, network = np.random.default_rng(4), model.networks["first01"]
    wide = {
        part: rng.integers(-8191, 8192, getattr(network, part).shape).astype(np.int16)
        for part in ("from_hidden", "from_features")
    }
    for last in wide.values():
        last[:, 6:] = 0  # all sums stay below 2^24
        last[0, :2], last[1, :2] = (8191, -8191), (-128, 127)
    changed = IntegerNetwork(**{**vars(network), **wide})
    networks = TorchNetworks(replace(model, networks={**model.networks, "first01": changed}), by_bytes=by_bytes)
    features = rng.integers(-127, 128, (network.entry.shape[1], 300)).astype(np.int16)
    outputs = networks.run("first01", torch.from_numpy(features)).numpy()
    assert np.array_equal(outputs, changed.run_in_int64(features.astype(np.int32)))
    assert np.abs(outputs).max() > 1000


@pytest.mark.parametrize("by_bytes", WAYS)
@pytest.mark.parametrize("cells", [1, 15, 17, 300, 2048, 2049, 5000])
def test_every_number_of_cells_is_exact(model: LosslessModel, by_bytes: bool, cells: int) -> None:
    rng, networks = np.random.default_rng(cells), TorchNetworks(model, by_bytes=by_bytes)
    for name in ("luma11", "luma01", "second10"):
        network = model.networks[name]
        features = rng.integers(-127, 128, (network.entry.shape[1], cells)).astype(np.int16)
        features[:, :1] = -127
        outputs = networks.run(name, torch.from_numpy(features)).numpy()
        assert np.array_equal(outputs, network.run_in_int64(features.astype(np.int32)))


def test_biases_that_bytes_would_round_are_held_in_float32(model: LosslessModel) -> None:
    network = model.networks["luma01"]
    bias = network.entry_bias.copy()
    bias[0] = 3 << 22
    changed = IntegerNetwork(**{**vars(network), "entry_bias": bias})
    assert not TorchNetworks(replace(model, networks={**model.networks, "luma01": changed})).by_bytes


def test_bands_on_two_threads_give_the_same_file(model: LosslessModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchNetworks, "band_cells", 128)
    networks, alone = TorchNetworks(model), threading.get_ident()
    seen: set[tuple[bool, int]] = set()
    run = networks.run

    def watched(name: str, features: torch.Tensor) -> torch.Tensor:
        seen.add((threading.get_ident() == alone, torch.get_num_threads()))
        return run(name, features)

    monkeypatch.setattr(networks, "run", watched)
    pixels = photo(67, 91)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        data = encode_lossless(pixels, model=model, networks=networks)
        assert np.array_equal(decode_lossless(data, model=model, networks=networks), pixels)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert data == encode_lossless(pixels, model=model)
    assert (False, 1) in seen and (False, 2) not in seen


def test_a_backend_that_is_off_by_one_is_noticed(model: LosslessModel) -> None:
    class Wrong(TorchNetworks):
        def run(self, name: str, features: torch.Tensor) -> torch.Tensor:
            output = super().run(name, features).clone()
            output[0, 0] += 8
            return output

    pixels = photo(40, 40)
    data = encode_lossless(pixels, model=model)
    assert encode_lossless(pixels, model=model, networks=Wrong(model)) != data
    with pytest.raises(FormatError):
        decode_lossless(data, model=model, networks=Wrong(model))
