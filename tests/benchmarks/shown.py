"""Writes the blocks of pages from a result, so that every benchmark's next run fills its page."""

from __future__ import annotations

from typing import Any

from benchmarks.records import BLOCKS, SOURCES, about, read_record, taken

BENCHMARKS = {"street": "recognition", "imagenette": "recognition", "photos": "generative"}
"""The benchmarks whose results have other names."""


def benchmark_of(name: str) -> str:
    """The benchmark that a record comes from, also where nothing was measured yet."""
    file = SOURCES[name].file
    known = "scale" if file.startswith("scale_") else BENCHMARKS.get(file, file)
    return str((read_record(name) or {"benchmark": known})["benchmark"])


def shown(result: dict[str, Any]) -> dict[str, str]:
    """The blocks that pages would show of a result, by name. Parts that the run left out are left out."""
    blocks: dict[str, str] = {}
    for name, source in SOURCES.items():
        if benchmark_of(name) != result["benchmark"] or not all(result.get(key) for key in source.only):
            continue
        record = taken(name, result)
        assert about(record).startswith("*`python -m benchmarks.")
        for block in BLOCKS:
            if block.startswith(f"{name}.") and needed(block, record):
                blocks[block] = BLOCKS[block](record)
    return blocks


def needed(block: str, record: dict[str, Any]) -> bool:
    """Whether a run of one part of a benchmark holds what a block shows."""
    part = {"scale_verbs": "verbs", "scale_workers": "workers"}.get(block.partition(".")[0])
    engines = ("scale_killed.engines", "scale_killed.growth", "scale_engines.engines")
    part = {"scale_killed.table": "killed", **dict.fromkeys(engines, "engines")}.get(block, part)
    return part is None or bool(record.get(part))
