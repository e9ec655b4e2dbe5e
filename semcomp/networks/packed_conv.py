"""Convolutions whose weights are stored in the order in which the processor multiplies them.

oneDNN reorders a convolution's weights at every call. For a small picture that takes as long as the convolution itself.
torch.ops.mkldnn can reorder them once; torch's compiler uses it. The results are equal, bit for bit.

The order depends on the input's shape and on the number of threads, and weights in the order of another shape make a
convolution far slower. A shape that is seen twice therefore gets its own copy, and the last few are cached.
"""

from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semcomp.networks.blocks import Pointwise

CACHED_SHAPES = 4
"""Shapes for which a convolution caches its reordered weights."""


class PackedConvolution(nn.Module):
    """Replaces a convolution in bfloat16 on the CPU, for inference. Several threads may call it."""

    def __init__(self, convolution: nn.Conv2d | Pointwise):
        super().__init__()
        if isinstance(convolution, Pointwise):
            weight = convolution.weight[:, :, None, None]
            self.settings = ([0, 0], [1, 1], [1, 1], 1)
        else:
            c, weight = convolution, convolution.weight
            assert not isinstance(c.padding, str) and c.padding_mode == "zeros"
            self.settings = (list(c.padding), list(c.stride), list(c.dilation), c.groups)
        self.weight = weight.detach().bfloat16().contiguous(memory_format=torch.channels_last)
        self.bias = None if convolution.bias is None else convolution.bias.detach().bfloat16()
        self._ready: dict[tuple[torch.Size, int], Tensor | None] = {}
        self._lock = Lock()

    def forward(self, value: Tensor) -> Tensor:
        value = value.bfloat16().contiguous(memory_format=torch.channels_last)  # other orders round otherwise
        key = (value.shape, torch.get_num_threads())
        weight = self._ready.get(key)
        if weight is None:
            weight = self._packed(key)
        padding, stride, dilation, groups = self.settings
        if weight is None:
            return F.conv2d(value, self.weight, self.bias, stride, padding, dilation, groups)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            value, weight, self.bias, *self.settings, "none", [], ""
        )
        return result

    def _packed(self, key: tuple[torch.Size, int]) -> Tensor | None:
        """The reordered weight of a shape that was seen before. None for a new shape, which may never come again."""
        weight = None
        if key in self._ready:
            weight = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self.settings, list(key[0]))
        with self._lock:
            self._ready.pop(key, None)
            while len(self._ready) >= CACHED_SHAPES:
                del self._ready[next(iter(self._ready))]
            self._ready[key] = weight
        return weight


class DirectConvolution(nn.Module):
    """Replaces a float32 convolution on the CPU, for inference, by oneDNN's.

    On one thread torch multiplies small inputs with MKL, which takes longer than oneDNN.
    """

    def __init__(self, convolution: nn.Conv2d | Pointwise):
        super().__init__()
        weight = convolution.weight.detach()
        self.settings: tuple[list[int], list[int], list[int], int] = ([0, 0], [1, 1], [1, 1], 1)
        if isinstance(convolution, Pointwise):
            weight = weight[:, :, None, None]
        else:
            c = convolution
            assert not isinstance(c.padding, str) and c.padding_mode == "zeros"
            self.settings = (list(c.padding), list(c.stride), list(c.dilation), c.groups)
        self.weight = weight.float().contiguous(memory_format=torch.channels_last)
        self.bias = None if convolution.bias is None else convolution.bias.detach().float()

    def forward(self, value: Tensor) -> Tensor:
        if not torch.backends.mkldnn.enabled:
            padding, stride, dilation, groups = self.settings
            return F.conv2d(value, self.weight, self.bias, stride, padding, dilation, groups)
        value = value.contiguous(memory_format=torch.channels_last)
        result: Tensor = torch.mkldnn_convolution(value, self.weight, self.bias, *self.settings)
        return result


def direct(network: nn.Module) -> None:
    """Replace the convolutions of a network in float32 by `DirectConvolution`, in place."""
    for name, module in list(network.named_modules()):
        if name and isinstance(module, nn.Conv2d | Pointwise):
            network.set_submodule(name, DirectConvolution(module))


def can_pack() -> bool:
    """Whether this build of torch has the operators."""
    names = ("_convolution_pointwise", "_reorder_convolution_weight")
    available = torch.backends.mkldnn.is_available()
    return bool(available) and all(hasattr(torch.ops.mkldnn, name) for name in names)


def pack(network: nn.Module) -> None:
    """Replace the convolutions of a network in place."""
    for name, module in list(network.named_modules()):
        if name and isinstance(module, nn.Conv2d | Pointwise):
            network.set_submodule(name, PackedConvolution(module))
