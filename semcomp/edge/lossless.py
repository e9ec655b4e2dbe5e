"""Lossless coding on exported graphs: the integers of the library, computed by onnxruntime."""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.edge.bundle import Bundle
from semcomp.errors import ModelError
from semcomp.lossless.features import Windows
from semcomp.lossless.level import ArrayNetworks
from semcomp.lossless.model import LosslessModel, model_of
from semcomp.pipeline.lossless import LosslessCoder
from semcomp.weights.safetensors_reader import parse_metadata, parse_tensors

PREFIX = "lossless_"


class EdgeNetworks(ArrayNetworks):
    """The networks of a model as graphs, for `semcomp.lossless.walk.Walk`."""

    xp: ModuleType = np

    def __init__(self, bundle: Bundle, model: LosslessModel):
        self.bundle = bundle
        self.windows: dict[str, Windows] = model.windows

    def run(self, name: str, features: NDArray[Any]) -> NDArray[np.int32]:
        """Outputs (O, N), int32, of one network for features (F, N)."""
        return self.bundle.run(PREFIX + name, ("outputs",), features=features.astype(np.int8))[0]


def edge_lossless(bundle: Bundle) -> LosslessCoder:
    """The lossless coder of a folder. ModelError where it was not exported."""
    entry = bundle.manifest.get("lossless")
    if entry is None:
        raise ModelError(
            f"{bundle.directory} has no lossless networks: export them too, with semcomp export onnx --parts all"
        )
    data = bundle.bytes_of(entry)
    name = bundle.directory / entry["file"]
    model = model_of(parse_tensors(data, name=name), parse_metadata(data, name=name), name=name)
    return LosslessCoder(model=model, networks=EdgeNetworks(bundle, model))
