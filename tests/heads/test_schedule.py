"""The learning rate of heads warms up, falls, and is full at once without warm-up steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from heads import training
from heads.latent_cache import Cache
from heads.schedule import falling_rate
from heads.segmenter import SegmenterConfig, SegmenterNetwork


@pytest.mark.parametrize(("steps", "first"), [(0, 1.0), (1, 1.0), (4, 0.25)])
def test_a_rate_warms_up_and_falls(steps: int, first: float) -> None:
    assert falling_rate(step=0, warmup_steps=steps, progress=0) == first
    assert falling_rate(step=9, warmup_steps=steps, progress=0.5) == pytest.approx(0.505)
    assert falling_rate(step=9, warmup_steps=steps, progress=1.2) == pytest.approx(0.01)


@pytest.mark.parametrize(("steps", "rates"), [(0, [1.0, 0.505]), (2, [0.5, 0.505])])
def test_a_head_learns_at_the_rate_of_the_schedule(
    steps: int, rates: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, step = list[float](), torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, *given: Any, **options: Any) -> Any:
        seen.append(self.param_groups[0]["lr"])
        return step(self, *given, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    zeros = np.zeros((2, 64, 64), np.uint8)
    crops = Cache(
        value=zeros[..., None].repeat(3, 3), quality=np.full(2, 50, np.uint8), target=zeros, teacher=None, features=None
    )
    config = SegmenterConfig(classes=2, fine=(8, 8), width16=16, width32=16, width4=8, source="pixels")
    network = SegmenterNetwork(config)
    options = training.OptimConfig(steps=2, lr=1e-3, warmup_steps=steps)
    training.learn(network, crops, options, classes=2, seed=0, quiet=True)
    assert seen == pytest.approx([1e-3 * rate for rate in rates])
