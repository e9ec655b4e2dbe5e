"""Whether a picture still shows what was there: the loss of a segmenter that sees it."""

import torch
from torch import Tensor

from heads.data import Dataset
from heads.file import read_head
from heads.learn import class_weights
from train.joint import semantic_loss

BALANCE = 0.5
"""Power of the inverse frequency by which classes are weighted, as where heads learn."""


class Meaning:
    """Cross entropy of a trained segmenter: x (B, 3, H, W) in about [0, 1], label maps (B, H, W) -> a number."""

    def __init__(self, path: str, dataset: Dataset, device: torch.device):
        """ValueError for one that does not see pixels or knows other classes; ModelError as of `read_head`."""
        head = read_head(path)
        if head.network.config.source != "pixels" or head.classes != dataset.classes:
            raise ValueError(f"{path} must see pixels and know the classes {', '.join(dataset.classes)}")
        self.network = head.network.to(device, memory_format=torch.channels_last)
        masks = (dataset.mask(sample) for sample in dataset.train)
        self.weights = class_weights(masks, len(dataset.classes), BALANCE).to(device)

    def __call__(self, x: Tensor, label_map: Tensor) -> Tensor:
        logits = self.network(x, torch.ones(len(x), dtype=torch.long, device=x.device))
        return semantic_loss(logits.float(), label_map, weight=self.weights)
