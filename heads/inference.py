"""A network as it runs: nothing that is only needed to learn, and weights that are ready to be multiplied."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from heads.trunk import Block
from semcomp.blocks import Pointwise
from semcomp.precision import multiplies_bfloat16

N = TypeVar("N", bound=nn.Module)


def for_inference(network: N, device: torch.device) -> N:
    """A copy on `device`: the norms of blocks folded into the convolutions before them, channels last, and weights
    in bfloat16 where autocast would make them so for every picture."""
    copy = deepcopy(network).to(device).eval().requires_grad_(False)
    for module in copy.modules():
        if isinstance(module, Block) and isinstance(module.norm, nn.BatchNorm2d):
            module.depthwise = fuse_conv_bn_eval(module.depthwise, module.norm)
            module.norm = nn.Identity()
    for module in copy.modules():
        if isinstance(module, (nn.Conv2d, Pointwise, nn.Linear)):
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
            if multiplies_bfloat16(device):
                module.weight.data = module.weight.data.bfloat16()
                if module.bias is not None:
                    module.bias.data = module.bias.data.bfloat16()
    return copy
