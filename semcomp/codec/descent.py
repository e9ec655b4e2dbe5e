"""Latents fitted to one picture: gradient descent through the decoder, with annealed rounding in place of rounding.

    v  = y * gain at the start     B M H/16 W/16, in steps of the quantizer
    every step:  v ──► annealed residuals around the mean ──► y_hat ──► synthesis ──► squared error
                                       └──► bits by the integer tables
    J  = bits + THRIFT * lmbda * squared error, summed over the picture; Adam moves v along its gradient

The analysis is trained for all photos at once, and cannot be the best one for each. The decoder stays as it is, so this
is a search for better symbols. z keeps its symbols, so tables that z alone decides never change. Where later passes
take their tables from earlier symbols, the integer path chooses them from the nearest integers.

Nothing here decides a bit: the result is the v that the ordinary encoder rounds (`LatentCoder.choose`). A picture of
more than 2,048 pixels a side is descended tile by tile, each with its surroundings, so memory is bounded by a tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semcomp.codec.annealing import anneal, logistic
from semcomp.codec.release import Release
from semcomp.codec.tables_in_use import Coding, TablesInUse
from semcomp.codec.task import Target, Task
from semcomp.networks.blocks import Pointwise
from semcomp.networks.fused import fixed_linear
from semcomp.networks.model import CodecModel
from semcomp.networks.precision import fast_pixels, multiplies_bfloat16
from semcomp.pipeline.effort import Progress, no_progress
from semcomp.pipeline.tiles import Region
from semcomp.types import STRIDE_Y

THRIFT = 0.8
"""Part of the quality's lmbda at which bits are weighed against the error. At lmbda itself the gain would go into PSNR,
and the file would grow; here PSNR stays about what it is, and the file shrinks."""
SEED = 20200604


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the descent goes. The values were found on photos of the training set."""

    steps: int
    rate: float = 0.05
    """Adam's step size in steps of the quantizer. It falls along a cosine to a tenth."""
    hot: float = 0.8
    """First temperature."""
    cold: float = 0.2
    """Last temperature; it falls geometrically."""
    memory: tuple[float, float] = (0.8, 0.95)
    """Adam's decay of the gradient's mean and of its square."""

    def at(self, step: int) -> tuple[float, float]:
        """Step size and temperature of a step."""
        done = step / max(1, self.steps - 1)
        rate = self.rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
        return rate, self.hot * (self.cold / self.hot) ** done


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The part of a task that is descended at once."""

    target: Target
    value: Tensor
    features: Tensor
    """What the mean path takes from z_hat."""
    sums: Tensor
    """What the sigma path takes from it."""
    usable: Tensor
    free: Tensor | None


class _Adam:
    """Adam (Kingma & Ba 2015) on one tensor. torch.optim imports torch's compiler, which takes a second."""

    def __init__(self, value: Tensor, memory: tuple[float, float]):
        self.value, self.memory, self.step = value, memory, 0
        self.mean, self.square = torch.zeros_like(value), torch.zeros_like(value)

    @torch.no_grad()
    def move(self, gradient: Tensor, rate: float) -> None:
        """One step along the gradient."""
        self.step += 1
        slow, slower = self.memory
        self.mean.lerp_(gradient, 1 - slow)
        self.square.mul_(slower).addcmul_(gradient, gradient, value=1 - slower)
        size = (self.square / (1 - slower**self.step)).sqrt_().add_(1e-8)
        self.value.addcdiv_(self.mean, size, value=-rate / (1 - slow**self.step))


class Descent:
    """Fits latents to pictures. Several threads may use one."""

    def __init__(self, release: Release, network: CodecModel, *, device: torch.device):
        self.network, self.device = network, device
        # In training mode the modules compute the same, with gradients that take less time (semcomp/networks/fused.py).
        self.synthesis = deepcopy(network.synthesis).train()
        self.mean_path = deepcopy(network.mean_path).train()
        for name, layer in list(self.mean_path.named_modules()):
            if isinstance(layer, Pointwise):
                self.mean_path.set_submodule(name, _Rows(layer, narrow=multiplies_bfloat16(device)))
        self.sigma = release.sigma.to(device)
        self.coding = Coding.of(release, network, device)

    @torch.inference_mode(False)
    @torch.no_grad()
    def run(self, task: Task, schedule: Schedule, on_progress: Progress = no_progress) -> Tensor:
        """v after the descent, in place of `task.scaled`. Equal arguments give an equal result.

        Args:
            task: The picture.
            schedule: How far to go.
            on_progress: Is called after every step. What it raises ends the descent.
        """
        quality = torch.tensor([task.quality], device=self.device)
        value, z_hat = task.scaled.clone(memory_format=torch.channels_last), task.z_hat.clone()
        features = self.mean_path.features(z_hat, quality).float()
        sums = self.sigma.sums(z_hat, task.quality)
        parts = list(task.tiles(*value.shape[-2:]))
        generator = torch.Generator().manual_seed(SEED)
        for number, part in enumerate(parts):
            field = self._field(task, part.source, value, features, sums)

            def heard(step: int, number: int = number) -> None:
                on_progress(number * schedule.steps + step, len(parts) * schedule.steps)

            found = self._descend(field, quality, schedule, generator, heard)
            value[..., part.target[0], part.target[1]] = found[..., part.inner[0], part.inner[1]]
        return value

    def _field(self, task: Task, region: Region, value: Tensor, features: Tensor, sums: Tensor) -> _Field:
        rows, columns = region
        return _Field(
            target=task.target(region, self.device),
            value=value[..., rows, columns].clone(memory_format=torch.channels_last),
            features=features[..., rows, columns],
            sums=sums[..., rows, columns],
            usable=task.usable[..., rows, columns],
            free=None if task.free is None else task.free[..., rows, columns],
        )

    def _descend(
        self,
        field: _Field,
        quality: Tensor,
        schedule: Schedule,
        generator: torch.Generator,
        heard: Callable[[int], None],
    ) -> Tensor:
        with torch.enable_grad():
            value = field.value.requires_grad_()
            adam = _Adam(value, schedule.memory)
            tables = TablesInUse(self.coding, value, field.sums, field.usable, quality=int(quality))
            for step in range(schedule.steps):
                rate, tau = schedule.at(step)
                tables.begin(step)
                cost = self._cost(field, tables, quality, generator, tau)
                (gradient,) = torch.autograd.grad(cost, value)
                if field.free is not None:
                    gradient = gradient * field.free
                adam.move(gradient, rate)
                tables.end()
                heard(step + 1)
        return value.detach()

    def _cost(
        self, field: _Field, tables: TablesInUse, quality: Tensor, generator: torch.Generator, tau: float
    ) -> Tensor:
        """J of one draw of the rounding."""
        bits: list[Tensor] = []

        def residual(mean: Tensor, mask: Tensor) -> Tensor:
            number = len(bits)
            places, index = tables.of(number, mask)
            noise = logistic(len(places), generator, self.device)
            part, paid = anneal(
                field.value, mean, places, index, costs=tables.costs, noise=noise, tau=tau, price=tables.price(number)
            )
            tables.add(mean)
            bits.append(paid)
            return part

        gains = self.network.gain(quality), self.network.inverse_gain(quality)
        z_hat = torch.empty(0, device=self.device)  # its features are given
        y_hat = self.network.two_passes(
            z_hat, quality, residual, mean_path=self.mean_path, gains=gains, features=field.features
        )
        height, width = (side // STRIDE_Y for side in field.target.pixels.shape[-2:])
        with fast_pixels(self.device):
            x_hat = self.synthesis(y_hat[..., :height, :width].contiguous(memory_format=torch.channels_last), quality)
        error = field.target.error(x_hat)
        cost: Tensor = torch.stack(bits).sum() + THRIFT * self.network.lmbda(quality) * error
        return cost


class _Rows(nn.Module):
    """A pointwise layer as a product of float32 matrices, whose gradient has factors in bfloat16 where that pays."""

    def __init__(self, layer: Pointwise, *, narrow: bool):
        super().__init__()
        self.weight, self.bias, self.narrow = layer.weight, layer.bias, narrow

    def forward(self, value: Tensor) -> Tensor:
        return fixed_linear(value, self.weight, self.bias, narrow=self.narrow)
