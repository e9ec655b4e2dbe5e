"""The lossless networks as graphs: nine small ones, whose integers are held in float32 and are exact there.

lossless_luma11, ...   features int8 (F, cells) -> outputs int32 (2, cells)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.export.builder import Builder
from semcomp.export.graph import narrow, require_onnx
from semcomp.lossless.features import FEATURE_LIMIT
from semcomp.lossless.model import OUTPUTS, LosslessModel
from semcomp.lossless.network import BLOCK_SHIFT, HIDDEN_LIMIT, INPUT_SHIFT, OUTPUT_SHIFT, IntegerNetwork

PREFIX = "lossless_"
WEIGHTS = "lossless.safetensors"


def lossless_graphs(model: LosslessModel) -> dict[str, bytes]:
    """The graphs by name, as the bytes of ONNX files."""
    require_onnx()
    return {PREFIX + name: _graph(PREFIX + name, network) for name, network in model.networks.items()}


def entry_of(network: IntegerNetwork) -> dict[str, Any]:
    """What the manifest says of a graph beside its file."""
    features = network.entry.shape[1]
    inputs = {
        "name": "features",
        "type": "int8",
        "shape": [features, "cells"],
        "range": [-FEATURE_LIMIT, FEATURE_LIMIT],
    }
    outputs = {"name": "outputs", "type": "int32", "shape": [OUTPUTS, "cells"], "range": None}
    return {"reach": 0, "precision": "float", "inputs": [inputs], "outputs": [outputs]}


class _Builder(Builder):
    """The operations of the lossless networks."""

    def shifted(self, sums: str, bias: NDArray[np.int32], shift: int) -> str:
        """(sums + bias) >> shift"""
        biased = self.add("Add", sums, self.weight(bias[:, None]))
        return self.add("Floor", self.add("Mul", biased, self.weight(2.0**-shift)))

    def activated(self, sums: str, bias: NDArray[np.int32], shift: int) -> str:
        """clip((sums + bias) >> shift, 0, 255)"""
        return self.clipped(self.shifted(sums, bias, shift), 0, HIDDEN_LIMIT)


def _graph(name: str, network: IntegerNetwork) -> bytes:
    from onnx import TensorProto, checker, helper

    built = _Builder()
    x = built.cast("features", "FLOAT")
    hidden = built.activated(built.product(network.entry, x), network.entry_bias, INPUT_SHIFT)
    for block in network.blocks:
        inner = built.activated(built.product(block.inner, hidden), block.inner_bias, BLOCK_SHIFT)
        sums = built.add("Add", built.product(block.direct, hidden), built.product(block.outer, inner))
        hidden = built.activated(sums, block.bias, BLOCK_SHIFT)
    sums = built.add("Add", built.product(network.from_hidden, hidden), built.product(network.from_features, x))
    last = built.shifted(sums, network.bias, OUTPUT_SHIFT)
    built.cast(last, "INT32", output="outputs")
    features = network.entry.shape[1]
    inputs = [helper.make_tensor_value_info("features", TensorProto.INT8, [features, "cells"])]
    outputs = [helper.make_tensor_value_info("outputs", TensorProto.INT32, [OUTPUTS, "cells"])]
    model = built.model(name, inputs, outputs)
    narrow(model)
    checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
