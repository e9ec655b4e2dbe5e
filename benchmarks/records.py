"""The records of results: what a benchmark found, kept beside the pages that show it.

A record is the JSON of a benchmark without its rows by photo: docs/results/records/NAME.json. It says which command
made it, when, on which machine, and with which weights. `transcribed` marks figures that were copied from an earlier
page, because the run that gave them kept no JSON; the next run replaces them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.tables import clients, codec, costs, gallery, heads, lossless, other, scale
from benchmarks.tables.markdown import Block
from benchmarks.weights_ids import is_released, weights_id

RECORDS_DIR = common.ROOT / "docs" / "results" / "records"
Record = dict[str, Any]
BLOCKS: dict[str, Block] = {
    **codec.BLOCKS,
    **costs.BLOCKS,
    **heads.BLOCKS,
    **clients.BLOCKS,
    **scale.BLOCKS,
    **lossless.BLOCKS,
    **other.BLOCKS,
    **gallery.BLOCKS,
}
"""Every block of a page, as RECORD.BLOCK."""
UNSEEN = ("names", "examples", "seconds", "slowest", "hungriest", "passed", "targets", "origin", "rows")
"""Keys of a result that no page shows; `rows` only where it holds one row a photo."""
ROWS_SHOWN = ("contention", "recognition", "web_symbols", "compact")
"""Benchmarks whose `rows` a page shows."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a record comes from."""

    file: str
    """out/FILE.json, which the benchmark writes."""
    target: str
    """The target of make that runs it."""
    needs: str = "base"
    """The weights without which there is nothing to measure."""
    only: tuple[str, ...] = ()
    """Keys of the result that the record takes; empty means all."""


LEARNED = ("classes", "train", "asked")
"""What a head of one's own learned from."""

SOURCES = {
    "rate": Source(file="rate", target="bench-rate"),
    "speed": Source(file="speed", target="bench-speed"),
    "arithmetic": Source(file="arithmetic", target="bench-arithmetic"),
    "throughput": Source(file="throughput", target="bench-throughput", needs="street"),
    "contention": Source(file="contention", target="bench-contention"),
    "small_pictures": Source(file="scaling", target="bench-scaling", needs="imagenette", only=("small",)),
    "processes": Source(file="scaling", target="bench-scaling", only=("processes",)),
    "memory": Source(file="memory", target="bench-memory"),
    "exactness": Source(file="exactness", target="bench-exactness"),
    "fuzz": Source(file="fuzz", target="bench-fuzz"),
    "effort": Source(file="effort", target="bench-effort"),
    "effort_costs": Source(file="effort_costs", target="bench-effort"),
    "recognition_street": Source(file="street", target="bench-recognition", needs="street"),
    "recognition_imagenette": Source(file="imagenette", target="bench-recognition", needs="imagenette"),
    "labelmap": Source(file="labelmap", target="bench-labelmap"),
    "generative": Source(file="generative", target="bench-generative", needs="generator_street"),
    "photos": Source(file="photos", target="bench-photos", needs="generator_photos"),
    "search": Source(file="search", target="bench-search", needs="embed", only=("classes", "copies")),
    "search_speed": Source(file="search", target="bench-search", only=("speed",)),
    "search_pairs": Source(file="search", target="bench-search", needs="signature", only=("pairs",)),
    "search_classes": Source(file="search", target="bench-search", needs="embed", only=("classes", "asked")),
    "search_strangers": Source(file="search", target="bench-search", needs="signature", only=("strangers",)),
    "fit_head": Source(file="fit_head", target="bench-fit-head", only=(*LEARNED, "head", "probe", "cpu_seconds")),
    "fit_trunks": Source(file="fit_head", target="bench-fit-head", only=(*LEARNED, "trunks")),
    "edge": Source(file="edge", target="bench-edge"),
    "edge_int8": Source(file="edge", target="bench-edge", only=("int8",)),
    "edge_answers": Source(file="edge_int8", target="bench-answers", needs="imagenette", only=("int8",)),
    "wheels": Source(file="wheels", target="bench-wheels", only=("symbols", "photos", "qualities")),
    "wheel_sizes": Source(file="wheels", target="bench-wheels", only=("wheel_bytes", "graphs", "install", "start")),
    "web_size": Source(file="web_size", target="bench-web-size"),
    "web": Source(file="web", target="bench-web"),
    "web_symbols": Source(file="web_symbols", target="bench-web-symbols"),
    "compact": Source(file="compact", target="bench-compact"),
    "scale_verbs": Source(file="scale_verbs", target="bench-scale", needs="street"),
    "plan": Source(file="plan", target="bench-scale"),
    "scale_killed": Source(file="scale_killed", target="bench-scale", needs="imagenette"),
    "scale_engines": Source(file="scale_engines", target="bench-scale", needs="imagenette"),
    "scale_workers": Source(file="scale_engines", target="bench-scale", needs="imagenette", only=("workers",)),
    "service": Source(file="service", target="bench-service"),
    "gallery": Source(file="gallery", target="gallery", needs="generator_photos"),
    "thumbs": Source(file="thumbs", target="bench-thumbs", needs="thumbs"),
    **{
        name: Source(file=name, target="bench-lossless", needs="lossless")
        for name in ("lossless", "lossless_clic", "lossless_deep", "lossless_memory", "lossless_fuzz")
    },
    "lossless_exactness": Source(
        file="lossless_exactness", target="bench-lossless-exactness", needs="lossless", only=("backends",)
    ),
    "restore": Source(file="restore", target="bench-restore", needs="restorer"),
    "restore_bsds": Source(file="restore_bsds", target="bench-restore", needs="restorer"),
}
"""Every record that pages may show."""

ORIGIN = ("benchmark", "command", "date", "machine", "weights", "transcribed", "data")
"""Keys that say where a record comes from."""


def read_record(name: str) -> Record | None:
    """The record of a name, or None where it was not measured yet."""
    path = RECORDS_DIR / f"{name}.json"
    if not path.is_file():
        return None
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    return record


def taken(name: str, result: Record) -> Record:
    """What a record keeps of a result: no row by photo, no path of a machine."""
    only = SOURCES[name].only
    kept = {key: value for key, value in result.items() if not only or key in only or key in ORIGIN}
    shown = result["benchmark"] in ROWS_SHOWN
    record = {key: value for key, value in kept.items() if key not in UNSEEN or (key == "rows" and shown)}
    record["command"] = " ".join(_without_folders(word) for word in record["command"].split(" "))
    record["machine"] = {key: record["machine"][key] for key in ("cpu", "cores")}
    return record


def _without_folders(word: str) -> str:
    """A word of a command, its absolute path relative to the checkout or cut to its name."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return path.relative_to(common.ROOT).as_posix() if path.is_relative_to(common.ROOT) else path.name


def take(name: str, out: Path) -> bool:
    """Takes a new result of a benchmark into its record. False where there is none, or one of other weights."""
    path = out / f"{SOURCES[name].file}.json"
    if not path.is_file():
        return False
    result: Record = json.loads(path.read_text(encoding="utf-8"))
    only = SOURCES[name].only
    if "benchmark" not in result or "weights" not in result or not all(result.get(key) for key in only):
        return False
    record = taken(name, result)
    if stale_weights(record) or record == read_record(name):
        return False
    common.write_json(RECORDS_DIR / f"{name}.json", record)
    return True


def stale_weights(record: Record, current: Callable[[str], str] = weights_id) -> list[str]:
    """The weights of a record that the package holds in another version by now."""
    return [name for name, known in record["weights"].items() if is_released(name) and current(name) != known]


def is_stale(name: str) -> bool:
    """Whether a record is to be measured: it is missing or older than its weights, and its weights are there."""
    record = read_record(name)
    if record is None:
        return is_released(SOURCES[name].needs)
    return bool(stale_weights(record)) or record.get("transcribed", False)


def about(record: Record) -> str:
    """The line that says where figures come from."""
    weights = ", ".join(
        f"{name} `{value}`" + ("" if is_released(name) else " (not released)")
        for name, value in record["weights"].items()
    )
    machine = record["machine"]
    parts = [f"`{record['command']}`", *([record["data"]] if "data" in record else []), record["date"], weights]
    line = "; ".join([*(part for part in parts if part), f"{machine['cpu']}, {machine['cores']} cores"])
    return f"*{line}*" if not record.get("transcribed") else f"*{line}; copied from an earlier version of this page*"
