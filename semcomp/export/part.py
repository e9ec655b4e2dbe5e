"""What an exported graph is: a module with named inputs and outputs, as the manifest describes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from semcomp.codec.codec import Codec
from semcomp.types import QUALITIES


@dataclass(frozen=True, kw_only=True)
class Value:
    """One input or output of a graph."""

    name: str
    type: str = "float32"
    shape: tuple[int | str, ...]
    """Numbers, and the names or terms of sizes that vary."""
    range: tuple[int, int] | None = None
    """Smallest and largest value. None if there are no limits."""


QUALITY = Value(name="quality", type="int64", shape=(1,), range=(1, QUALITIES))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One graph."""

    name: str
    module: nn.Module
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    sizes: Mapping[str, int]
    """Sizes of the example that is traced. Other sizes work too."""
    reach: int = 0
    """Receptive field of the output, in positions of the input around its own."""
    precision: str = "float"
    """"float"; "int8" where the convolutions compute in integers; "compact" where the weights are coarser."""

    build: Callable[[], Any] | None = None
    """Makes the onnx.ModelProto. None traces the module. The module computes what the graph is compared with."""

    def example(self) -> tuple[Tensor, ...]:
        """Inputs for the trace."""
        return tuple(self._example(value) for value in self.inputs)

    def _example(self, value: Value) -> Tensor:
        shape = [self.sizes[size] if isinstance(size, str) else size for size in value.shape]
        return torch.full(shape, 1, dtype=getattr(torch, value.type))


def latents(codec: Codec, name: str, *, rows: str = "rows", columns: str = "columns") -> Value:
    """A value with the channels of y."""
    return Value(name=name, shape=(1, codec.release.config.latents, rows, columns))
