"""What the tests of trainings share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from tests.lossless.conftest import photo
from train.trainer import BaseTrainer


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder with three photos of 270x280 in exact/, and three in compressed/."""
    for name in ("exact", "compressed"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(photo(270, 280, seed=number)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def goes_on(make: Callable[[str], BaseTrainer], network: Callable[[BaseTrainer], nn.Module]) -> None:
    """Two steps, a stop and two more leave the weights of four steps.

    Args:
        make: A trainer of that name; two of one name share their folder.
        network: What learns.
    """
    whole = make("whole")
    for _ in range(4):
        whole.train_step()
    first = make("parts")
    for _ in range(2):
        first.train_step()
    first.save()
    second = make("parts")
    second.resume()
    for _ in range(2):
        second.train_step()
    states = (network(run).state_dict() for run in (whole, second))
    for (name, expected), (_, got) in zip(*(state.items() for state in states), strict=True):
        assert torch.equal(expected, got), name
