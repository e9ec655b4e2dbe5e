"""Graphs that are written node by node, where torch's exporter has no word for an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import semcomp

OPSET = 18
IR_VERSION = 8
PRODUCER = "semcomp"


class Builder:
    """Nodes and constants of one graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        from onnx import helper

        number = len(self.nodes)
        output = output or f"t{number}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"n{number}", **attributes))
        return output

    def cast(self, value: str, kind: str, *, output: str = "") -> str:
        """Convert a value to a type of onnx.TensorProto."""
        from onnx import TensorProto

        return self.add("Cast", value, output=output, to=getattr(TensorProto, kind))

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        """Add an array of numpy type `kind`; returns its name."""
        from onnx import numpy_helper

        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def weight(self, value: Any) -> str:
        """Add a float32 array; returns its name."""
        return self.constant(value, np.float32)

    def product(self, matrix: NDArray[np.int8] | NDArray[np.int16], values: str) -> str:
        """matrix @ values in float32."""
        return self.add("MatMul", self.weight(matrix), values)

    def bytes_product(self, values: str, matrix: NDArray[np.int8], *, zero: int = 0) -> str:
        """(values - zero) @ matrix for unsigned values and signed bytes, summed in 32 bits, as float32."""
        zeros = [self.constant(zero, np.uint8)] if zero else []
        return self.cast(self.add("MatMulInteger", values, self.constant(matrix, np.int8), *zeros), "FLOAT")

    def line_of(self, table: NDArray[Any], number: str) -> str:
        """Line `number` of a table, counted from 1: (1, columns), float32."""
        return self.add("Gather", self.weight(table), self.add("Sub", number, self.constant([1])), axis=0)

    def clipped(self, value: str, low: int, high: int) -> str:
        """A value within two bounds."""
        return self.add("Clip", value, self.weight(low), self.weight(high))

    def shape_of(self, value: str, axis: int) -> str:
        """One side of a value, int64 (1,)."""
        return self.add("Slice", self.add("Shape", value), self.constant([axis]), self.constant([axis + 1]))

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """The onnx.ModelProto, of inputs and outputs as `onnx.helper.make_tensor_value_info` makes them."""
        from onnx import helper

        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version, model.producer_name, model.producer_version = IR_VERSION, PRODUCER, semcomp.__version__
        return model
