"""The discriminator: real or made, for overlapping patches, given the latents, the label map and the mask.

    x          B 3 H W, shown at 1/4 as 48 channels
    condition  y_hat through one pointwise layer, guide, keep: brought to 1/4 (after Mentzer et al. 2020, HiFiC)
    logits     B 1 H/16 W/16, each of about 90 pixels' surroundings

Its layers have a spectral norm (Miyato et al. 2018). Their outputs are what feature matching compares.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from semcomp.networks.synthesis import compand

SEEN = 12
"""Number of channels that y_hat is reduced to, as in HiFiC."""


class Discriminator(nn.Module):
    """Tells real images from made ones, patch by patch.

    x (B, 3, H, W), y_hat (B, M, h, w), guide (B, K+1, 2h, 2w), keep (B, 1, h, w) -> logits, features of each layer.
    """

    def __init__(self, *, latents: int, classes: int, width: int):
        super().__init__()
        self.latents = nn.Conv2d(latents, SEEN, 1)
        conditions = 48 + SEEN + classes + 2
        self.layers = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(conditions, width, 3, padding=1)),
                spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(4 * width, 4 * width, 3, padding=1)),
            ]
        )
        self.logits = spectral_norm(nn.Conv2d(4 * width, 1, 1))

    def forward(self, x: Tensor, y_hat: Tensor, guide: Tensor, keep: Tensor) -> tuple[Tensor, list[Tensor]]:
        value = F.pixel_unshuffle(2 * x - 1, 4)
        seen = F.leaky_relu(self.latents(compand(y_hat)), 0.2)
        condition = torch.cat([seen, keep], 1)
        condition = F.interpolate(condition.float(), scale_factor=4, mode="nearest")
        value = torch.cat([value, condition, F.interpolate(guide, scale_factor=2, mode="nearest")], 1)
        features = []
        for layer in self.layers:
            value = F.leaky_relu(layer(value), 0.2)
            features.append(value)
        return self.logits(value).float(), features


def hinge_of_discriminator(real: Tensor, made: Tensor, weight: Tensor) -> Tensor:
    """The hinge loss (Lim and Ye 2017) of logits, under a weight for each patch (B, 1, H/16, W/16)."""
    return weighted_mean(F.relu(1 - real), weight) + weighted_mean(F.relu(1 + made), weight)


def feature_distance(made: list[Tensor], real: list[Tensor], weight: Tensor) -> Tensor:
    """Feature matching (Wang et al. 2018): mean over layers of the weighted mean absolute difference."""
    layers = zip(made, real, strict=True)
    return torch.stack([weighted_mean((a.float() - b.float()).abs(), weight) for a, b in layers]).mean()


def weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    """The mean of (B, C, h, w) under weights (B, 1, H/16, W/16) of the positions; 0 if all weights are 0."""
    weight = F.interpolate(weight, size=value.shape[2:], mode="nearest")
    return (value * weight).sum() / (weight.sum() * value.shape[1]).clamp_min(1)
