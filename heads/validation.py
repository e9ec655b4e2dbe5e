"""How well a head does on held-out pictures: when it has learned, and a few times on the way."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from heads.datasets import Dataset
from heads.head_file import Network, NetworkSegmenter, TrainedHead
from heads.score import Answer, Score
from heads.training import Mark
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.embedding import Embedding
from semcomp.semantics.results import Labels, Segmentation
from semcomp.semantics.upsample import full_resolution

SOME = 100
"""Largest number of held-out pictures that are asked on the way."""
Held = Sequence[tuple[Tensor, int, Any]]
"""What a network is given of each picture, its quality, and its class number or its mask."""


def validate(head: TrainedHead, held: Held, dataset: Dataset) -> Score:
    """Score a head on pictures at the qualities that they were drawn at."""
    score = dataset.new_score()
    for value, quality, truth in held:
        if isinstance(head, NetworkSegmenter):
            height, width = truth.shape
            score.add(head.read(value.float(), quality, height=height, width=width), truth)
        else:
            score.add(head.read(value.float(), quality), truth)
    return score


class HeldOut:
    """Tells how well a network does while it learns."""

    def __init__(self, network: Network, held: Held, dataset: Dataset, tell: Callable[[str], None]):
        self.network, self.dataset, self.tell = network, dataset, tell
        step = max(1, len(held) // SOME) if dataset.classes else 1
        self.held = held[::step]

    def mark(self, mark: Mark) -> None:
        """Tell a line."""
        score = self.score()
        self.tell(
            f"{100 * mark.progress:3.0f} %  step {mark.step}  {mark.seconds:.0f} s  loss {mark.loss:.3f}  "
            f"{score.figure} {score.percent:.1f} % of {len(self.held)} held-out pictures"
        )

    @torch.no_grad()
    def score(self) -> Score:
        """Score the network as it is. It is left in the mode of inference, which the next step changes."""
        score = self.dataset.new_score()
        self.network.eval()
        for value, quality, truth in self.held:
            with fast_pixels(value.device):
                logits = self.network(value.float(), torch.tensor([quality])).float()
            score.add(self._answer(logits, truth), truth)
        return score

    def _answer(self, logits: Tensor, truth: Any) -> Answer:
        classes = self.dataset.classes
        if not classes:
            return Embedding.of(logits[0].numpy(), head="")
        if logits.ndim == 2:
            return Labels.ranked(classes, logits[0].tolist(), head="")
        height, width = truth.shape
        label_map = full_resolution(logits.numpy(), height=height, width=width)
        return Segmentation(label_map=label_map, classes=classes, palette=self.dataset.palette)
