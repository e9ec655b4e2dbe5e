"""Whether a picture still shows what was there: the loss of segmenters that see it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from heads.datasets import Dataset
from heads.head_file import read_head
from heads.training import class_weights, pixels_of
from train.joint import semantic_loss

BALANCE = 0.5
"""Power of the inverse frequency by which classes are weighted, as where heads learn."""


class Meaning:
    """Mean cross entropy of trained segmenters: x (B, 3, H, W) in about [0, 1], label maps (B, H, W) -> a number."""

    def __init__(self, paths: Sequence[str], dataset: Dataset, device: torch.device):
        """ValueError for one that does not see pixels or knows other classes; ModelError as of `read_head`."""
        self.networks = []
        for path in paths:
            head = read_head(path)
            if head.network.config.source != "pixels" or head.classes != dataset.classes:
                raise ValueError(f"{path} must see pixels and know the classes {', '.join(dataset.classes)}")
            self.networks.append(head.network.to(device, memory_format=torch.channels_last))
        masks = (dataset.mask(sample) for sample in dataset.train)
        self.weights = class_weights(pixels_of(masks, len(dataset.classes)), BALANCE).to(device)

    def __call__(self, x: Tensor, label_map: Tensor) -> Tensor:
        quality = torch.ones(len(x), dtype=torch.long, device=x.device)
        losses = [
            semantic_loss(network(x, quality).float(), label_map, weight=self.weights) for network in self.networks
        ]
        return torch.stack(losses).mean()
