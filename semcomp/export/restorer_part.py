"""The graph of the restorer: the network between the transforms, which clients compute themselves.

    restorer   blocks, windows, places, steps, flags -> corrections      tiles overlap by its reach

`Restorer.corrections` describes the inputs. `semcomp.edge.restorer` makes them with numpy.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from semcomp.edge.bundle import FORMAT, MANIFEST
from semcomp.errors import ModelError
from semcomp.export.graph import onnx_bytes, require_onnx
from semcomp.export.part import Part, Value
from semcomp.restoration.network import PLANES, Restorer
from semcomp.restoration.restorer_file import TrainedRestorer
from semcomp.restoration.transform import COEFFICIENTS, WINDOW
from semcomp.storage.files import write_whole

FILE = "restorer.onnx"


class RestorerPart(nn.Module):
    """The inputs of `Restorer.corrections` -> corrections."""

    def __init__(self, network: Restorer):
        super().__init__()
        self.network = network

    def forward(self, blocks: Tensor, windows: Tensor, places: Tensor, steps: Tensor, flags: Tensor) -> tuple[Tensor]:
        return (self.network.corrections(blocks, windows, places, steps, flags),)


def restorer_part(restorer: TrainedRestorer) -> Part:
    """The part of a restorer."""
    grid = (1, "rows", "columns")
    outputs = PLANES * COEFFICIENTS
    network = restorer.float_network()
    return Part(
        name="restorer",
        module=RestorerPart(network),
        reach=network.reach,
        inputs=(
            Value(name="blocks", shape=(*grid, outputs), range=(-100, 100)),
            Value(name="windows", shape=(*grid, WINDOW * WINDOW + 2 * COEFFICIENTS), range=(-100, 100)),
            Value(name="places", shape=(*grid, 2), range=(-1, 1)),
            Value(name="steps", shape=(1, PLANES, COEFFICIENTS), range=(1, 255)),
            Value(name="flags", shape=(1, 3), range=(0, 1)),
        ),
        outputs=(Value(name="corrections", shape=(*grid, outputs)),),
        sizes={"rows": 6, "columns": 10},
    )


def restorer_graph(restorer: TrainedRestorer) -> bytes:
    """The restorer as the bytes of an ONNX file, which `semcomp.edge.restorer` runs."""
    part = restorer_part(restorer)
    return onnx_bytes(part, properties={"restorer_id": restorer.restorer_id.hex(), "reach": str(part.reach)})


def entry_of(graph: bytes) -> dict[str, Any]:
    """What a manifest says of restorer.onnx. ModelError where the bytes are another file."""
    try:
        found = {entry.key: entry.value for entry in require_onnx().load_model_from_string(graph).metadata_props}
        more = {"id": found["restorer_id"], "reach": int(found["reach"])}
    except Exception as error:  # a parser raises whatever it likes
        raise ModelError(f"{FILE} is not the graph of a restorer: export the restorer again") from error
    return {"file": FILE, "bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest(), **more}


def entries_beside(folder: Path) -> dict[str, Any]:
    """The entries of a manifest for graphs that are exported one by one and are in the folder already."""
    path = folder / FILE
    return {"restorer": entry_of(path.read_bytes())} if path.is_file() else {}


def enter(folder: Path) -> bool:
    """Enter restorer.onnx into the manifest of a folder of graphs, where web pages look for it.

    Args:
        folder: The folder that holds restorer.onnx.

    Returns:
        Whether the folder has a manifest.

    Raises:
        ModelError: The manifest is damaged or of another version.
    """
    path = folder / MANIFEST
    if not path.exists():
        return False
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error}): export the folder again") from error
    if manifest.get("format") != FORMAT:
        raise ModelError(f"{path} has the format {manifest.get('format')}, not {FORMAT}: export the folder again")
    text = json.dumps({**manifest, **entries_beside(folder)}, indent=1, ensure_ascii=False) + "\n"
    write_whole(str(path), text.encode())
    return True
