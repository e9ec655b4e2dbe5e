"""Weights are stored in as few bytes as hold them exactly."""

import numpy as np
import pytest

for name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(name)

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from heads.byte_weights import from_bytes, in_bytes  # noqa: E402
from semcomp.export.graph import in_steps, narrow  # noqa: E402


def stored_weight(seed: int) -> NDArray[np.float32]:
    """A weight as a head's file gives it back."""
    torch = pytest.importorskip("torch")
    value = torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, (48, 100)).astype(np.float32))
    value[3] = 0
    found: NDArray[np.float32] = from_bytes(in_bytes({"weight": value}))["weight"].numpy()
    return found


def product(weight: NDArray[np.float32]) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weight.shape[1]])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[0]])
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    graph = helper.make_graph([node], "g", [value], [result], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("seed", range(5))
def test_a_weight_of_a_head_is_levels_and_steps_to_the_bit(seed: int) -> None:
    weight = stored_weight(seed)
    found = in_steps(weight)
    assert found is not None
    levels, steps = found
    assert levels.dtype == np.int8 and np.array_equal(levels * steps, weight)


def test_a_graph_makes_the_same_weight_of_a_quarter_of_the_bytes() -> None:
    model, x = product(stored_weight(0)), np.random.default_rng(1).normal(0, 1, (1, 100)).astype(np.float32)
    before, size = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0], model.ByteSize()
    narrow(model)
    onnx.checker.check_model(model)
    after = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert np.array_equal(before, after) and model.ByteSize() < 0.3 * size


def test_every_other_weight_stays_in_floating_point() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (48, 100)).astype(np.float32)
    assert in_steps(weight) is None and in_steps(np.full((8, 8), np.nan, np.float32)) is None
    model = product(weight)
    size = model.ByteSize()
    narrow(model)
    assert model.ByteSize() == size
