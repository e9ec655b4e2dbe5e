"""Writes the folder of a client without torch: graphs, tables and manifest."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

import semcomp
from semcomp.codec.codec import Codec, load
from semcomp.edge.bundle import FORMAT, MANIFEST
from semcomp.edge.products import PROBES
from semcomp.errors import FileError, ModelError, TargetError, file_error
from semcomp.export.builder import OPSET, PRODUCER
from semcomp.export.byte_graphs import products
from semcomp.export.check import Difference, differences_from_torch
from semcomp.export.codec_parts import PARTS, halve_part, head_part, label_map_part
from semcomp.export.compact import as_compact, change_of
from semcomp.export.fast_part import mean_fast
from semcomp.export.generator_parts import blend_part, generator_part
from semcomp.export.graph import onnx_bytes, require_onnx
from semcomp.export.int8 import INT8_PARTS, MEAN, Calibration, becomes_int8
from semcomp.export.lossless_parts import PREFIX, entry_of, lossless_graphs
from semcomp.export.lossless_parts import WEIGHTS as LOSSLESS
from semcomp.export.part import Part
from semcomp.export.restorer_part import entries_beside
from semcomp.generative.generator_file import TrainedGenerator, load_generator
from semcomp.lossless.model import LosslessModel, model_bytes
from semcomp.lossless.weights import load_weights
from semcomp.semantics.halving import released_for
from semcomp.semantics.head import Head, Segmenter, head_names, load_head
from semcomp.semantics.limits import NO_LIMITS
from semcomp.weights.files import generator_names

TABLES = "tables.safetensors"
EXPORTERS = ("torch", "onnx", "onnxscript")
ALL_PARTS = (*PARTS, "heads", "lossless")
ALL_GENERATORS = "all"
"""Stands for every generator inside the package where names of generators are asked for."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The result of an export."""

    sizes: dict[str, int]
    """Size of each file in bytes."""
    int8: tuple[str, ...]
    """Files of the int8 graphs."""
    differences: tuple[Difference, ...]
    """Differences from torch on a small picture, all within their limits."""


def export_onnx(
    directory: str | Path,
    *,
    model: str = "base",
    parts: Sequence[str] = ALL_PARTS,
    heads: Sequence[str] | None = None,
    generators: Sequence[str] = (),
    int8: bool = False,
    compact: bool = False,
    int8_parts: Sequence[str] = INT8_PARTS,
    calibration: str | Path | None = None,
    lossless_weights: str | Path | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Exported:
    """Write graphs, tables and manifest for a client without torch, and compare the graphs with torch.

    Args:
        directory: The folder to write. It is made if it does not exist.
        model: Name or file of the codec.
        parts: Names of ALL_PARTS.
        heads: Names or files of heads. None takes all that are installed.
        generators: Names or files of generators, or ["all"] for those inside the package.
        int8: Quantize graphs.
        int8_parts: What `int8` quantizes, of INT8_PARTS, or a head's graph. "mean" adds mean_fast, for heads.
        compact: Store the weights of the mean path and of the synthesis more coarsely, for pages that download them.
        calibration: Folder of photos that calibrate int8. None takes the sample photo of the package.
        lossless_weights: File of the lossless networks. None takes those inside the package.
        force: Overwrite an export.
        progress: Is called with the name of each graph before it is made.

    Returns:
        Sizes, int8 graphs and differences from torch.

    Raises:
        FileError: The folder holds an export and `force` is not set, or cannot be written. The error is also an
            OSError.
        TargetError: There is no such part, or it cannot be int8.
        ModelError: A head or generator is missing or made for another codec, a restorer.onnx is damaged, there is no
            photo to calibrate with, or a graph differs too much from torch. Then no manifest is left.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    require_onnx()
    folder = Path(directory)
    _check_request(folder, parts, force)
    beside = entries_beside(folder)
    codec = load(model)
    chosen = _heads(codec, heads) if "heads" in parts else []
    makers = _generators(codec, generators)
    graphs = _graphs(codec, parts, chosen, makers, fast=int8 and MEAN in int8_parts)
    exact = load_weights(lossless_weights) if "lossless" in parts else None
    graphs = _as_int8(graphs, int8_parts) if int8 else graphs
    calibrated = Calibration(codec, calibration) if int8 or compact else None
    graphs = as_compact(graphs) if compact else graphs
    files = _files(codec, graphs, chosen, makers, calibrated, progress, exact, beside)
    _write(folder, files)
    progress("comparison")
    _check(differences := differences_from_torch(codec, graphs, chosen, folder), folder)
    int8_files = tuple(f"{part.name}.onnx" for part in graphs if part.precision == "int8")
    return Exported(sizes={name: len(files[name]) for name in files}, differences=tuple(differences), int8=int8_files)


def _check_request(folder: Path, parts: Sequence[str], force: bool) -> None:
    if unknown := [name for name in parts if name not in ALL_PARTS]:
        raise TargetError(f"there is no part {unknown[0]}; parts are {', '.join(ALL_PARTS)}")
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, and an export is a folder: write to another one")
    if (folder / MANIFEST).exists() and not force:
        raise FileError(f"{folder} holds an export: overwrite it with force, or write to another folder")


def _as_int8(graphs: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """Mark the graphs that become int8. TargetError where a name is none of them."""
    possible = [*INT8_PARTS, *(part.name for part in graphs if becomes_int8(part))]
    if wrong := [name for name in names if name not in possible]:
        raise TargetError(f"{wrong[0]} cannot become int8: choose from {', '.join(dict.fromkeys(possible))}")
    return [replace(part, precision="int8") if becomes_int8(part, names) else part for part in graphs]


def _check(differences: Sequence[Difference], folder: Path) -> None:
    """Raise ModelError where a graph differs too much from torch, and remove the manifest."""
    if wrong := [d for d in differences if not d.passed]:
        (folder / MANIFEST).unlink()
        raise ModelError(
            f"{PRODUCER} export: {wrong[0]}: the graphs do not compute what torch does, so no manifest was left; "
            "use the versions of constraints.txt"
        )


def _files(
    codec: Codec,
    graphs: Sequence[Part],
    heads: Sequence[Head],
    makers: Sequence[TrainedGenerator],
    calibrated: Calibration | None,
    progress: Callable[[str], None],
    exact: LosslessModel | None,
    beside: dict[str, Any],
) -> dict[str, bytes]:
    """All files by name. The manifest is the last, and has `beside` as it is."""
    ids = {"entropy_id": codec.entropy_id.hex(), "model_id": codec.model_id.hex()}
    files = {TABLES: _tables(codec)}
    entries = {}
    for part in graphs:
        progress(part.name)
        file = f"{part.name}.onnx"
        files[file] = onnx_bytes(part, properties=ids, change=change_of(part, calibrated))
        entries[part.name] = _entry(part, file, files[file])
    if exact is not None:
        progress("lossless")
        for name, data in lossless_graphs(exact).items():
            files[f"{name}.onnx"] = data
            network = exact.networks[name.removeprefix(PREFIX)]
            entries[name] = {**_stored(f"{name}.onnx", data), **entry_of(network)}
        files[LOSSLESS] = model_bytes(exact)
    manifest = {
        **(_described(codec) | ids),
        "tables": _stored(TABLES, files[TABLES]),
        "graphs": entries,
        PROBES: products(codec.release),
        "heads": {head.name: _head_entry(head) for head in heads},
        "generators": {maker.name: _generator_entry(maker) for maker in makers},
        "lossless": None if exact is None else {**_stored(LOSSLESS, files[LOSSLESS]), "id": exact.id.hex()},
        **beside,
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files. The old manifest goes first and the new one comes last, so that it never names other files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        for name, data in files.items():
            temporary = folder / f".{name}.tmp"
            temporary.write_bytes(data)
            temporary.replace(folder / name)
    except OSError as error:
        raise file_error(folder, error, verb="written") from error


def _graphs(
    codec: Codec, parts: Sequence[str], heads: Sequence[Head], makers: Sequence[TrainedGenerator], *, fast: bool
) -> list[Part]:
    graphs = [part for name in PARTS if name in parts for part in PARTS[name](codec)]
    config = codec.release.config
    graphs += [mean_fast(codec)] if fast and MEAN in parts and config.latents % config.passes == 0 else []
    graphs += [head_part(codec, head) for head in heads]
    if any(head.halved_from for head in heads) and (halving := released_for(codec.entropy_id)):
        graphs.append(halve_part(codec, halving))
    if segmenters := [head for head in heads if isinstance(head, Segmenter)]:
        graphs.append(label_map_part(len(segmenters[0].classes)))
    graphs += [generator_part(codec, maker) for maker in makers]
    return [*graphs, blend_part()] if makers else graphs


def _described(codec: Codec) -> dict[str, Any]:
    config = codec.release.config
    return {
        "format": FORMAT,
        "name": codec.name,
        "producer": {"semcomp": semcomp.__version__, "opset": OPSET, **{name: version(name) for name in EXPORTERS}},
        "sizes": {
            "latents": config.latents,
            "hyper": config.hyper,
            "nodes": config.nodes,
            "skip_below": codec.release.skip_below,
            "passes": config.passes,
            "refined": codec.release.refiner is not None,
            "centroid": config.centroid,
        },
    }


def _heads(codec: Codec, names: Sequence[str] | None) -> list[Head]:
    heads: list[Head] = [load_head(name) for name in (head_names() if names is None else names)]
    for head in heads:
        if head.entropy_id != codec.entropy_id:
            raise ModelError(
                f"the head {head.name} reads latents of {head.entropy_id.hex()}, {codec.name} has "
                f"{codec.entropy_id.hex()}: train it for this codec, or name the heads to export"
            )
    return heads


def _generators(codec: Codec, names: Sequence[str]) -> list[TrainedGenerator]:
    makers = [load_generator(name) for name in (generator_names() if tuple(names) == (ALL_GENERATORS,) else names)]
    for maker in makers:
        if maker.info.entropy_id != codec.entropy_id.hex():
            raise ModelError(
                f"the generator {maker.name} reads latents of {maker.info.entropy_id}, {codec.name} has "
                f"{codec.entropy_id.hex()}: train it for this codec, or name the generators to export"
            )
    return makers


def _tables(codec: Codec) -> bytes:
    stored: dict[str, NDArray[Any]] = {
        f"tables_{kind}.{name}": getattr(tables, name).astype(np.int32)
        for kind, tables in (("y", codec.release.tables_y), ("z", codec.release.tables_z))
        for name in ("bounds", "flat")
    }
    if codec.release.refiner is not None:
        stored["refine.table"] = codec.release.refiner.table.numpy().ravel()
    data: bytes = save(stored)
    return data


def _stored(file: str, data: bytes) -> dict[str, Any]:
    return {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _entry(part: Part, file: str, data: bytes) -> dict[str, Any]:
    values = {key: [asdict(value) for value in getattr(part, key)] for key in ("inputs", "outputs")}
    return {**_stored(file, data), "reach": part.reach, "precision": part.precision, **values}


def _head_entry(head: Head) -> dict[str, Any]:
    return {
        "graph": f"head_{head.name}",
        "task": head.task,
        "classes": list(head.classes),
        "palette": [list(colour) for colour in head.palette] if isinstance(head, Segmenter) else [],
        "origin": head.origin,
        "halved_from": head.halved_from,
        "limits": None if head.limits == NO_LIMITS else head.limits.to_dict(head.classes),
    }


def _generator_entry(maker: TrainedGenerator) -> dict[str, Any]:
    return {
        "graph": f"generator_{maker.name}",
        "id": maker.generator_id.hex(),
        "classes": list(maker.info.classes),
        "palette": [list(colour) for colour in maker.info.palette],
        "origin": maker.info.origin,
    }
