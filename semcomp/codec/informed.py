"""Rounding that knows the picture: latents move to where this picture's error is smallest, and are rounded again.

    symbols ──► y_hat ──► synthesis ──► squared error ──► its gradient g by y_hat, in one backward pass
    v  ◄──  v + strength * (y_hat - g / curvature - v)      in steps of the quantizer
    the ordinary encoder rounds v again, and weighs bits against error at `informed_price`

One element alone would have its smallest error at y_hat - g / curvature. All of them move at once and their steps add
up, so each goes a part of the way only, and less from round to round. Elements that are not coded keep the symbol 0 and
do not move. This is a search for better symbols, as the descent is, and the decoder does not know of it.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from semcomp.codec.task import Task
from semcomp.networks.model import CodecModel
from semcomp.networks.precision import fast_pixels
from semcomp.pipeline.rdo import THEORY
from semcomp.types import Symbols

CURVATURE = 2 * THEORY
"""Second derivative of the error, in bits: a squared step costs THEORY bits."""
STRENGTH = 0.25
"""Part of the way in the first round. Found on photos of the training set, as the price was."""


def strengths(rounds: int) -> list[float]:
    """Part of the way in every round: STRENGTH, and then less and less.

    Example:
        >>> strengths(2)
        [0.25, 0.15]
    """
    return [round(STRENGTH * (1 - number / (rounds + 0.5)), 3) for number in range(rounds)]


class Informed:
    """Moves latents. Several threads may use one."""

    def __init__(self, network: CodecModel, *, device: torch.device):
        self.network, self.device = network, device
        # In training mode the modules compute the same, with gradients that take less time (semcomp/networks/fused.py).
        self.synthesis = deepcopy(network.synthesis).train()

    @torch.inference_mode(False)
    @torch.no_grad()
    def moved(self, task: Task, value: Tensor, quantized: tuple[Symbols, Tensor], *, strength: float) -> Tensor:
        """Move latents.

        Args:
            task: The picture.
            value: Latents in steps of the quantizer, (1, M, 4a, 4b).
            quantized: The symbols that they were rounded to, and the y_hat (1, M, rows, columns) of these.
            strength: Part of the way to go.

        Returns:
            The latents to round next, (1, M, 4a, 4b).
        """
        symbols, y_hat = quantized
        rows, columns = y_hat.shape[-2:]
        steps = self.network.inverse_gain(torch.tensor([task.quality], device=self.device))
        best = y_hat / steps - self._gradient(task, y_hat) * steps / CURVATURE
        result = value.clone()
        part = result[..., :rows, :columns]
        coded = torch.from_numpy(symbols.index >= 0).to(self.device)
        part += strength * coded * (best - part)
        return result if task.free is None else torch.where(task.free, result, value)

    def _gradient(self, task: Task, y_hat: Tensor) -> Tensor:
        """Gradient of lmbda * squared error by y_hat, tile by tile."""
        quality = torch.tensor([task.quality], device=self.device)
        lmbda, gradient = self.network.lmbda(quality), torch.empty_like(y_hat)
        for tile in task.tiles(*y_hat.shape[-2:]):
            target = task.target(tile.source, self.device)
            region = y_hat[..., tile.source[0], tile.source[1]].clone(memory_format=torch.channels_last)
            with torch.enable_grad(), fast_pixels(self.device):
                error = target.error(self.synthesis(region.requires_grad_(), quality))
                (found,) = torch.autograd.grad(lmbda * error, region)
            gradient[..., tile.target[0], tile.target[1]] = found[..., tile.inner[0], tile.inner[1]]
        return gradient
