"""Losses that ask what an image or its latents show: cross entropies of classifiers and segmenters."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from heads.class_balance import class_weights, pixels_of
from heads.datasets import Dataset
from heads.head_file import read_head
from semcomp.semantics.results import VOID
from semcomp.semantics.upsample import FINE
from train.trainer import channels_last

BALANCE = 0.5
"""Power of the inverse frequency by which classes are weighted. heads.fit uses the same."""


def semantic_loss(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross entropy of a classifier, or of a segmenter at the resolution of its logits.

    Args:
        logits: (B, K), or (B, K, H/4, W/4) of a segmenter.
        target: Classes (B,), or label maps (B, H, W).
        weight: Weight of each class (K,), for a segmenter.

    Returns:
        The mean loss; 0 if no position of the targets has a class.
    """
    if logits.ndim == 2:
        return F.cross_entropy(logits, target, label_smoothing=0.1)
    target = target[:, FINE // 2 :: FINE, FINE // 2 :: FINE]
    if (target == VOID).all():
        return 0 * logits.sum()
    return F.cross_entropy(logits, target, weight=weight, ignore_index=VOID)


class Meaning:
    """Mean cross entropy of trained segmenters: x (B, 3, H, W) in about [0, 1], label maps (B, H, W) -> a number."""

    def __init__(self, paths: Sequence[str], dataset: Dataset, device: torch.device):
        """Reads the segmenters.

        Raises:
            ValueError: A segmenter does not see pixels, or knows other classes than the dataset.
            ModelError: A file cannot be read.
        """
        self.networks = []
        for path in paths:
            head = read_head(path)
            if head.network.config.source != "pixels" or head.classes != dataset.classes:
                raise ValueError(f"{path} must see pixels and know the classes {', '.join(dataset.classes)}")
            self.networks.append(channels_last(head.network, device))
        masks = (dataset.truth(sample) for sample in dataset.train)
        self.weights = class_weights(pixels_of(masks, len(dataset.classes)), BALANCE).to(device)

    def __call__(self, x: Tensor, label_map: Tensor) -> Tensor:
        quality = torch.ones(len(x), dtype=torch.long, device=x.device)
        losses = [
            semantic_loss(network(x, quality).float(), label_map, weight=self.weights) for network in self.networks
        ]
        return torch.stack(losses).mean()
