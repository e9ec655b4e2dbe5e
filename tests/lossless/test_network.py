"""The integer networks: float32 and bytes compute what int64 computes, and a model that could not is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.lossless.model import LosslessModel, load_model, save_model
from semcomp.lossless.network import OUTPUT_SHIFT, Block, IntegerNetwork
from tests.lossless.conftest import random_network


def features(network: IntegerNetwork, count: int = 200) -> NDArray[Any]:
    rng = np.random.default_rng(8)
    values = rng.integers(-127, 128, (network.entry.shape[1], count))
    values[:, :2] = (-127, 127)
    return values.astype(np.int16)


def test_float32_computes_the_integers(model: LosslessModel) -> None:
    for network in model.networks.values():
        x = features(network)
        assert np.array_equal(network.run(x), network.run_in_int64(x))


def test_the_comparison_notices_a_weight_that_is_off_by_one(model: LosslessModel) -> None:
    network = model.networks["second10"]
    bias = network.bias.copy()
    bias[0] += 1 << OUTPUT_SHIFT
    other = IntegerNetwork(**{**vars(network), "bias": bias})
    assert not np.array_equal(other.run(features(network)), network.run_in_int64(features(network)))


def test_sums_that_float32_cannot_hold_are_refused() -> None:
    network = random_network(40, 2, np.random.default_rng(0))
    with pytest.raises(ModelError, match="exact below 16777216"):
        IntegerNetwork(**{**vars(network), "entry_bias": np.full(24, 1 << 24, np.int32)})


def test_last_weights_that_two_bytes_cannot_hold_are_refused() -> None:
    network = random_network(40, 2, np.random.default_rng(0))
    last = network.from_features.copy()
    last[1, 3] = 1 << 13
    with pytest.raises(ModelError, match=r"the last weights of the lossless networks leave -8191\.\.8191"):
        IntegerNetwork(**{**vars(network), "from_features": last})


def test_the_largest_sum_counts_every_product_of_every_layer() -> None:
    network = random_network(40, 2, np.random.default_rng(0))
    (block,), large = network.blocks, 1 << 22

    def reach(*products: tuple[NDArray[Any], int]) -> int:
        rows = sum(np.abs(weight.astype(np.int64)).sum(1) * limit for weight, limit in products)
        return large + int(np.max(rows))

    def with_large(owner: Any, bias: str) -> dict[str, Any]:
        return {**vars(owner), bias: np.full_like(getattr(owner, bias), -large)}

    for bias, expected in (
        ("entry_bias", reach((network.entry, 127))),
        ("bias", reach((network.from_hidden, 255), (network.from_features, 127))),
    ):
        assert IntegerNetwork(**with_large(network, bias)).largest_sum() == expected
    for bias, expected in (
        ("inner_bias", reach((block.inner, 255))),
        ("bias", reach((block.direct, 255), (block.outer, 255))),
    ):
        changed = {**vars(network), "blocks": (Block(**with_large(block, bias)),)}
        assert IntegerNetwork(**changed).largest_sum() == expected


def test_a_model_file_holds_everything_that_decides_bits(model: LosslessModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.id == model.id
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"is not a safetensors file .* make or install it again"):
        load_model(tmp_path / "cut.safetensors")
