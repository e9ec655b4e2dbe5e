"""What the layers of graphs multiply in photos, so that rounding their weights changes the outputs little."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semcomp.export.entropy_parts import Heads, MeanFirstPart
from semcomp.export.int8 import Calibration
from semcomp.export.part import Part
from semcomp.networks.blocks import Pointwise
from semcomp.pipeline.passes import turns

_DAMPING = 1e-4
"""Share of the mean square of the inputs that is added to every square, so that the means can be inverted."""


@dataclass
class Moments:
    """Sums of the products of the inputs of a layer."""

    sums: NDArray[np.float64]
    """(I, I)"""
    count: int = 0

    def means(self) -> NDArray[np.float64]:
        """Mean products (I, I). The fewer inputs were seen, the more independent they are taken to be."""
        means: NDArray[np.float64] = self.sums / (self.count + len(self.sums))
        squares = np.diag(self.sums) / self.count
        np.fill_diagonal(means, squares + _DAMPING * squares.mean() + np.finfo(np.float32).tiny)
        return means


def moments_of(part: Part, photos: Calibration) -> dict[str, Moments]:
    """The moments of the layers of the mean path or of the synthesis, by the names of their weights."""
    found: dict[str, Moments] = {}

    def watching(name: str) -> Callable[[Any, tuple[Tensor, ...]], None]:
        def watch(layer: Any, given: tuple[Tensor, ...]) -> None:
            rows = _rows(layer, given[0]).double()
            moments = found.setdefault(name, Moments(np.zeros((rows.shape[1], rows.shape[1]))))
            moments.sums += (rows.T @ rows).numpy()
            moments.count += len(rows)

        return watch

    inputs = list(_inputs(photos))  # which run the layers too
    layers = [(name, layer) for name, layer in part.module.named_modules() if _is_dense(layer)]
    hooks = [layer.register_forward_pre_hook(watching(f"{name}.weight")) for name, layer in layers]
    try:
        with torch.no_grad():
            for values in inputs:
                part.module(*(values[value.name] for value in part.inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _is_dense(layer: nn.Module) -> bool:
    """Whether a layer multiplies all its inputs by one weight."""
    return isinstance(layer, (Pointwise, Heads)) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def _rows(layer: Any, values: Tensor) -> Tensor:
    """(N, I): what a layer multiplies, of its inputs (1, C, h, w)."""
    if isinstance(layer, nn.Conv2d):
        values = F.unfold(values, layer.kernel_size, padding=layer.padding, stride=layer.stride)  # type: ignore[arg-type]
    return values.flatten(2)[0].T


@torch.no_grad()
def _inputs(photos: Calibration) -> Iterator[dict[str, Tensor]]:
    """Values for the inputs of these graphs, for every crop of the photos. The passes take turns."""
    network = photos.codec.network
    passes = photos.codec.release.config.passes
    first = MeanFirstPart(network)
    for latents, symbols, number in zip(photos.latents, photos.symbols, cycle(range(1, passes))):
        y_hat, z_hat, quality = map(torch.from_numpy, (latents["y_hat"], symbols["z_hat"], latents["quality"]))
        known = torch.zeros_like(y_hat)
        for turn in chain.from_iterable(turns(passes, earlier) for earlier in range(number)):
            known[0][turn] = y_hat[0][turn]
        yield {
            "y_hat": y_hat,
            "z_hat": z_hat,
            "features": first(z_hat, quality)[0],
            "known": known,
            "number": torch.tensor([number]),
            "quality": quality,
        }
