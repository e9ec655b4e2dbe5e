"""What a head that embeds learns: two crops of a photo are near each other, and photos as far apart as a teacher says.

The two crops differ in place, size, colour and quality (InfoNCE, van den Oord et al. 2018). A teacher's features of the
original crops say how near others are: the distribution of similarities is distilled (Tejankar et al. 2021, ISD).
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from heads.losses import Batch, Objective

SHARPNESS = 0.1
"""Temperature of the similarities of embeddings."""
TEACHER_SHARPNESS = 0.07
"""Temperature of the similarities of a teacher's features."""
ROWS = 4096
"""Crops over which the mean of the teacher's features is taken."""


class EmbedObjective(Objective):
    """Contrasts pairs of crops of the same photo with the crops of the other photos in a batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.copies = int((self.crops.target == self.crops.target[0]).sum())
        teacher = self.crops.teacher
        self.centre = 0.0 if teacher is None else torch.from_numpy(teacher[:ROWS].mean(0, dtype=np.float32))

    def loss(self, chosen: NDArray[np.int64]) -> Tensor:
        """Compute the loss of half of the crops, and of another crop of each of their photos."""
        first = np.unique(chosen // self.copies)[: max(2, len(chosen) // 2)] * self.copies
        turns = self.rng.permuted(np.tile(np.arange(self.copies), (len(first), 1)), axis=1)
        return super().loss(np.concatenate([first + turns[:, 0], first + turns[:, min(1, self.copies - 1)]]))

    def augmented(self, batch: Batch) -> Batch:
        return batch

    def error(self, logits: Tensor, batch: Batch) -> Tensor:
        pairs = len(logits) // 2
        itself = torch.eye(2 * pairs, dtype=torch.bool)
        similar = F.normalize(logits, dim=1)
        similar = (similar @ similar.T / SHARPNESS).masked_fill(itself, -1e4)
        partner = torch.arange(2 * pairs).roll(pairs)
        loss = F.cross_entropy(similar, partner)
        if batch.teacher is None:
            return loss
        theirs = F.normalize(batch.teacher - self.centre, dim=1)
        wanted = (theirs @ theirs.T / TEACHER_SHARPNESS).masked_fill(itself, -1e4).softmax(1)
        distilled = -(wanted * similar.log_softmax(1)).sum(1).mean()
        return torch.lerp(loss, distilled, self.config.distil)

    def distilled(self, loss: Tensor, logits: Tensor, teacher: Tensor) -> Tensor:
        return loss

    def finish(self) -> None:
        """Leave the network as it is."""
