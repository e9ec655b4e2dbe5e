"""Small releases for tests of formats and clients: random networks, and tables that fit them."""

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("train.export", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.codec.release import Release
from semcomp.networks.model import CodecConfig, CodecModel
from train.export import export

SMALL: dict[str, Any] = {
    "latents": 24,
    "hyper": 8,
    "analysis_c8": 12,
    "analysis_blocks8": 1,
    "analysis_c16": 16,
    "analysis_blocks16": 1,
    "synthesis_c16": 16,
    "synthesis_blocks16": 1,
    "synthesis_c8": 12,
    "synthesis_blocks8": 1,
    "synthesis_c4": 8,
    "entropy_width": 16,
    "nodes": 4,
}
"""Sizes of a network that a test can train or run in no time."""


def untrained(passes: int = 4, *, refine_width: int = 24, **more: Any) -> Release:
    """A release whose refinement is random, and loud enough to change most tables.

    Args:
        passes: 2 or 4.
        refine_width: Hidden channels of the refinement, 0 for none.
        **more: Other fields of CodecConfig.
    """
    torch.manual_seed(passes)
    config = CodecConfig(**{**SMALL, "refine_width": refine_width, "passes": passes, **more})
    network = CodecModel(config).eval()
    if network.refiner is not None:
        torch.nn.init.normal_(network.refiner.weight2, std=0.1)
    for table in (network.synthesis.scales16, network.synthesis.scales8):
        if table is not None:
            torch.nn.init.normal_(table.weight, mean=1, std=0.3)
    photo = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    return export(network, [photo] * 4, name=f"refined{passes}", skip_below=4, origin="", quiet=True)
