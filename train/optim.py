"""Optimizers, the schedule of their learning rate, and the moving average of the weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from heads.schedule import falling_rate

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Learning rates and their schedule."""

    lr: float = 1e-3
    """AdamW's, for everything that Muon does not take."""
    muon_lr: float = 0.0
    """Muon's (Jordan 2024), for the matrices of the pointwise layers. 0 gives them to AdamW. Updates are scaled to the
    RMS of AdamW's (Liu et al. 2025), so both rates are of one kind. A step takes longer than AdamW's. After
    2,200 steps BD-rate is 3 to 4 points better (docs/notebook/2026-11-28-codec-queue.md)."""
    muon_steps: int = 5
    """Newton-Schulz iterations of Muon; each costs as much as the others, and their number is most of its cost."""
    linear_lr: float = 1e-4
    """AdamW's, for the linear paths and the gains, which start near their optimum and have small entries: at 1e-3
    their noise alone costs more than what a run of minutes learns."""
    prior_lr: float = 5e-3
    """AdamW's, for the priors of z."""
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    """Largest norm of the gradient."""
    warmup_steps: int = 300
    hold: float = 0.3
    """Share of the run at the full rate, before the cosine begins. 1 keeps it."""
    last: float = 0.01
    """Final rate / full rate."""
    ema: float = 0.999
    """Decay of the moving average of the weights, which is what is validated and released."""


def rate_factor(config: OptimConfig, *, step: int, progress: float) -> float:
    """The factor on the learning rates when the share `progress` of the run is done."""
    return falling_rate(
        step=step, warmup_steps=config.warmup_steps, progress=progress, hold=config.hold, last=config.last
    )


def build_optimizers(module: nn.Module, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the matrices inside the networks; their rates are set by `set_rates`."""
    matrices: list[nn.Parameter] = []
    linear: list[nn.Parameter] = []
    prior: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        inner = parameter.ndim == 2 and not any(part in name for part in ("rate", "bias", "sigma", "refiner", "step"))
        if "linear" in name or "gain" in name or "centroid" in name:
            linear.append(parameter)
        elif name.startswith("prior."):
            prior.append(parameter)
        else:
            (matrices if inner and config.muon_lr else others).append(parameter)
    groups = [{"params": others, "full_lr": config.lr}, {"params": linear, "full_lr": config.linear_lr}]
    groups.append({"params": prior, "full_lr": config.prior_lr})
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, weight_decay=0.0, fused=True)
    ]
    if matrices:
        groups = [{"params": matrices, "full_lr": config.muon_lr}]
        optimizers.append(
            torch.optim.Muon(
                groups, lr=config.muon_lr, weight_decay=0.0, ns_steps=config.muon_steps, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimizers


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Sets every group's learning rate to `factor` times its full one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor


@torch.no_grad()
def keep_layout(optimizer: torch.optim.Optimizer) -> None:
    """Gives loaded moments the memory layout of their parameters: the fused AdamW reads both in step."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def moving_average(module: nn.Module, config: OptimConfig) -> AveragedModel:
    """A copy of the module that follows it. The decay grows from 0.1, so that the first steps are forgotten."""

    @torch.no_grad()
    def follow(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
        count = int(count)
        decay = min(config.ema, (1 + count) / (10 + count))
        torch._foreach_lerp_(averages, values, 1 - decay)

    return AveragedModel(module, multi_avg_fn=follow)
