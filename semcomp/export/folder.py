"""A whole folder for a client: graphs, tables, manifest, and the comparison with torch."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

import semcomp
from semcomp.codec.codec import Codec, load
from semcomp.edge.bundle import FORMAT, MANIFEST
from semcomp.errors import ModelError, TargetError
from semcomp.export.check import Difference, compare
from semcomp.export.codec_parts import PARTS, Part, head_part, label_map_part
from semcomp.export.generator_parts import blend_part, generator_part
from semcomp.export.graph import OPSET, PRODUCER, onnx_bytes, require_onnx
from semcomp.export.int8 import Calibration, can_be_int8, quantised
from semcomp.generative.generator_file import TrainedGenerator, generator_names, load_generator
from semcomp.semantics.head import Head, head_names, load_head

TABLES = "tables.safetensors"
EXPORTERS = ("torch", "onnx", "onnxscript")
ALL_PARTS = (*PARTS, "generator", "heads")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    sizes: dict[str, int]
    """Bytes of each file."""
    int8: tuple[str, ...]
    """Files of the graphs that compute in integers."""
    differences: tuple[Difference, ...]
    """From torch, on a small picture; all are within their limits."""


def export_onnx(
    directory: str | Path,
    *,
    model: str = "base",
    parts: Sequence[str] = ALL_PARTS,
    heads: Sequence[str] | None = None,
    generators: Sequence[str] | None = None,
    int8: bool = False,
    calibration: str | Path | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Exported:
    """Write graphs, tables and manifest, and compare onnxruntime with torch.

    `parts` are names of ALL_PARTS; `heads` are names or files of heads, None: all that are installed; `generators` the
    same of generators, None: all that come with the package.
    `int8` quantizes what can_be_int8 says, with the photos below `calibration`, or without them with the sample photo.
    `progress` hears the name of each graph before it is made. FileExistsError where the folder holds an export and
    `force` is not given; TargetError for a part that does not exist; ModelError where a head or generator is none of
    this codec's, there is no photo to calibrate with, or a graph differs from torch by more than it may: then no
    manifest is left.
    """
    require_onnx()
    if unknown := [name for name in parts if name not in ALL_PARTS]:
        raise TargetError(f"there is no part {unknown[0]}; parts are {', '.join(ALL_PARTS)}")
    folder = Path(directory)
    manifest_path = folder / MANIFEST
    if manifest_path.exists() and not force:
        raise FileExistsError(f"{folder} holds an export: pass --force to overwrite it")
    codec = load(model)
    chosen = _heads(codec, heads) if "heads" in parts else []
    makers = _generators(codec, generators) if "generator" in parts else []
    graphs = _graphs(codec, parts, chosen, makers)
    calibrated = Calibration(codec, calibration) if int8 else None
    if calibrated:
        graphs = [replace(part, precision="int8") if can_be_int8(part) else part for part in graphs]

    folder.mkdir(parents=True, exist_ok=True)
    manifest_path.unlink(missing_ok=True)
    ids = {"entropy_id": codec.entropy_id.hex(), "model_id": codec.model_id.hex()}
    files = {TABLES: _tables(codec)}
    entries = {}
    for part in graphs:
        progress(part.name)
        file = f"{part.name}.onnx"
        if calibrated and part.precision == "int8":
            files[file] = onnx_bytes(part, properties=ids, change=partial(quantised, inputs=calibrated.inputs(part)))
        else:
            files[file] = onnx_bytes(part, properties=ids)
        entries[part.name] = _entry(part, file, files[file])
    manifest = {
        **_described(codec),
        **ids,
        "tables": _stored(TABLES, files[TABLES]),
        "graphs": entries,
        "heads": {head.name: _head_entry(head) for head in chosen},
        "generators": {maker.name: _generator_entry(maker) for maker in makers},
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    for name, data in files.items():
        part_file = folder / f".{name}.tmp"
        part_file.write_bytes(data)
        part_file.replace(folder / name)
    progress("comparison")
    differences = compare(codec, graphs, chosen, folder)
    if wrong := [d for d in differences if not d.passed]:
        manifest_path.unlink()
        raise ModelError(
            f"{PRODUCER} export: {wrong[0]}: the graphs do not compute what torch does, so no manifest was left; "
            "use the versions of constraints.txt"
        )
    return Exported(
        sizes={name: len(data) for name, data in files.items()},
        differences=tuple(differences),
        int8=tuple(f"{part.name}.onnx" for part in graphs if part.precision == "int8"),
    )


def _graphs(
    codec: Codec, parts: Sequence[str], heads: Sequence[Head], makers: Sequence[TrainedGenerator]
) -> list[Part]:
    graphs = [build(codec) for name in PARTS if name in parts for build in PARTS[name]]
    graphs += [head_part(codec, head) for head in heads]
    if segmenters := [head for head in heads if head.task == "segment"]:
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
        },
    }


def _heads(codec: Codec, names: Sequence[str] | None) -> list[Head]:
    heads = [load_head(name) for name in (head_names() if names is None else names)]
    for head in heads:
        if head.entropy_id != codec.entropy_id:
            raise ModelError(
                f"the head {head.name} reads latents of {head.entropy_id.hex()}, {codec.name} has "
                f"{codec.entropy_id.hex()}: train it for this codec, or leave it out with --heads"
            )
    return heads


def _generators(codec: Codec, names: Sequence[str] | None) -> list[TrainedGenerator]:
    makers = [load_generator(name) for name in (generator_names() if names is None else names)]
    for maker in makers:
        if maker.info.entropy_id != codec.entropy_id.hex():
            raise ModelError(
                f"the generator {maker.name} reads latents of {maker.info.entropy_id}, {codec.name} has "
                f"{codec.entropy_id.hex()}: train it for this codec, or leave it out with --generators"
            )
    return makers


def _tables(codec: Codec) -> bytes:
    stored = {
        f"tables_{kind}.{name}": getattr(tables, name).astype(np.int32)
        for kind, tables in (("y", codec.release.tables_y), ("z", codec.release.tables_z))
        for name in ("bounds", "flat")
    }
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
        "palette": [list(colour) for colour in head.palette],
        "origin": head.origin,
    }


def _generator_entry(maker: TrainedGenerator) -> dict[str, Any]:
    return {
        "graph": f"generator_{maker.name}",
        "id": maker.generator_id.hex(),
        "classes": list(maker.info.classes),
        "palette": [list(colour) for colour in maker.info.palette],
        "origin": maker.info.origin,
    }
