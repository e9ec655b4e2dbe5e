"""A network as it runs: nothing that is only needed to learn, and weights that are ready to be multiplied."""

from copy import deepcopy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from heads.layers import Block, LatentStem
from semcomp.networks.blocks import Pointwise, Up
from semcomp.networks.precision import stored_fast

N = TypeVar("N", bound=nn.Module)


FOLDED_QUALITIES = 16
"""Number of qualities whose folded layers are kept."""


class FoldedStem(nn.Module):
    """A stem for latents of one rate at a time, whose scale and shift its unfolding does in passing. Safe to use from
    several threads."""

    def __init__(self, stem: LatentStem):
        super().__init__()
        layer = stem.unfold
        assert isinstance(layer, Up), "a stem that still learns is not folded"
        self.weight, self.bias, self.factor = layer.conv.weight, layer.conv.bias, layer.factor
        self.stem = stem
        stem.unfold = nn.Identity()
        self._folded: dict[int, nn.Module] = {}
        """Folded layers by quality. The dictionary is replaced as a whole, because several threads may read it."""

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        unfold = self._folded.get(int(quality)) or self._fold(quality)
        unfolded = unfold(self.stem.reduce(self.stem.prepared(y_hat)))
        result: Tensor = self.stem.descent(F.pixel_shuffle(unfolded, self.factor))
        return result

    def _fold(self, quality: Tensor) -> nn.Module:
        scale, shift = self.stem.rate(quality)[0, :, 0, 0].repeat_interleave(self.factor**2).chunk(2)
        layer = Pointwise.of(self.weight * (1 + scale)[:, None], self.bias * (1 + scale) + shift)
        folded = stored_fast(nn.Sequential(layer), self.weight.device)
        self._folded = dict([*self._folded.items(), (int(quality), folded)][-FOLDED_QUALITIES:])
        return folded


def for_inference(network: N, device: torch.device) -> N:
    """A copy like `stored_fast` makes, for one picture at a time: scales and shifts are multiplied into the weights
    beforehand."""
    copy = deepcopy(network).eval()
    for name, module in list(copy.named_modules()):
        if isinstance(module, Block) and isinstance(module.norm, nn.BatchNorm2d):
            module.depthwise = fuse_conv_bn_eval(module.depthwise, module.norm)
            module.norm = nn.Identity()
        elif isinstance(module, LatentStem):
            copy.set_submodule(name, FoldedStem(module))
    return stored_fast(copy, device)
