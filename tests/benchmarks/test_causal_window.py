"""The comparison with a causal window predicts from what a decoder knows, and counts what tables would write."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.causal_window import VARIANTS, WINDOW, Variant, WindowNetwork, bits_of, med, padded_windows, predict
from tests.lossless.conftest import photo


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_prediction_knows_no_later_pixel(variant: Variant) -> None:
    torch.manual_seed(0)
    network, luma = WindowNetwork(variant, 64), np.ascontiguousarray(photo(40, 50)[..., 1])
    for weight in network.parameters():
        weight.data *= 2
    before = predict(network, luma)
    row, column = 21, 30
    luma[row, column] ^= 255
    changed = np.argwhere(predict(network, luma) != before)
    assert len(changed) > 10
    places = [tuple(place) for place in changed.tolist()]
    assert min(places) > (row, column)
    assert max(place[0] for place in places) <= row + 15


def test_a_window_is_16_by_31() -> None:
    luma = np.ascontiguousarray(photo(40, 50)[..., 1])
    windows, predicted = padded_windows(luma, slice(20, 21))
    assert windows.shape == (50, WINDOW)
    full = windows[25].numpy() + predicted[0, 25]
    assert np.array_equal(full[:31], luma[5, 10:41])
    assert np.array_equal(full[-15:], luma[20, 10:25])


def test_tables_cost_what_the_errors_are_worth() -> None:
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    assert 7.5 < bits_of(luma, med(luma).astype(np.int64)) / luma.size < 10, "noise has 8 bits"
    assert bits_of(luma, luma.astype(np.int64)) / luma.size < 0.2
