"""What `semcomp map` costs before the first block: the plan of many files, in a process of its own.

The listing makes the entries that a bucket of as many files gives. The process then plans them as a run does. Figures
are its processor seconds, its largest memory, and the bytes of the plan on disk. No file is read.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import common
from semcomp.eval.memory import peak_bytes
from semcomp.scale.run_folder import Input, RunFolder
from semcomp.scale.task import MapTask

FILES_A_FOLDER = 1000


def planned(count: int, place: str) -> dict[str, Any]:
    """Plan this number of files in this process. Returns what it cost."""
    began = time.process_time()
    names = (f"{number // FILES_A_FOLDER:05}/{number:09}.semc" for number in range(count))
    inputs = [Input(f"s3://bucket/photos/{name}", name) for name in names]
    folder, task = RunFolder(place), MapTask(verb="classify", head="imagenette")
    folder.begin(task, force=False)
    folder.add_inputs(inputs, task=task)
    blocks = folder.blocks()
    return {
        "files": count,
        "blocks": len(blocks),
        "cpu_seconds": round(time.process_time() - began, 2),
        "peak_bytes": peak_bytes(),
        "plan_bytes": sum(path.stat().st_size for path in Path(place).iterdir()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("plan", __doc__, "python -m benchmarks.plan --files 1000000 -o out/plan.json")
    parser.add_argument("--files", type=int, default=1_000_000, metavar="N", help="files that are planned (1000000)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        call = (
            f"import json; from benchmarks.plan import planned; print(json.dumps(planned({options.files}, {folder!r})))"
        )
        done = subprocess.run([sys.executable, "-c", call], cwd=common.ROOT, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    table = (
        f"{result['files']:,} files in {result['blocks']:,} blocks: {result['cpu_seconds']:.1f} s of the processor, "
        f"{result['peak_bytes'] / 1e6:.0f} MB of memory, {result['plan_bytes'] / 1e6:.1f} MB on disk"
    )
    return common.finish("plan", options, result=result, checks=[], table=table, weights={})


if __name__ == "__main__":
    sys.exit(common.guarded(main))
