"""The perceptual distance of two images: LPIPS if its backbone is on this machine, else features of SqueezeNet v1.0.

Both compare unit-normalised features of several layers (Zhang et al. 2018). The second has none of the weights that
LPIPS learned from people's answers. It is not LPIPS, and every report calls it by its own name.
"""

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from heads.squeezenet import SqueezeNet

FIRES = (3, 4, 6, 8, 9)
"""Numbers of the fire modules whose features are compared: two at 1/4, two at 1/8, one at 1/16."""
LPIPS_BACKBONES = {"alex": "alexnet-owt-*.pth", "vgg": "vgg16-*.pth", "squeeze": "squeezenet1_1-*.pth"}


class Distance(Protocol):
    """A distance of images: (B, 3, H, W) twice, RGB in about [0, 1], and weights (B, 1, H, W) in [0, 1] -> (B,)."""

    name: str

    def __call__(self, made: Tensor, original: Tensor, weight: Tensor) -> Tensor:
        """The weighted distance of each image. Gradients pass to `made`."""


class SqueezeNetDistance:
    """Mean over layers of the weighted mean squared difference of unit-normalised features."""

    name = "features of SqueezeNet v1.0"

    def __init__(self, weights: str | Path):
        self.network = SqueezeNet(weights)

    def __call__(self, made: Tensor, original: Tensor, weight: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.network.maps(original, FIRES)
        parts = []
        for a, b in zip(self.network.maps(made, FIRES), wanted, strict=True):
            error = (_unit(a) - _unit(b)).square().sum(1, keepdim=True)
            parts.append(_weighted_mean(error, weight))
        return torch.stack(parts).mean(0)


class LpipsDistance:
    """LPIPS, computed for every position and averaged under the weights."""

    def __init__(self, backbone: str, device: torch.device):
        import lpips

        self.name = f"LPIPS ({backbone})"
        self.network = lpips.LPIPS(net=backbone, spatial=True, verbose=False).eval().requires_grad_(False).to(device)

    def __call__(self, made: Tensor, original: Tensor, weight: Tensor) -> Tensor:
        return _weighted_mean(self.network(2 * made - 1, 2 * original - 1).float(), weight)


def find_distance(weights: str | Path, *, device: torch.device) -> Distance:
    """LPIPS if the package and a backbone are on this machine, else the SqueezeNet in `weights`. Downloads nothing.

    Raises:
        ModelError: Neither is there.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for backbone, pattern in LPIPS_BACKBONES.items():
        if any(folder.glob(pattern)):
            try:
                return LpipsDistance(backbone, device)
            except ImportError:
                break
    return SqueezeNetDistance(weights)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-6)


def _weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    weight = F.interpolate(weight, size=error.shape[2:], mode="area")
    return (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1)
