"""The deep half of a network that ImageNet has taught, for heads that read latents with it.

What the shallow half makes of pixels, a head's own layers make of latents. From 1/16 on the published stages follow
(after Torfason et al. 2018, who began a ResNet at its later stages). They are inverted residuals (Sandler et al. 2018),
and their batch norms are multiplied into their convolutions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.blocks import Pointwise, sum_

NAME = "efficientnet-lite2"
"""The backbone that there is: EfficientNet-Lite2 (Tan and Le 2019; Lite: Liu 2020)."""
READS, FINE, COARSE, LAST = 88, 120, 352, 1280
"""Channels: what the stages read, and what they give at 1/16, at 1/32, and last."""
SHALLOW = 4
"""Number of the published stages before these."""
STAGES16 = ((FINE, 5, 1),) * 4
STAGES32 = ((208, 5, 2), *((208, 5, 1),) * 4, (COARSE, 3, 1))
"""Channels, kernel and stride of each block at 1/16 and at 1/32."""
EXPANSION = 6


class InvertedResidual(nn.Module):
    """Pointwise to six times the channels, depthwise, pointwise back, with a residual where the shape stays.

    (B, C, h, w) -> (B, D, h / stride, w / stride), with even sides for stride 2.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int):
        super().__init__()
        width, self.stride = EXPANSION * inputs, stride
        # TensorFlow's padding: of the positions that stride 2 needs one more, at the bottom and on the right.
        self.border = (kernel - stride) // 2, (kernel - 1) // 2
        padding = kernel // 2 if stride == 1 else 0
        self.expand = Pointwise(inputs, width)
        self.depthwise = nn.Conv2d(width, width, kernel, stride, padding=padding, groups=width)
        self.project = Pointwise(width, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, value: Tensor) -> Tensor:
        wide = F.relu6(self.expand(value), inplace=True)
        if self.stride > 1:
            wide = F.pad(wide, self.border * 2)
        projected: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return sum_(value, projected) if self.residual else projected


class LastLayer(nn.Module):
    """The pointwise layer before the mean over the picture: (B, 352, h, w) -> (B, 1280, h, w), not negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Pointwise(COARSE, LAST)

    def forward(self, value: Tensor) -> Tensor:
        return F.relu6(self.conv(value), inplace=True)


def stages16() -> list[nn.Module]:
    """Make the blocks at 1/16, untrained: 88 channels become 120."""
    return _blocks(READS, STAGES16)


def stages32() -> list[nn.Module]:
    """Make the blocks at 1/32, untrained: 120 channels become 352. The first one halves the grid."""
    return _blocks(FINE, STAGES32)


def check(backbone: str | None, widths: tuple[int, ...]) -> None:
    """ValueError where there is no such backbone, or a network names other widths than the backbone's."""
    if backbone is None:
        return
    if backbone != NAME:
        raise ValueError(f"backbone is {NAME} or null, not {backbone!r}")
    own = (FINE, COARSE, LAST)[: len(widths)]
    if widths != own:
        raise ValueError(f"the widths of the backbone {NAME} are {own}, not {widths}")


def _blocks(inputs: int, stages: Iterable[tuple[int, int, int]]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for outputs, kernel, stride in stages:
        blocks.append(InvertedResidual(inputs, outputs, kernel=kernel, stride=stride))
        inputs = outputs
    return blocks


@dataclass(frozen=True)
class Taught:
    """What the published network holds, by the layers that it becomes here."""

    network: Any
    """timm's network with the published weights (heads.teachers.efficientnet.Names.network)."""

    @torch.no_grad()
    def fill(self, layers: Iterable[nn.Module]) -> None:
        """Write the weights into the blocks among these layers, in their order, and into the last layer."""
        theirs = iter([block for stage in self.network.blocks[SHALLOW:] for block in stage])
        for layer in layers:
            if isinstance(layer, InvertedResidual):
                block = next(theirs)
                for own, conv, norm in (
                    (layer.expand, block.conv_pw, block.bn1),
                    (layer.depthwise, block.conv_dw, block.bn2),
                    (layer.project, block.conv_pwl, block.bn3),
                ):
                    _fill(own, conv, norm)
            elif isinstance(layer, LastLayer):
                _fill(layer.conv, self.network.conv_head, self.network.bn2)

    def read(self) -> tuple[Tensor, Tensor]:
        """Mean and spread (88,) of what the blocks read, by the batch norms before them."""
        norms = [block.bn3 for block in self.network.blocks[SHALLOW - 1]]
        mean = torch.stack([norm.bias for norm in norms]).sum(0)
        return mean.detach(), torch.stack([norm.weight for norm in norms]).norm(dim=0).detach()


def _fill(own: nn.Module, conv: nn.Conv2d, norm: Any) -> None:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * scale[:, None, None, None]
    assert isinstance(own, Pointwise | nn.Conv2d) and own.bias is not None
    own.weight.copy_(weight.view_as(own.weight))
    own.bias.copy_(norm.bias - norm.running_mean * scale)
