"""Images of 16 bits cost about what their 8 high bits cost, and 8 bits a sample for low bits that are noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.lossless.model import LosslessModel
from semcomp.lossless.step import PHASES, WIDEST, without_low_bits
from semcomp.lossless.stream import encode_lossless
from tests.lossless.conftest import photo


def test_low_bits_that_are_noise_cost_their_bits(model: LosslessModel) -> None:
    pixels = photo(64, 64)
    both: NDArray[Any] = pixels.astype(np.uint16) << 8 | np.random.default_rng(1).integers(0, 256, pixels.shape)
    deep = 8 * len(encode_lossless(both.astype(np.uint16), model=model)) / pixels.size
    flat = 8 * len(encode_lossless(pixels, model=model)) / pixels.size
    assert deep == pytest.approx(flat + 8, rel=0.12)


def test_wide_scales_leave_low_bits_to_the_coder() -> None:
    scales = np.array([0, WIDEST - 1, WIDEST, WIDEST + 5, WIDEST + 6, 111])
    tables, low = without_low_bits(scales * PHASES + 3)
    assert low.tolist() == [0, 0, 1, 1, 2, 11]
    assert (tables // PHASES).max() < WIDEST
    assert (tables[:2] % PHASES).tolist() == [3, 3]
