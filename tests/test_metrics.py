"""PSNR and BD-rate against cases whose answer is known."""

import numpy as np
import pytest

from semcomp.metrics import bd_rate, psnr_db

pytest.importorskip("scipy")
BPP, DB = np.array([0.1, 0.2, 0.4, 0.8, 1.6]), np.array([26.0, 29.0, 32.0, 35.5, 39.0])


def test_psnr_of_a_known_error():
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr_db(black, black + 1) == pytest.approx(20 * np.log10(255))
    assert psnr_db(black, black) == float("inf")
    with pytest.raises(ValueError, match="one shape"):
        psnr_db(black, black[:2])


def test_half_the_rate_is_minus_fifty_percent():
    assert bd_rate(BPP, DB, BPP / 2, DB) == pytest.approx(-50)
    assert bd_rate(BPP, DB, BPP, DB) == pytest.approx(0, abs=1e-9)
    assert bd_rate(BPP, DB, BPP[::-1] * 1.3, DB[::-1]) == pytest.approx(30)


def test_only_the_common_range_counts():
    other = BPP * np.array([1, 1, 1, 1, 9])  # bad above 35.5 dB only
    assert bd_rate(BPP, DB, other, DB, high_db=29) == pytest.approx(0, abs=1e-6)
    assert bd_rate(BPP, DB, other, DB) > 10


def test_curves_apart_are_refused():
    with pytest.raises(ValueError, match="do not overlap"):
        bd_rate(BPP, DB, BPP, DB + 20)
