"""bfloat16 for the networks between pixels and latents, on processors that multiply it natively.

Training runs these networks under bfloat16 autocast, with the linear paths and the last layers in float32. PSNR on
training photos hardly changes, and analysis and synthesis take clearly less time. The mean path stays in float32
for files, because encoder and decoder must agree on it.
"""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from semcomp.networks.blocks import Pointwise
from semcomp.networks.packed_conv import can_pack, direct, pack
from semcomp.networks.rate_table import RateRows, RateTable

N = TypeVar("N", bound=nn.Module)


@cache
def _cpu_has(*features: str) -> bool:
    """Whether the processor has one of these features, by torch's names."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(feature) for feature in features)


def sums_products_of_bytes() -> bool:
    """Whether the processor sums products of bytes in 32 bits in one step, and torch uses that."""
    in_use = torch.backends.mkldnn.is_available() and hasattr(torch, "_int_mm")
    return bool(in_use) and _cpu_has("avx512_vnni", "avx_vnni", "amx_int8")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on this device."""
    return _cpu_has("avx512_bf16", "amx_bf16") if device.type == "cpu" else device.type == "cuda"


def fast_pixels(device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 where it is faster; elsewhere a context that does nothing."""
    native = multiplies_bfloat16(device)
    return torch.autocast(device.type, dtype=torch.bfloat16) if native else nullcontext()


def stored_exactly(network: N, device: torch.device) -> N:
    """Copy a float32 network to `device`, prepared for inference. On the CPU oneDNN computes its convolutions."""
    copy = deepcopy(network).to(device).eval().requires_grad_(False)
    for name, module in list(copy.named_modules()):
        if name and isinstance(module, RateTable):
            copy.set_submodule(name, RateRows(module, device=device))
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and hasattr(torch, "mkldnn_convolution"):
        direct(copy)
    return copy


def stored_fast(network: N, device: torch.device) -> N:
    """Copy a network to `device`, prepared for inference within `fast_pixels`.

    Weights are channels-last. Where bfloat16 is faster, convolutions are stored in it, and on the CPU in the order in
    which they are multiplied. Rate tables hold the vectors of all qualities. The results are equal to the original's.
    """
    copy = deepcopy(network).to(device).eval().requires_grad_(False)
    for name, module in list(copy.named_modules()):
        if name and isinstance(module, RateTable):
            copy.set_submodule(name, RateRows(module, device=device))
    for module in copy.modules():
        if isinstance(module, (nn.Conv2d, Pointwise, nn.Linear)):
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
            if multiplies_bfloat16(device):
                module.weight.data = module.weight.data.bfloat16()
                if module.bias is not None:
                    module.bias.data = module.bias.data.bfloat16()
    if device.type == "cpu" and multiplies_bfloat16(device) and can_pack():
        pack(copy)
    return copy
