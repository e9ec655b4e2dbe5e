"""Graphs with coarser weights, for pages that download them: the mean path and the synthesis.

Each output channel of a weight gets its own step, which is its largest magnitude divided by the number of levels of
the layer. Up to 127 levels are stored as int8, more as float16, which holds 2048 levels exactly. A graph multiplies
levels by steps when it is loaded, and computes in float32. What decides symbols stays exact: `sigma` and `refine` are
not touched, and the analysis is not either.

This is what 127 levels of one layer alone cost in dB at quality 100, for the codec base c05635b0e1c8191b:

    mean_path   entry 0.084; head2 0.007, block2.merge 0.006, context 0.003; every other layer at most 0.002
    synthesis   linear 0.078; every other layer at most 0.001

Levels are chosen so that the loss a weight is about equal: four times the loss for half the levels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.export.part import Part

GRAPHS = ("mean_first", "mean_next", "synthesis")
LEVELS = {
    "mean_path.entry": 500,
    "mean_path.head": 220,
    "mean_path.block2.merge": 220,
    "mean_path.context": 127,
    "mean_path.up": 36,
    "synthesis.linear": 400,
    "synthesis.entry": 48,
    "synthesis.blocks16": 48,
}
"""Largest level of a layer, by the beginning of its name."""
OTHER_LEVELS = 127
SMALLEST = 4096
"""Weights with fewer elements stay as they are."""


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
    channels = value.shape[: 2 if value.ndim == 3 else 1]
    largest = np.abs(value).reshape(*channels, -1).max(-1)
    steps = (largest / levels).astype(np.float16).astype(np.float32)
    steps = np.where(steps * levels < largest, np.nextafter(steps.astype(np.float16), np.float16(np.inf)), steps)
    steps = np.where(steps > 0, steps, 1).astype(np.float32).reshape(*channels, *[1] * (value.ndim - len(channels)))
    return np.rint(value / steps).clip(-levels, levels).astype(np.float32), steps


def compacted(model: Any) -> Any:
    """Replace the large weights of a traced graph by levels and steps. Returns the onnx.ModelProto."""
    from onnx import helper, numpy_helper

    nodes, added = [], []
    for tensor, value in _weights(model):
        integers, steps = coarse(value, levels_of(tensor.name))
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(integers, f"{name}.levels"))
        added.append(numpy_helper.from_array(steps, f"{name}.steps"))
        nodes.append(helper.make_node("Mul", [f"{name}.levels", f"{name}.steps"], [name], name=f"{name}.mul"))
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
