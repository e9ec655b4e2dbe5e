"""Random crops of a labelled set, for trainings that see pixels and labels."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heads.augment import augment
from heads.datasets import DataConfig, Dataset, read_rgb
from heads.latent_cache import to_network


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """A labelled set and its share of a batch."""

    task: str = "segment"
    """segment or classify."""
    data: DataConfig = field(default_factory=DataConfig)
    batch: int = 4
    """Crops a step."""
    weight: float = 1.0
    """Weight of its loss inside the semantic loss."""
    head: str | None = None
    """Name or file of a trained head of the same classes, from which the head starts."""


class Crops:
    """Random crops of a labelled set, cut again for every batch. Images are decoded once and kept in memory."""

    def __init__(self, dataset: Dataset, config: LabelledConfig, *, seed: int):
        self.dataset, self.config, self.rng = dataset, config, np.random.default_rng(seed)
        self.known: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8] | None]] = {}

    def batch(self) -> tuple[Tensor, Tensor]:
        """Returns x (B, 3, S, S) in [0, 1], and the targets: classes (B,) or label maps (B, S, S), int64."""
        crops, targets = [], []
        for number in self.rng.integers(len(self.dataset.train), size=self.config.batch).tolist():
            sample = self.dataset.train[number]
            if number not in self.known:
                self.known[number] = read_rgb(sample.image), self.dataset.mask(sample)
            crop, target = augment(*self.known[number], self.config.data, self.rng)
            crops.append(crop)
            targets.append(np.int64(sample.target) if target is None else target.astype(np.int64))
        x = to_network(np.stack(crops)).contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(np.stack(targets))
