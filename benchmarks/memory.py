"""Peak memory of encoding and decoding a 24-megapixel photo, each in a process of its own.

The photo is a sample photo, mirrored until it covers 6000x4000, with seeded noise on it so that nothing repeats. A
process reads the file as a user's would; its peak is the largest resident set that the system saw.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.common import at_most
from benchmarks.weights_ids import weights_id
from semcomp.eval.memory import peak_bytes
from semcomp.lossless.weights import EMBEDDED
from semcomp.pipeline.effort import DEFAULT_EFFORT

GIB = 1 << 30


def make_photo(sample: Path, path: Path, *, width: int, height: int, seed: int) -> None:
    """Write the photo as a PNG."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    pixels = common.picture_of_size(sample, width, height)
    for rows in range(0, height, 256):
        part = pixels[rows : rows + 256]
        noise = rng.integers(-5, 6, part.shape, np.int16)
        part[:] = np.clip(part + noise, 0, 255)
    Image.fromarray(pixels).save(path, compress_level=1)


def work(job: str, source: str, target: str, options: argparse.Namespace) -> dict[str, Any]:
    """One job inside its own process."""
    import torch

    codec = common.load_codec(options, threads=options.threads, lossless_weights=options.lossless)
    before, start = peak_bytes(), time.perf_counter()
    if job == "encode":
        how: dict[str, Any] = {"lossless": True} if options.lossless else {"quality": options.quality}
        how |= {} if options.effort == DEFAULT_EFFORT else {"effort": options.effort}
        Path(target).write_bytes(codec.encode(Path(source), **how))
    else:
        codec.decode(Path(source).read_bytes())
    seconds = time.perf_counter() - start
    return {
        "peak_bytes": peak_bytes(),
        "before_bytes": before,
        "seconds": round(seconds, 2),
        "threads": torch.get_num_threads(),
        "file_bytes": Path(target).stat().st_size,
    }


def run_child(job: list[str], arguments: list[str]) -> dict[str, Any]:
    """Run this module again with a job."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments, "--job", *job]
    paths = os.pathsep.join([str(common.ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("memory", __doc__, "python -m benchmarks.memory --size 6000 4000 -o out/memory.json")
    parser.add_argument("photo", nargs="?", type=Path, default=common.PHOTO, help="default: examples/photo.png")
    parser.add_argument("-q", "--quality", type=int, default=75, help="default: 75")
    parser.add_argument("--effort", type=int, default=DEFAULT_EFFORT, help=f"default: {DEFAULT_EFFORT}")
    parser.add_argument(
        "--lossless",
        nargs="?",
        type=Path,
        const=EMBEDDED,
        metavar="WEIGHTS",
        help="keep exact pixels, with the networks of a file (those inside semcomp)",
    )
    parser.add_argument("--size", type=int, nargs=2, default=(6000, 4000), metavar=("W", "H"))
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: 0)")
    parser.add_argument("--limit", type=float, default=3.0, metavar="GIB", help="default: 3")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if options.job:
        kind, source, target = options.job
        if kind == "photo":
            make_photo(Path(source), Path(target), width=options.size[0], height=options.size[1], seed=options.seed)
            answer: dict[str, Any] = {}
        else:
            answer = work(kind, source, target, options)
        common.say(json.dumps(answer))
        return 0

    with tempfile.TemporaryDirectory() as folder:
        photo, file = str(Path(folder) / "photo.png"), str(Path(folder) / "photo.semc")
        run_child(["photo", str(options.photo.resolve()), photo], given)
        measured = {
            "encode": run_child(["encode", photo, file], given),
            "decode": run_child(["decode", file, file], given),
        }
    width, height = options.size
    size = measured["encode"]["file_bytes"]
    kept = "exact" if options.lossless else f"quality {options.quality}"
    lines = [f"{width}x{height} ({width * height / 1e6:.1f} megapixels), {kept}, {size:,} bytes"]
    checks = []
    for job, one in measured.items():
        peak, before = one["peak_bytes"] / GIB, one["before_bytes"] / GIB
        lines.append(
            f"  {job}: peak {peak:.2f} GiB, of which {before:.2f} before it began; "
            f"{one['seconds']:.1f} s on {one['threads']} thread(s)"
        )
        checks.append(at_most(f"peak of {job}", round(peak, 3), options.limit, " GiB"))
    quality = None if options.lossless else options.quality
    result = {"model": options.model, "width": width, "height": height, "quality": quality, **measured}
    measured_weights = {"lossless": weights_id(str(options.lossless))} if options.lossless else None
    return common.finish(
        "memory", options, result=result, checks=checks, table="\n".join(lines), weights=measured_weights
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
