"""Graphs with coarser weights, for pages that download them: the mean path and the synthesis.

Each output channel of a weight gets its own step, which is its largest magnitude divided by the number of levels of
the layer. Levels are stored as int8, more than 127 in two parts, of which the lower one is packed well by compression.
A graph puts the weight together when it is loaded, and computes in float32. What decides symbols stays exact: `sigma`
and `refine` are not touched, and the analysis is not either.

Photos say what a layer multiplies, and two things make its steps cost less:

- Channels of latents differ a thousandfold in size. Layers that read latents get a factor for each input channel, so
  that steps are coarser where the channel is small.
- Inputs of the other layers depend on each other. What rounding the weights of one input does to the outputs is made up
  for by the weights that are not rounded yet (GPTQ, Frantar et al. 2023).

This is what 127 levels of one layer of the mean path, or 64 of the synthesis, cost in dB at quality 100, for the codec
with the entropy id 5db9071aa59e75e1:

    mean_path   entry 0.31; context 0.09; block2.project 0.03; block2.merge, block1.project, block1.expand and up 0.01;
                every other layer below 0.01
    synthesis   linear 0.14 with 127; every other layer at most 0.002

Levels are chosen so that the loss a weight is about equal: four times the loss for half the levels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.export.int8 import Calibration, quantised
from semcomp.export.moments import Moments, moments_of
from semcomp.export.part import Part

GRAPHS = ("mean_first", "mean_next", "synthesis")
LEVELS = {
    "mean_path.entry": 1030,
    "mean_path.context": 770,
    "mean_path.up": 103,
    "mean_path.block1.expand": 185,
    "mean_path.block1.project": 280,
    "mean_path.block1": 325,
    "mean_path.block2.merge": 530,
    "mean_path.block2.project": 430,
    "mean_path.block2.expand": 275,
    "mean_path.block2": 350,
    "mean_path.head1": 164,
    "mean_path.head": 210,
    "synthesis.linear": 575,
    "synthesis.entry": 33,
    "synthesis.blocks16.0.merge": 49,
    "synthesis.blocks16.0.mix": 26,
    "synthesis.blocks16.0": 14,
    "synthesis.blocks16.1.merge": 55,
    "synthesis.blocks16.1": 35,
    "synthesis.up8": 52,
    "synthesis.up4": 30,
}
"""Largest level of a layer, by the beginning of its name."""
OTHER_LEVELS = 90
SMALLEST = 4096
"""Weights with fewer elements stay as they are."""
READ_LATENTS = ("mean_path.entry", "mean_path.context", "synthesis.linear", "synthesis.entry")
"""Layers that read latents, by the beginning of their names."""
_LARGEST_BYTE = 127
_LARGEST_FACTOR = 64
"""How much coarser the steps of a small input channel may be."""


def as_compact(graphs: Sequence[Part]) -> list[Part]:
    """Mark the graphs that get coarser weights. Those that are int8 stay so."""
    chosen = [part.name in GRAPHS and part.precision == "float" for part in graphs]
    return [replace(part, precision="compact") if own else part for own, part in zip(chosen, graphs, strict=True)]


def levels_of(name: str) -> int:
    """Return the largest level of the layer that a weight belongs to."""
    return next((levels for start, levels in LEVELS.items() if name.startswith(start)), OTHER_LEVELS)


def coarse(value: NDArray[np.float32], levels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split a weight into levels and steps.

    Args:
        value: The weight. Its first axis holds the output channels. A stack of matrices holds them on its first two.
        levels: The largest level.

    Returns:
        Integers from -levels to levels in the shape of the weight, and the step of each channel, which float16 holds
        exactly.
    """
    steps = _steps(value, levels)
    return np.rint(value / steps).clip(-levels, levels).astype(np.float32), steps


def compensated(
    value: NDArray[np.float32], levels: int, moments: Moments
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split a weight (..., O, I) as `coarse` does, so that outputs change little for inputs of these moments."""
    steps, means = _steps(value, levels), moments.means()
    order = np.argsort(-np.diag(means), kind="stable")
    # Row i of the Cholesky factor of the inverse says how the inputs behind i make up for an error of input i.
    factor = np.linalg.cholesky(np.linalg.inv(means[np.ix_(order, order)])).T
    rest = (value / steps).reshape(-1, len(order)).astype(np.float64)[:, order]
    integers = np.empty_like(rest)
    for i in range(len(order)):
        integers[:, i] = np.rint(rest[:, i]).clip(-levels, levels)
        rest[:, i:] -= np.outer((rest[:, i] - integers[:, i]) / factor[i, i], factor[i, i:])
    found = np.empty(integers.shape, np.float32)
    found[:, order] = integers
    return found.reshape(value.shape), steps


def channel_factors(value: NDArray[np.float32], moments: Moments) -> NDArray[np.float32]:
    """Factors of the steps of each input channel, powers of 2 in the shape (1, I) or (1, I, 1, 1).

    A factor is about the root of the largest channel's standard deviation over the channel's own.
    """
    channels = value.shape[1]
    squares = np.diag(moments.sums).reshape(channels, -1).mean(1)
    squares = np.maximum(squares, max(squares.max(), np.finfo(np.float32).tiny) * _LARGEST_FACTOR**-4.0)
    factors: NDArray[np.float32] = np.exp2(np.rint(np.log2(squares.max() / squares) / 4)).astype(np.float32)
    return factors.reshape(1, channels, *[1] * (value.ndim - 2))


def _steps(value: NDArray[np.float32], levels: int) -> NDArray[np.float32]:
    channels = value.shape[: 2 if value.ndim == 3 else 1]
    largest = np.abs(value).reshape(*channels, -1).max(-1)
    steps = (largest / levels).astype(np.float16).astype(np.float32)
    steps = np.where(steps * levels < largest, np.nextafter(steps.astype(np.float16), np.float16(np.inf)), steps)
    steps = np.where(steps > 0, steps, 1).astype(np.float32)
    return steps.reshape(*channels, *[1] * (value.ndim - len(channels)))


def rounded(
    name: str, value: NDArray[np.float32], levels: int, moments: Moments | None
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Split the weight of a name into levels and the factors that make it of them."""
    if moments is None:
        integers, steps = coarse(value, levels)
        return integers, [steps]
    if name.startswith(READ_LATENTS):
        factors = channel_factors(value, moments)
        integers, steps = coarse(value / factors, levels)
        return integers, [steps, factors]
    integers, steps = compensated(value, levels, moments)
    return integers, [steps]


def _bytes_of(levels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Levels as unit * high + low, where high is from -127 to 127 and low from 0 to unit - 1."""
    unit = 1
    while np.abs(np.floor(levels / unit)).max() > _LARGEST_BYTE:
        unit *= 2
    high = np.floor(levels / unit)
    return high, levels - unit * high, unit


def compacted(model: Any, moments: Mapping[str, Moments]) -> Any:
    """Replace the large weights of a traced graph by levels and factors. Returns the onnx.ModelProto.

    ``moments`` are by the name of the weight. A weight without moments is rounded to the nearest level.
    """
    from onnx import helper, numpy_helper

    nodes, added = [], []

    def combine(kind: str, one: str, other: str, result: str) -> None:
        nodes.append(helper.make_node(kind, [one, other], [result], name=f"{result}.made"))

    def add(name: str, value: NDArray[np.float32]) -> str:
        added.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    for tensor, value in _weights(model):
        name = tensor.name
        levels, factors = rounded(name, value, levels_of(name), moments.get(name))
        high, low, unit = _bytes_of(levels)
        tensor.CopyFrom(numpy_helper.from_array(high, f"{name}.levels"))
        product = f"{name}.levels"
        if unit > 1:
            combine("Mul", product, add(f"{name}.unit", np.array(unit)), f"{name}.high")
            combine("Add", f"{name}.high", add(f"{name}.low", low), f"{name}.whole")
            product = f"{name}.whole"
        for number, factor in enumerate(factors, 1):
            result = name if number == len(factors) else f"{name}.stepped"
            combine("Mul", product, add(f"{name}.factor{number}", factor), result)
            product = result
    model.graph.initializer.extend(added)
    nodes += list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _weights(model: Any) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    from onnx import TensorProto, numpy_helper

    for tensor in list(model.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) >= 2:
            value = numpy_helper.to_array(tensor)
            if value.size >= SMALLEST and tensor.name.startswith(("mean_path.", "synthesis.")):
                yield tensor, value


def change_of(part: Part, photos: Calibration | None) -> Callable[[Any], Any]:
    """What is done to the traced graph of a part before it is stored, for its precision."""
    if photos and part.precision == "int8":
        return partial(quantised, inputs=photos.inputs(part))
    if photos and part.precision == "compact":
        return partial(compacted, moments=moments_of(part, photos))
    return lambda model: model
