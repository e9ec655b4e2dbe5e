"""Many small files: a run that is killed and resumed, both engines beside each other, memory, the cost of verbs.

    killed      the command dies by SIGKILL with all its processes, is started again, and the rows are counted
    engines     the whole run with each engine: files a second, CPU seconds, memory of the workers at begin and end
    workers     the pool with one worker and with two; left out where this process may use one core alone
    verbs       CPU seconds and bytes of Parquet for a file, for each verb, in one process

A busy machine stretches the times and leaves the CPU seconds nearly as they are.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import common
from benchmarks.common import Check, at_least, at_most, spread
from benchmarks.weights_ids import weights_ids
from heads.datasets import SUFFIXES, read_rgb
from semcomp.errors import MissingExtraError

ENGINES = ("processes", "ray")
VERBS = ("info", "classify", "segment", "embed", "encode", "decode")
HEADS = {"classify": "imagenette", "segment": "street"}
FILES_A_FOLDER = 1000


class Tree(threading.Thread):
    """Watches a process with all that it has started: CPU seconds, and the largest memory."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(daemon=True)
        import psutil

        self.psutil, self.root = psutil, psutil.Process(process.pid)
        self.cpu: dict[int, float] = {}
        self.peak_mib = 0.0
        self.start()

    def members(self) -> list[Any]:
        """The process and its descendants."""
        try:
            return [self.root, *self.root.children(recursive=True)]
        except self.psutil.Error:
            return []

    def run(self) -> None:
        """Look twice a second until the process has ended."""
        while self.look():
            time.sleep(0.5)

    def look(self) -> bool:
        """Note what every member has used so far; False when none is left."""
        used, members = 0, self.members()
        for member in members:
            try:
                times = member.cpu_times()
                self.cpu[member.pid] = times.user + times.system
                used += member.memory_info().rss
            except self.psutil.Error:
                continue
        self.peak_mib = max(self.peak_mib, used / (1 << 20))
        return bool(members)

    def kill(self) -> None:
        """End every member at once, as a machine that loses its power does."""
        for member in self.members():
            try:
                member.kill()
            except self.psutil.Error:
                continue


class Run(NamedTuple):
    """One run of the command that was not killed."""

    seconds: float
    blocks: list[dict[str, Any]]
    """What the command said of each block, with "at" and "cpu", the time and the CPU seconds when it said so"""
    cpu_seconds: float
    tree_mib: float


def command(verb: str, source: Path, place: Path, options: argparse.Namespace, *more: str) -> list[str]:
    """The command of one run."""
    head = ["--head", HEADS[verb]] if verb in HEADS else []
    base = [sys.executable, "-m", "semcomp", "map", verb, str(source), "-o", str(place), "--json"]
    return [*base, "--block", str(options.block), *head, *more]


def started(arguments: list[str]) -> "subprocess.Popen[str]":
    """Start a run whose lines are read as they come."""
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=common.ROOT)


def whole_run(arguments: list[str]) -> Run:
    """Run to the end."""
    began = time.perf_counter()
    process = started(arguments)
    tree, blocks = Tree(process), list[dict[str, Any]]()
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            used = sum(tree.cpu.values())
            blocks.append({**json.loads(line), "at": time.perf_counter() - began, "cpu": used})
    process.wait()
    tree.join(timeout=5)
    return Run(time.perf_counter() - began, blocks, sum(tree.cpu.values()), tree.peak_mib)


def killed_run(arguments: list[str], place: Path, *, parts: int) -> None:
    """Kill the run with all its processes when this number of blocks is done."""
    process = started(arguments)
    tree = Tree(process)
    while process.poll() is None and len(list(place.glob("part-*.parquet"))) < parts:
        time.sleep(0.02)
    tree.kill()
    process.communicate()


def rows_lost_and_doubled(place: Path, source: Path) -> tuple[int, int, int]:
    """Count the rows that are missing, that come twice, and that hold an error."""
    import pyarrow.parquet as pq

    table = pq.read_table(place, columns=["path", "error"])
    found, wanted = table["path"].to_pylist(), {str(path) for path in source.rglob("*.semc")}
    return len(wanted - set(found)), len(found) - len(set(found)), len(found) - table["error"].null_count


def make_files(folder: Path, options: argparse.Namespace) -> None:
    """Write small .semc files: crops of the photos, encoded once and repeated."""
    codec = common.load_codec(options, threads=1)
    paths = [path for place in options.photos for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES]
    pictures = [read_rgb(path)[: options.side, : options.side] for path in spread(paths or [common.PHOTO], 50)]
    encoded = [codec.encode(picture, quality=40) for picture in pictures]
    for number in range(options.files):
        path = folder / f"{number // FILES_A_FOLDER:04}" / f"{number:07}.semc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded[number % len(encoded)])


def measure_kills(source: Path, place: Path, engine: str, options: argparse.Namespace) -> dict[str, int]:
    """Kill a run several times, resume it, and count its rows."""
    blocks = -(-options.files // options.block)
    arguments = command(options.verb, source, place, options, "--engine", engine, "-j", str(options.workers))
    for number in range(options.kills):
        killed_run(arguments, place, parts=(number + 1) * blocks // (options.kills + 1))
    last = whole_run(arguments)
    lost, doubled, failed = rows_lost_and_doubled(place, source)
    again = sum(block["files"] for block in last.blocks)
    return {"lost": lost, "doubled": doubled, "failed": failed, "done_in_the_last_run": again}


def measure_engine(source: Path, place: Path, engine: str, workers: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run everything once, each worker on one thread.

    Steady figures leave out what comes before the first block is done: starting, loading.
    """
    jobs = ["-j", str(workers), *(["--threads", str(workers)] if engine == "processes" else [])]
    arguments = command(options.verb, source, place, options, "--engine", engine, *jobs)
    run = whole_run(arguments)
    first, last = run.blocks[0], run.blocks[-1]
    later = sum(block["files"] for block in run.blocks[1:])
    steady = later / max(last["at"] - first["at"], 1e-9)
    return {
        "files_per_second": round(options.files / run.seconds, 2),
        "steady_files_per_second": round(steady, 2) if len(run.blocks) > 1 else None,
        "seconds": round(run.seconds, 2),
        "cpu_seconds": round(run.cpu_seconds, 1),
        "cpu_seconds_to_first_block": round(first["cpu"], 1),
        "steady_cpu_ms_per_file": round(1000 * (last["cpu"] - first["cpu"]) / later, 3) if later else None,
        "seconds_in_workers": round(sum(block["seconds"] for block in run.blocks), 2),
        "worker_mib_first": round(first["peak_mib"], 1),
        "worker_mib_last": round(max(block["peak_mib"] for block in run.blocks), 1),
        "all_processes_mib": round(run.tree_mib, 1),
    }


def measure_verbs(root: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """CPU milliseconds and bytes of Parquet for a file of each verb, beyond what starting takes."""
    photos = [path for place in options.photos for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES]
    chosen, results = spread(photos or [common.PHOTO], options.verb_files), {}
    (root / "pictures").mkdir()
    for number, path in enumerate(chosen):
        shutil.copy(path, root / "pictures" / f"{number:05}{path.suffix}")
    encode = ["--files", str(root / "semc"), "-q", "40", "--threads", "1"]
    for verb in ("encode", *[verb for verb in VERBS if verb != "encode"]):
        source = root / ("pictures" if verb == "encode" else "semc")
        more = encode if verb == "encode" else ["--files", str(root / "back")] if verb == "decode" else []
        run = whole_run(command(verb, source, root / f"{verb}.parquet", options, *more))
        table = _rows(root / f"{verb}.parquet")
        size = sum(path.stat().st_size for path in (root / f"{verb}.parquet").glob("part-*"))
        megapixels = sum(w * h for w, h in zip(table["width"], table["height"], strict=True)) / 1e6
        results[verb] = {
            "files": len(table["seconds"]),
            "megapixels": round(megapixels / len(table["seconds"]), 3),
            "cpu_ms_per_file": round(1000 * sum(table["cpu_seconds"][1:]) / (len(table["seconds"]) - 1), 3),
            "process_cpu_seconds": round(run.cpu_seconds, 2),
            "parquet_bytes_per_file": round(size / len(table["seconds"]), 1),
            "read_bytes_per_file": round(sum(table["bytes"]) / len(table["seconds"]), 1),
        }
    return results


def _rows(place: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    columns = ["seconds", "cpu_seconds", "bytes", "width", "height"]
    rows: dict[str, list[Any]] = pq.read_table(place, columns=columns).to_pydict()
    return rows


def checks_of(result: dict[str, Any], options: argparse.Namespace) -> list[Check]:
    """The promises of the issue."""
    checks = []
    for engine, counts in result["killed"].items():
        checks += [at_most(f"{name} rows, {engine}", counts[name], 0, "") for name in ("lost", "doubled", "failed")]
    engines = result["engines"]
    for engine, values in engines.items():
        growth = values["worker_mib_last"] - values["worker_mib_first"]
        checks.append(at_most(f"growth of a worker, {engine}", growth, 64, " MiB"))
    if set(ENGINES) <= engines.keys():
        used = [engines[name]["steady_cpu_ms_per_file"] for name in ENGINES]
        rates = [engines[name]["steady_files_per_second"] for name in ENGINES]
        if all(used) and all(rates):
            checks += [
                at_most("CPU that Ray takes more than the pool", round(100 * (used[1] / used[0] - 1), 1), 15, " %"),
                at_most("how much slower Ray is than the pool", round(100 * (1 - rates[1] / rates[0]), 1), 15, " %"),
            ]
    if result["workers"]:
        ratio = result["workers"]["2"]["files_per_second"] / result["workers"]["1"]["files_per_second"]
        checks.append(at_least("two workers, times one", round(ratio, 2), 1.8, ""))
    return checks


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{result['files']:,} files, verb {result['verb']}, blocks of {result['block']}"]
    for name in ("killed", "engines", "workers", "verbs"):
        for key, values in result[name].items():
            lines.append(f"{name:<8} {key:<10} " + "  ".join(f"{what} {value}" for what, value in values.items()))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("scale", __doc__, "python -m benchmarks.scale data/val --files 2000 -o out/scale.json")
    parser.add_argument("photos", type=Path, nargs="*", help="folders of photos (examples/photo.png)")
    parser.add_argument("--files", type=int, default=2000, metavar="N", help="small files (2000)")
    parser.add_argument("--side", type=int, default=96, metavar="PIXELS", help="largest side of the small files (96)")
    parser.add_argument("--verb", choices=VERBS[:4], default="classify", help="verb of the runs (classify)")
    parser.add_argument("--block", type=int, default=1000, metavar="N", help="files of a block (1000)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="workers of the runs (2)")
    parser.add_argument("--kills", type=int, default=2, metavar="N", help="times that a run is killed (2)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="engines (both)")
    parser.add_argument("--verb-files", type=int, default=40, metavar="N", help="photos for the cost of verbs (40)")
    parser.add_argument("--only", nargs="+", choices=("killed", "engines", "workers", "verbs"), help="parts (all)")
    options = parser.parse_args(arguments)
    try:
        import psutil  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Watching processes", "scale") from error
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    only = set(options.only or ("killed", "engines", "workers", "verbs"))
    result: dict[str, Any] = {"files": options.files, "verb": options.verb, "block": options.block, "cores": cores}
    result |= {"killed": {}, "engines": {}, "workers": {}, "verbs": {}}
    with tempfile.TemporaryDirectory() as place:
        root, source = Path(place), Path(place) / "files"
        if only != {"verbs"}:
            make_files(source, options)
        for engine in options.engines:
            if "killed" in only:
                result["killed"][engine] = measure_kills(source, root / f"killed.{engine}", engine, options)
            if "engines" in only:
                result["engines"][engine] = measure_engine(source, root / engine, engine, options.workers, options)
        if "workers" in only and cores > 1:
            for workers in (1, 2):
                found = measure_engine(source, root / f"workers{workers}", "processes", workers, options)
                result["workers"][str(workers)] = found
        if "verbs" in only:
            (root / "verbs").mkdir()
            result["verbs"] = measure_verbs(root / "verbs", options)
    ids = weights_ids(
        [options.model, *(HEADS.values() if result["verbs"] else [HEADS.get(options.verb, options.model)])]
    )
    return common.finish(
        "scale", options, result=result, checks=checks_of(result, options), table=table_of(result), weights=ids
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
