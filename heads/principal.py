"""What an embedding begins as: the principal components of the features of its trunk.

Photos that the trunk's features hold for alike stay alike in far fewer values (Jegou and Chum 2012, without whitening).
"""

import numpy as np
import torch
from torch import Tensor

from heads.classifier import ClassifierNetwork
from heads.latent_cache import Cache
from heads.losses import read_value
from semcomp.networks.precision import fast_pixels

CROPS = 6000
"""Largest number of crops whose features are looked at."""
BATCH = 64


@torch.no_grad()
def features_of(network: ClassifierNetwork, crops: Cache) -> Tensor:
    """Compute what the last layer reads of crops that are evenly drawn: float32 (N, C)."""
    chosen = np.unique(np.linspace(0, len(crops) - 1, min(CROPS, len(crops))).astype(np.int64))
    network.eval()
    rows = []
    for part in np.array_split(chosen, -(-len(chosen) // BATCH)):
        value, quality = read_value(crops, part)
        with fast_pixels(value.device):
            rows.append(network.features(value, quality).float())
    return torch.cat(rows)


@torch.no_grad()
def begin_with_components(network: ClassifierNetwork, crops: Cache) -> float:
    """Let the last layer give the components with most variance; returns their share of it."""
    features = features_of(network, crops)
    mean = features.mean(0)
    _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
    count = min(network.linear.out_features, len(directions))
    network.linear.weight.zero_()
    network.linear.weight[:count] = directions[:count]
    network.linear.bias.copy_(-network.linear.weight @ mean)
    return float(spread[:count].square().sum() / spread.square().sum())
