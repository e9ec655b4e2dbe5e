"""Files a second of `semcomp segment` or `classify` on a folder, in one process and in two.

Whole commands are timed, imports and loading of weights included, each in turn and over again; the medians count. One
process reads the next file while the network looks at this one, which keeps more than one core busy even where every
network has one thread. So one process is measured three times: held to one core where the system can do that (Linux),
with one thread, and with all.
"""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import common
from benchmarks.common import at_least, spread
from benchmarks.weights_ids import weights_ids
from heads.datasets import SUFFIXES, read_rgb

ONE_CORE, TWO = "one process, one core", "two processes"
WAYS = {
    ONE_CORE: ("-j", "1", "--threads", "1"),
    "one process, one thread": ("-j", "1", "--threads", "1"),
    "one process": ("-j", "1"),
    TWO: ("-j", "2"),
}
if not hasattr(os, "sched_setaffinity"):
    del WAYS[ONE_CORE]


def seconds(command: str, head: str, files: Path, way: tuple[str, ...], *, core: int | None = None) -> float:
    """Time of one run over the folder, held to a core where one is named."""
    output = () if command == "classify" else ("-o", str(files.with_name("maps")), "-f")
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "semcomp", command, str(files), "--head", head, "--quiet", *output, *way],
        check=True,
        preexec_fn=None if core is None else partial(os.sched_setaffinity, 0, {core}),
    )
    return time.perf_counter() - began


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = common.make_parser("throughput", __doc__, "python -m benchmarks.throughput data/camvid")
    parser.add_argument("photos", type=Path, nargs="+", help="folders of pictures; they are encoded first")
    parser.add_argument("--command", choices=("classify", "segment"), default="segment")
    parser.add_argument("--head", default="street", metavar="NAME", help="head (street)")
    parser.add_argument("--quality", type=int, default=40, help="of the files (40)")
    parser.add_argument("--count", type=int, default=500, help="files (500); fewer pictures are taken again")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way (3)")
    options = parser.parse_args(arguments)
    found = [p for folder in options.photos for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    pictures = spread([p for p in found if "masks" not in p.parts], options.count)
    if not pictures:
        parser.error("no picture found")
    codec = common.load_codec(options)
    with tempfile.TemporaryDirectory() as place:
        files = Path(place) / "files"
        files.mkdir()
        encoded = [
            codec.encode(read_rgb(p), quality=options.quality)
            for p in common.progress(pictures, total=len(pictures), label="encoding", options=options)
        ]
        for number in range(options.count):
            (files / f"{number:05}.semc").write_bytes(encoded[number % len(encoded)])
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        rounds = common.progress(range(options.rounds), total=options.rounds, label="rounds", options=options)
        for _ in rounds:
            for name, way in WAYS.items():
                core = min(os.sched_getaffinity(0)) if name == ONE_CORE else None
                times[name].append(seconds(options.command, options.head, files, way, core=core))
    rates = {name: round(options.count / median(values), 1) for name, values in times.items()}
    table = "\n".join(f"{name:26}{rate:8.1f} files/s" for name, rate in rates.items())
    checks = [
        at_least(f"{TWO}, times {name}", round(rates[TWO] / rate, 2), 1.7 if name == ONE_CORE else 1, "")
        for name, rate in rates.items()
        if name != TWO
    ]
    ids = weights_ids([options.model, options.head])
    result = {
        "verb": options.command,
        "head": options.head,
        "count": options.count,
        "files_per_second": rates,
        "seconds": times,
    }
    return common.finish("throughput", options, result=result, checks=checks, table=table, weights=ids)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
