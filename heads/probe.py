"""A teacher for classifiers from features that are there already: a linear classifier on their mean.

A network that knows ImageNet and a thousand pictures of a user's classes make a better classifier than a small network
learns from the pictures alone; what it is sure of, and what it takes for what, a head learns by distillation.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

PARTS = 4
DECAY = 1e-3
"""Weight of the squared weights, against the mean cross-entropy of standardised features."""


def probe(features: NDArray[Any], target: NDArray[Any], copies: int, classes: int) -> NDArray[Any]:
    """The scores, float16 (N, K), of features (N, g, g, C) by linear classifiers that did not see their picture.

    The pictures, each `copies` rows beside each other, are dealt into four parts; each is answered by what was learned
    from the other three.
    """
    pooled = torch.from_numpy(features.mean((1, 2), dtype=np.float32))
    labels = torch.from_numpy(target.astype(np.int64))
    part = (torch.arange(len(labels)) // copies) % PARTS
    scores = torch.zeros(len(labels), classes)
    for number in range(PARTS):
        others = part != number
        if not bool(others.any()):  # fewer pictures than parts
            continue
        centre, spread = pooled[others].mean(0), pooled[others].std(0).nan_to_num(1).clamp_min(1e-3)
        weight, bias = logistic_regression((pooled[others] - centre) / spread, labels[others], classes)
        scores[~others] = F.linear((pooled[~others] - centre) / spread, weight, bias)
    return scores.half().numpy()


def logistic_regression(x: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by L-BFGS: weight (K, C), bias (K,)."""
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), labels) + DECAY * weight.square().sum()
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    return weight.detach(), bias.detach()
