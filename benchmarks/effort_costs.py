"""What every effort costs: processor time of encoding one photo on one thread, and memory by size.

Efforts of the same meaning are measured once. Memory is the largest resident set of a process that encodes one photo,
torch and the photo included. It does not grow with the rounds and steps of an effort, so the lowest effort that rounds
again and the lowest that descends are measured beside the default one.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.memory import run_child
from semcomp.pipeline.effort import DEFAULT_EFFORT, EFFORTS, Effort

GIB = 1 << 30
SIZES = ("2048x2048", "3072x2304")
"""The largest picture that the descent does not cut, and one that it cuts into tiles."""


def groups(efforts: list[int]) -> list[tuple[Effort, list[int]]]:
    """Efforts with one meaning, together."""
    found: dict[Effort, list[int]] = {}
    for level in sorted(efforts):
        found.setdefault(EFFORTS[level], []).append(level)
    return list(found.items())


def times(codec: Any, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Processor seconds of every meaning: the least of some runs, or of one run where the encoder descends."""
    pixels, rows = common.picture_of_size(options.photo, *options.size), list[dict[str, Any]]()
    for effort, levels in groups(options.efforts):
        seconds = []
        for _ in range(1 if effort.steps else options.repeats):
            began = time.thread_time()
            codec.encode(pixels, quality=options.quality, effort=levels[-1])
            seconds.append(time.thread_time() - began)
        row = {"efforts": levels, "weighs": effort.optimise, "rounds": effort.rounds, "steps": effort.steps}
        rows.append({**row, "seconds": round(min(seconds), 3)})
    return rows


def peaks(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The largest resident set of encoding each size: with the default effort, with rounds and with a descent."""
    fitting = (
        next(level for level, effort in EFFORTS.items() if getattr(effort, part)) for part in ("rounds", "steps")
    )
    levels = (DEFAULT_EFFORT, *fitting)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        photo, file = str(Path(folder) / "photo.png"), str(Path(folder) / "photo.semc")
        for size in options.memory:
            width, height = map(int, size.split("x"))
            common_words = ["--size", str(width), str(height), "--threads", "1", "--model", options.model]
            run_child(["photo", str(options.photo.resolve()), photo], common_words)
            row: dict[str, Any] = {"size": [width, height], "peak_bytes": {}}
            for level in levels:
                found = run_child(["encode", photo, file], [*common_words, "--effort", str(level)])
                row["peak_bytes"][str(level)] = found["peak_bytes"]
            rows.append(row)
    return rows


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    width, height = result["size"]
    lines = [f"seconds of one thread for {width}x{height}"]
    for row in result["times"]:
        levels = " ".join(map(str, row["efforts"]))
        lines.append(f"  effort {levels:<10}{row['rounds']:>5} rounds{row['steps']:>5} steps{row['seconds']:>9.2f} s")
    for row in result["memory"]:
        peak = ", ".join(f"effort {level} {size / GIB:.2f} GiB" for level, size in row["peak_bytes"].items())
        lines.append(f"{'x'.join(map(str, row['size']))}: {peak}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("effort_costs", __doc__, "python -m benchmarks.effort_costs -o out/effort_costs.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("--efforts", type=int, nargs="+", default=sorted(EFFORTS), help="default: all")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="default: 768 512")
    parser.add_argument("-q", "--quality", type=int, default=45, help="default: 45")
    parser.add_argument("--repeats", type=int, default=5, help="runs of efforts that do not descend (default: 5)")
    parser.add_argument("--memory", nargs="*", default=SIZES, metavar="WxH", help=f"sizes ({' '.join(SIZES)})")
    parser.add_argument("--limit", type=float, default=3.0, metavar="GIB", help="default: 3")
    options = parser.parse_args(arguments)
    codec = common.load_codec(options, threads=1)
    codec.encode(common.picture_of_size(options.photo, *options.size), quality=options.quality)  # a warm-up
    result = {"size": list(options.size), "quality": options.quality, "times": times(codec, options)}
    result["memory"] = peaks(options)
    checks = [
        at_most(f"peak of {'x'.join(map(str, row['size']))} at effort {level}", size / GIB, options.limit, " GiB")
        for row in result["memory"]
        for level, size in row["peak_bytes"].items()
    ]
    return common.finish("effort_costs", options, result=result, checks=checks, table=table_of(result))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
