"""Runs a queue of short trainings and keeps one table: python -m train.queue configs/codec_queue.yaml

Each variant changes one thing of the base run; steps and seed are equal. The file is read again before every run, so
that variants can be added while the queue works. A queue that was stopped goes on where it stopped, inside a run too.
A variant that fails is noted with its error, and the next one starts.
"""

import argparse
import copy
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from semcomp import config as configuration
from semcomp.networks.model import kmac_per_pixel
from train.codec import RunConfig

ENCODER = ("analysis", "hyper", "sigma", "refine", "mean")
DECODER = ("sigma", "refine", "mean", "synthesis")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One run of the queue."""

    name: str
    why: str = ""
    """What it asks, for the table."""
    set: dict[str, Any]
    """Values of the run by dotted names, such as codec.latents."""


def read_queue(path: Path) -> tuple[dict[str, Any], list[Variant]]:
    """The base run and the variants. ValueError where two variants share a name or a key is unknown."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    variants = [
        Variant(name=entry["name"], why=entry.get("why", ""), set=entry.get("set") or {})
        for entry in values["variants"]
    ]
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two variants share a name: {sorted(names)}")
    for variant in variants:
        configuration.build(RunConfig, resolved(values["base"], variant))
    return values["base"], variants


def resolved(base: dict[str, Any], variant: Variant) -> dict[str, Any]:
    """The base run with the variant's changes."""
    values = copy.deepcopy(base) | {"name": variant.name}
    for name, value in variant.set.items():
        *parents, last = name.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return values


def last_line(folder: Path) -> dict[str, Any] | None:
    """The last validation line of a run, or None."""
    log = folder / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return next((row for row in reversed(rows) if "quality" in row), None)


def result_of(folder: Path, variant: Variant) -> dict[str, Any]:
    """What the table says of a finished run."""
    config = configuration.load(RunConfig, folder / "config.yaml")
    line = last_line(folder)
    if line is None or line["step"] < (config.steps or 0):
        return {"name": variant.name, "why": variant.why, "error": f"no validation line at step {config.steps}"}
    cost = kmac_per_pixel(config.codec)
    return {
        "name": variant.name,
        "why": variant.why,
        "set": variant.set,
        "steps": line["step"],
        "seconds_per_step": round(60 * line["minutes"] / line["step"], 4),
        "kmac_encode": round(sum(cost.get(part, 0) for part in ENCODER), 2),
        "kmac_decode": round(sum(cost.get(part, 0) for part in DECODER), 2),
        **{key: value for key, value in line.items() if key not in ("step", "minutes")},
    }


def run_variant(base: dict[str, Any], variant: Variant, runs: Path) -> dict[str, Any]:
    """Train one variant in a process of its own, resumed where a state exists. Returns its row of the table."""
    folder = runs / variant.name
    folder.mkdir(parents=True, exist_ok=True)
    file = runs / f"{variant.name}.yaml"
    file.write_text(yaml.safe_dump(resolved(base, variant), sort_keys=False))
    command = [sys.executable, "-m", "train.codec", str(file), "--runs", str(runs), "--quiet"]
    if (folder / "state.safetensors").exists():
        command.append("--resume")
    with (folder / "output.txt").open("a") as output:
        before = cpu_seconds()
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        tail = (folder / "output.txt").read_text().strip().splitlines()[-1:]
        return {"name": variant.name, "why": variant.why, "error": f"exit {status}: {' '.join(tail)}"}
    row = result_of(folder, variant)
    if "steps" in row and "--resume" not in command:
        row["cpu_seconds_per_step"] = round((cpu_seconds() - before) / row["steps"], 4)
    return row


def cpu_seconds() -> float:
    """Processor time of all finished child processes. Other work on the machine lengthens wall time, but not this."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table_of(results: list[dict[str, Any]]) -> str:
    """Two Markdown tables: costs, BD-rates, floors and bits of z; then the curves on the native photos."""
    head = (
        "| variant | s/step | kMAC enc / dec | smooth: all, 26-32, 32-38 dB | native: all, 26-32, 32-38 dB | "
        "floor dB at q 60, 100 (native) | bpp of z at q 20, 60 (native) |"
    )
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    points = ["| variant | native bpp / dB by quality |", "|---|---|"]
    for row in results:
        if "error" in row:
            lines.append(f"| {row['name']} | failed: {row['error']} |")
            continue
        lines.append(_costs(row))
        curve = zip(row["quality"], row["native_bpp"], row["native_psnr_db"], strict=True)
        points.append(f"| {row['name']} | " + " · ".join(f"q{q} {b:.3f}/{d:.2f}" for q, b, d in curve) + " |")
    return "\n".join([*lines, "", *points, ""])


def _costs(row: dict[str, Any]) -> str:
    """One line of the first table."""
    rates = [", ".join(_percent(row[f"{of}bd_rate{part}"]) for part in ("", "_low", "_high")) for of in ("", "native_")]
    at = {quality: number for number, quality in enumerate(row["quality"])}
    floor, z = row["native_floor_db"], row["native_bpp_z"]
    cells = [
        row["name"],
        f"{row.get('cpu_seconds_per_step') or row['seconds_per_step']:.3f}",
        f"{row['kmac_encode']:.1f} / {row['kmac_decode']:.1f}",
        *rates,
        f"{floor[at[60]]:.2f}, {floor[at[100]]:.2f}",
        f"{z[at[20]]:.4f}, {z[at[60]]:.4f}",
    ]
    return f"| {' | '.join(cells)} |"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def work(path: Path, runs: Path, *, run: Callable[..., dict[str, Any]] = run_variant) -> bool:
    """Run the next variant that has no result yet and write results.json and table.md; False where none is left."""
    file = runs / "results.json"
    results: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    base, variants = read_queue(path)
    done = {row["name"] for row in results}
    variant = next((variant for variant in variants if variant.name not in done), None)
    if variant is None:
        return False
    results.append(run(base, variant, runs))
    file.write_text(json.dumps(results, indent=1))
    (runs / "table.md").write_text(table_of(results))
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train.queue", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queue", type=Path, help="YAML file: base, a run; variants, a list of name, why and set")
    parser.add_argument("--runs", type=Path, default=Path("runs/queue"), help="where runs and the table are kept")
    options = parser.parse_args(arguments)
    options.runs.mkdir(parents=True, exist_ok=True)
    try:
        if work(options.queue, options.runs.resolve()):
            # A fresh process: the next run may need sources that are newer than this one's.
            os.execv(sys.executable, [sys.executable, "-m", "train.queue", *(arguments or sys.argv[1:])])
    except (ValueError, KeyError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
