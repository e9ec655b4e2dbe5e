"""A restorer of few channels with random weights: every property but the gain holds for it too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from semcomp.restoration.network import Restorer, RestorerConfig
from semcomp.restoration.restorer_file import TrainedRestorer, save_restorer


@pytest.fixture(scope="session")
def restorer() -> TrainedRestorer:
    """Its corrections are large, so that many of them end at the walls of their cells."""
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Restorer(RestorerConfig(channels=16, blocks=1, condition=8))
    for name, parameter in network.named_parameters():
        if "step_scales" in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    network.trunk.head.weight.data *= 40
    return TrainedRestorer(network, origin="seed 3, not trained")


@pytest.fixture(scope="session")
def restorer_2000(restorer: TrainedRestorer) -> TrainedRestorer:
    """The same network, said to be for JPEG 2000."""
    return TrainedRestorer(restorer.network, origin=restorer.origin, codec="jpeg2000")


@pytest.fixture(scope="session")
def weights(restorer: TrainedRestorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_restorer(restorer, path)
    return path
