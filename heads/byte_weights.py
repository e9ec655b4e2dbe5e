"""Weights of heads in bytes: a step for each output, and integers of -127 to 127 times it. A file takes half as much.

Layers with few weights, scales and biases stay in half precision.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FEW = 4096
"""Number of a layer's weights below which they stay as they are."""
STEP = ".step"
"""What the name of a layer's steps ends with."""
LEVELS = 127


def in_bytes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for a file: int8 (O, ...) with float32 steps (O,) beside them, and the others in half precision.

    Counters of batch norms are left out.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.ndim > 1 and value.numel() >= FEW:
            levels, step = _levels(value.float())
            found |= {name: levels.to(torch.int8).contiguous(), f"{name}{STEP}": step}
        elif value.is_floating_point():
            found[name] = value.half().contiguous()
    return found


def from_bytes(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a network takes them, of a file with or without bytes."""
    found = {}
    for name, value in stored.items():
        if not name.endswith(STEP):
            step = stored.get(f"{name}{STEP}")
            found[name] = value if step is None else _values(value.float(), step)
    return found


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Give a network the weights that its file will hold, in place."""
    for parameter in network.parameters():
        if parameter.ndim > 1 and parameter.numel() >= FEW:
            parameter.copy_(_values(*_levels(parameter.float())))


def _levels(value: Tensor) -> tuple[Tensor, Tensor]:
    step = (value.flatten(1).abs().amax(1) / LEVELS).clamp_min(torch.finfo(torch.float32).tiny)
    return (value / _beside(step, value)).round(), step


def _values(levels: Tensor, step: Tensor) -> Tensor:
    return levels * _beside(step, levels)


def _beside(step: Tensor, value: Tensor) -> Tensor:
    return step.view(-1, *[1] * (value.ndim - 1))
