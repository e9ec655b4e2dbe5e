"""Symbols of high effort: what a search finds, if it is better than what rounding gives.

The ordinary encoder chooses the symbols of effort 5 first. A search (informed.py or descent.py) then moves the
latents, and the ordinary encoder rounds them once more. Both are decoded, and the new symbols are kept if bits + lmbda
* squared error is lower, at the quality's lmbda and at the smaller one that the descent uses. The coded stream gives
the bits, and the decoded pixels give the error, so high effort is never worse than effort 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.codec.descent import THRIFT, Descent, Schedule
from semcomp.codec.informed import Informed, strengths
from semcomp.codec.latent_coder import LatentCoder
from semcomp.codec.task import Task
from semcomp.pipeline.effort import Effort, Progress
from semcomp.pipeline.rdo import Price, informed_price
from semcomp.types import STRIDE_Y, Symbols

Quantized = tuple[Symbols, Tensor]
"""Symbols, and the y_hat that a decoder makes of them."""
Pixels = NDArray[np.uint8]
"""(height, width, 3)."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """One picture at one quality."""

    coder: LatentCoder
    search: Informed | Descent
    """What moves the latents: the one that the effort asks for."""
    pixels: Pixels
    quality: int
    decode: Callable[[Tensor], Pixels]
    """The pixels that a decoder makes of y_hat."""
    free: NDArray[np.bool_] | None = None
    """bool (rows, columns) of y: positions that may change, and whose pixels count. None for all."""

    @torch.inference_mode()
    def better(self, y: Tensor, plain: Quantized, *, effort: Effort, on_progress: Progress) -> Quantized:
        """Fit the latents.

        Args:
            y: The analysis (1, M, 4a, 4b).
            plain: What effort 5 gives for it.
            effort: How far to go.
            on_progress: Hears of every step.

        Returns:
            The symbols and their y_hat, or `plain` where nothing better was found.
        """
        rows, columns = plain[1].shape[-2:]
        scaled, z_hat = self.coder.scaled(y, quality=self.quality)
        movable = self.coder.kept(self.free, scaled.shape)
        if movable is not None:
            still = self.coder.unrounded(plain, scaled, quality=self.quality)
            scaled = torch.where(movable, scaled, still)
        task = Task(
            pixels=torch.from_numpy(self.pixels),
            quality=self.quality,
            scaled=scaled,
            z_hat=z_hat,
            usable=self.coder.usable(scaled.shape, rows, columns, None),
            free=movable,
        )
        if isinstance(self.search, Informed):
            candidate = self._informed(self.search, task, plain, effort.rounds, on_progress)
        else:
            found = self.search.run(task, Schedule(steps=effort.steps), on_progress)
            candidate = self._rounded(task, found, None)
        pairs = zip(self.costs(candidate), self.costs(plain), strict=True)
        return candidate if all(new < old for new, old in pairs) else plain

    def _informed(
        self, search: Informed, task: Task, plain: Quantized, rounds: int, on_progress: Progress
    ) -> Quantized:
        found, quantized = task.scaled, plain
        for number, strength in enumerate(strengths(rounds)):
            found = search.moved(task, found, quantized, strength=strength)
            # Where a part of the picture keeps its symbols, no step towards zero may be taken there.
            quantized = self._rounded(task, found, informed_price(rounds) if task.free is None else None)
            on_progress(number + 1, rounds)
        return quantized

    def _rounded(self, task: Task, value: Tensor, price: Price | None) -> Quantized:
        """What the ordinary encoder makes of latents. Without a price it takes the nearest integers."""
        height, width = self.pixels.shape[:2]
        return self.coder.choose(
            value, task.z_hat, height=height, width=width, quality=self.quality, optimise=price is not None, price=price
        )

    def costs(self, quantized: Quantized) -> tuple[float, float]:
        """Bits of the stream + lmbda * squared error, at the quality's lmbda and at the part of it that is THRIFT.

        The error is on the 0-255 scale and averaged over the colours.
        """
        symbols, y_hat = quantized
        lmbda = float(self.coder.network.lmbda(torch.tensor([self.quality])))
        error = lmbda * sum_of_squares(self.pixels, self.decode(y_hat), self.free) / 3
        bits = 8 * len(self.coder.write(symbols, quality=self.quality))
        return bits + error, bits + THRIFT * error


def sum_of_squares(pixels: Pixels, decoded: Pixels, free: NDArray[np.bool_] | None = None) -> float:
    """Squared error over the pixels of the positions that are `free`, bool (rows, columns)."""
    total, width = 0, pixels.shape[1]
    for top in range(0, len(pixels), STRIDE_Y):
        rows = slice(top, top + STRIDE_Y)
        squares = np.square(pixels[rows].astype(np.int64) - decoded[rows]).sum(2)
        if free is not None:
            squares = squares[:, np.repeat(free[top // STRIDE_Y], STRIDE_Y)[:width]]
        total += int(squares.sum())
    return float(total)
