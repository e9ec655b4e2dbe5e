"""Time to encode a photo to a size beside one busy process on every core, against the time alone.

A process that shares its cores equally with one other takes twice as long. Threads that spin while they wait for each
other take far longer: they burn their share of the core that the awaited thread needs. The command sets OpenMP to wait
passively before it loads torch; a program that uses the library has OpenMP's own default unless it does the same.

Each figure is the median over fresh processes of the time that encoding takes, without loading the weights.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.common import at_most
from semcomp.workers import WAIT_POLICY

SETTINGS: dict[str, dict[str, str]] = {
    "the command's setting": WAIT_POLICY,
    "OpenMP's default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
TARGETS: dict[str, dict[str, float]] = {"--max-bytes 20k": {"max_bytes": 20_000}, "--psnr 34": {"psnr": 34.0}}
LIMIT = 3.0
"""An equal share of the cores makes 2, and switching adds to it: 2.2 and 2.4 were measured on an idle machine."""
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
_ENCODE = """
import json, sys, time
import semcomp
from semcomp.imaging.picture import open_picture
codec, picture, target = semcomp.load(sys.argv[1]), open_picture(sys.argv[2]), json.loads(sys.argv[3])
codec.encode(picture)
start = time.perf_counter()
codec.encode_to(picture, **target)
print(time.perf_counter() - start)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every setting; 0 if the command's setting keeps its limit."""
    options = _options(argv)
    cores = sorted(options.cores or _usable_cores())
    rows = []
    cases = [(setting, target) for setting in SETTINGS for target in TARGETS]
    for setting, target in common.progress(cases, total=len(cases), label="settings", options=options):
        alone = [_seconds(options, cores, setting, target) for _ in range(options.runs)]
        with busy_processes(cores):
            beside = [_seconds(options, cores, setting, target) for _ in range(options.runs)]
        row = {"setting": setting, "target": target, "alone": statistics.median(alone)}
        row["beside"] = statistics.median(beside)
        rows.append({**row, "ratio": row["beside"] / row["alone"]})
    checks = [
        at_most(f"{row['target']}, beside one busy process a core against alone", row["ratio"], LIMIT, " times")
        for row in rows
        if SETTINGS[row["setting"]] is WAIT_POLICY
    ]
    lines = [f"{'setting':<24}{'target':<18}{'alone s':>10}{'beside s':>10}{'ratio':>8}"]
    lines += [
        f"{row['setting']:<24}{row['target']:<18}{row['alone']:>10.2f}{row['beside']:>10.2f}{row['ratio']:>8.1f}"
        for row in rows
    ]
    result = {"rows": rows, "cores_used": cores, "photo": options.photo.name}
    return common.finish("contention", options, result=result, checks=checks, table="\n".join(lines))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = common.make_parser("contention", __doc__, "python -m benchmarks.contention --cores 0 1 --runs 3")
    parser.add_argument("--photo", type=Path, default=common.PHOTO, metavar="FILE", help="photo to encode")
    parser.add_argument("--cores", type=int, nargs="+", metavar="N", help="cores to use (every usable one)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="processes for each figure (3)")
    return parser.parse_args(argv)


def _usable_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return list(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _seconds(options: argparse.Namespace, cores: Sequence[int], setting: str, target: str) -> float:
    """Encode once in a fresh process; returns the seconds."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    command = [*_on(cores), sys.executable, "-c", _ENCODE, options.model, str(options.photo)]
    command.append(json.dumps(TARGETS[target]))
    environment = {**inherited, **SETTINGS[setting]}
    done = subprocess.run(command, env=environment, cwd=common.ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextmanager
def busy_processes(cores: Sequence[int]) -> Iterator[None]:
    """Keep one process busy on every core while the block runs."""
    running: list[subprocess.Popen[Any]] = []
    try:
        running += [subprocess.Popen([*_on([core]), sys.executable, "-c", _BUSY]) for core in cores]
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _on(cores: Sequence[int]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, cores))] if sys.platform == "linux" else []


if __name__ == "__main__":
    sys.exit(common.guarded(main))
