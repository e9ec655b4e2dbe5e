"""One graph as the bytes of an ONNX file: traced by torch's dynamo exporter, made small, and made reproducible.

Weights are stored as in the library's release, in half precision, or as int8 where they are integers. The graph casts
them to float32. A tensor is narrowed only where that changes no value.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import semcomp
from semcomp.errors import MissingExtraError
from semcomp.export.builder import IR_VERSION, OPSET, PRODUCER
from semcomp.export.part import Part

_SMALLEST = 64
"""Tensors with fewer elements are not narrowed."""
_LEVELS = 127
_SHORTEST = 8
"""Weights with fewer elements an output channel get no step for each."""


def onnx_bytes(part: Part, *, properties: dict[str, str], change: Callable[[Any], Any] = lambda model: model) -> bytes:
    """Write a graph.

    Args:
        part: What the graph computes.
        properties: Metadata of the file.
        change: Maps the traced onnx.ModelProto to the one that is stored, for int8.

    Returns:
        The bytes of the file. Equal weights and versions give equal bytes.
    """
    model = traced(part) if part.build is None else part.build()
    return finished(change(model), part, properties=properties)


def traced(part: Part) -> Any:
    """Trace a part with torch's exporter. Returns an onnx.ModelProto in float32."""
    onnx = require_onnx()
    module = part.module.eval()
    shapes = {
        value.name: {axis: size for axis, size in enumerate(value.shape) if isinstance(size, str)} or None
        for value in part.inputs
    }
    with torch.no_grad(), _quiet():
        program: Any = torch.onnx.export(
            module,
            part.example(),
            dynamo=True,
            opset_version=OPSET,
            optimize=True,
            verbose=False,
            input_names=[value.name for value in part.inputs],
            output_names=[value.name for value in part.outputs],
            dynamic_shapes=tuple(shapes.values()),
        )
        buffer = io.BytesIO()
        program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())


def finished(model: Any, part: Part, *, properties: dict[str, str]) -> bytes:
    """Narrow the weights of a graph, set its metadata, check it, and return its bytes."""
    onnx = require_onnx()
    narrow(model)
    _pin(model, part, properties)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def require_onnx() -> Any:
    """Import the package onnx.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Exporting to ONNX", "export") from error
    return onnx


def narrow(model: Any) -> None:
    """Store float32 weights as int8 or float16 where these hold them exactly, also as int8 times a step of each output
    channel. The graph makes float32 of them again."""
    from onnx import TensorProto, helper, numpy_helper

    casts, added = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        if value.size < _SMALLEST:
            continue
        name = cast = tensor.name
        stored, steps = _narrowed(value), None
        if stored is None and value.size >= _SHORTEST * len(value) and (found := in_steps(value)):
            stored, steps = found
            cast = f"{name}.levels"
        if stored is None:
            continue
        tensor.CopyFrom(numpy_helper.from_array(stored, f"{name}.stored"))
        casts.append(helper.make_node("Cast", [f"{name}.stored"], [cast], name=f"{name}.cast", to=TensorProto.FLOAT))
        if steps is not None:
            added.append(numpy_helper.from_array(steps, f"{name}.steps"))
            casts.append(helper.make_node("Mul", [cast, f"{name}.steps"], [name], name=f"{name}.made"))
    model.graph.initializer.extend(added)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _narrowed(value: NDArray[Any]) -> NDArray[Any] | None:
    with np.errstate(over="ignore", invalid="ignore"):
        for kind in (np.int8, np.float16):
            stored = value.astype(kind)
            if np.array_equal(stored.astype(np.float32), value):
                return stored
    return None


def in_steps(value: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Split a weight (O, ...) into levels and a step of each output channel whose products it is, to the bit.

    Heads are stored so, with 127 levels of each sign. None for every other weight.

    Example:
        >>> levels, steps = in_steps(np.float32([[127, -3], [1, 127]]) * np.float32([[0.1], [0.3]]))
        >>> levels.tolist(), steps.shape
        ([[127, -3], [1, 127]], (2, 1))
        >>> in_steps(np.float32([[127, 0.5]])) is None
        True
    """
    if value.ndim < 2 or not np.isfinite(value).all():
        return None
    rows = value.reshape(len(value), -1)
    steps = np.maximum(np.abs(rows).max(1, keepdims=True) / np.float32(_LEVELS), np.finfo(np.float32).tiny)
    levels = np.rint(rows / steps)
    for nearby in (np.nextafter(steps, np.float32(np.inf)), np.nextafter(steps, np.float32(0))):
        wrong = (levels * steps != rows).any(1, keepdims=True)
        steps = np.where(wrong & (levels * nearby == rows).all(1, keepdims=True), nearby, steps)
    if not np.array_equal(levels * steps, rows):
        return None
    return levels.astype(np.int8).reshape(value.shape), steps.reshape(-1, *[1] * (value.ndim - 1))


def _pin(model: Any, part: Part, properties: dict[str, str]) -> None:
    """Set producer, shapes and properties. Drop what no client needs, such as the source lines of the trace."""
    from onnx import helper

    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, PRODUCER, semcomp.__version__
    model.doc_string = model.domain = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.graph.name, model.graph.doc_string = part.name, ""
    for thing in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        thing.doc_string = ""
        del thing.metadata_props[:]
    for value, described in zip((*model.graph.input, *model.graph.output), (*part.inputs, *part.outputs), strict=True):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(described.type))
        value.CopyFrom(helper.make_tensor_value_info(described.name, kind, described.shape))
    helper.set_model_props(model, {"part": part.name, **properties})


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says to programmers of torch."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
