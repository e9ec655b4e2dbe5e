"""A lossless model with random weights: every property but the rate holds for it too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import Tables, quantize_pmf
from semcomp.lossless.features import WindowConfig, windows_of
from semcomp.lossless.model import NAMES, OUTPUTS, LosslessModel, inputs_of
from semcomp.lossless.network import Block, IntegerNetwork
from semcomp.lossless.step import PHASES, SCALES, STEPS_PER_OCTAVE

WIDTH, INNER = 24, 12


def random_network(inputs: int, outputs: int, rng: np.random.Generator) -> IntegerNetwork:
    def weights(rows: int, columns: int, size: int) -> NDArray[Any]:
        return rng.integers(-size, size + 1, (rows, columns)).astype(np.int8)

    def biases(rows: int) -> NDArray[Any]:
        return rng.integers(-500, 500, rows).astype(np.int32)

    block = Block(
        direct=weights(WIDTH, WIDTH, 20),
        inner=weights(INNER, WIDTH, 20),
        inner_bias=biases(INNER),
        outer=weights(WIDTH, INNER, 20),
        bias=biases(WIDTH),
    )
    return IntegerNetwork(
        entry=weights(WIDTH, inputs, 20),
        entry_bias=biases(WIDTH),
        blocks=(block,),
        from_hidden=weights(outputs, WIDTH, 16).astype(np.int16),
        from_features=weights(outputs, inputs, 32).astype(np.int16),
        bias=biases(outputs),
    )


def laplace_tables() -> Tables:
    bounds, rows = [], []
    for scale in range(SCALES):
        sigma = 0.09 * 2 ** (scale / STEPS_PER_OCTAVE)
        bound = min(60, int(4 * sigma) + 2)
        for phase in range(PHASES):
            distance = np.abs(np.arange(-bound, bound + 1) - (phase - PHASES // 2) / PHASES)
            bounds.append(bound)
            rows.append(quantize_pmf(np.append(np.exp(-distance / sigma) + 1e-6, 0.01)))
    return Tables.from_arrays(np.array(bounds), np.concatenate(rows))


def random_model() -> LosslessModel:
    rng, config = np.random.default_rng(5), WindowConfig()
    windows = windows_of(config)
    networks = {name: random_network(inputs_of(name, windows), OUTPUTS, rng) for name in NAMES}
    return LosslessModel(config=config, networks=networks, banks=(laplace_tables(),) * 3)


@pytest.fixture(scope="session")
def model() -> LosslessModel:
    return random_model()


def photo(height: int, width: int, *, seed: int = 0) -> NDArray[Any]:
    """Smooth shapes with noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(y / rng.uniform(5, 40) + rng.uniform(0, 6)) * np.cos(x / 23) for _ in range(3)]
    image: NDArray[Any] = np.clip(np.stack(waves, -1) + rng.normal(0, 3, (height, width, 3)), 0, 255)
    return image.astype(np.uint8)
