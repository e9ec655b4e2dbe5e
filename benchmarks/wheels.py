"""The wheel semcomp-edge as users get it: its size, its installation, its start, and its symbols beside the library's.

The wheel is installed into an empty environment of its own. There the command encodes a small photo several times, each
time as a new process. Then library and installed client write every photo at every quality, and each reads what both
wrote. Every differing element of z, y and the table numbers is counted; there must be none. Symbols that the two
encoders chose differently are shown as well: any choice decodes.

--only wheel measures size, installation and start, which takes a minute. --only symbols does the rest.

The wheel must be there: make dist
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_most
from semcomp.codec.self_test import QUALITIES
from semcomp.errors import SemcompError
from semcomp.types import Symbols

CLIENT = Path(__file__).with_name("wheels_client.py")
WHEEL_LIMIT, INSTALL_LIMIT, START_LIMIT = 20e6, 15.0, 0.6
SMALL = (256, 192)
"""Size of the photo that the start is measured with."""
PARTS = ("z", "y", "index")
MEASURED = ("wheel", "symbols")


def run(*command: object) -> tuple[float, float]:
    """Run a program outside the checkout. Returns its seconds, on the clock and of the processor.

    Raises:
        SemcompError: The program failed.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=tempfile.gettempdir(), env=environment, capture_output=True, text=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SemcompError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def installed(wheel: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Install the wheel into a new environment. Returns its interpreter, and what that took."""
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "venv", folder)
    before = size_of(folder)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    seconds, processor = run(*pip, "-c", common.ROOT / "constraints.txt", wheel)
    return python, {"seconds": seconds, "processor_seconds": processor, "bytes": size_of(folder) - before}


def graphs_of(wheel: Path) -> dict[str, int]:
    """Bytes of each graph inside the wheel, as it is stored there, by name."""
    with zipfile.ZipFile(wheel) as archive:
        found = (entry for entry in archive.infolist() if entry.filename.endswith(".onnx"))
        return {Path(entry.filename).stem: entry.compress_size for entry in found}


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def start(python: Path, folder: Path, repeats: int) -> dict[str, float]:
    """Seconds of the command for a small photo: the median and the least on the clock, the median of the processor."""
    photo = folder / "small.png"
    Image.fromarray(common.picture_of_size(common.PHOTO, *SMALL)).save(photo)
    command = (python.with_name("semcomp"), "encode", photo, "-o", folder / "small.semc", "--force")
    times = [run(*command) for _ in range(repeats + 1)][1:]
    clock, processor = zip(*times, strict=True)
    medians = {"seconds": statistics.median(clock), "processor_seconds": statistics.median(processor)}
    return {**medians, "least_seconds": min(clock)}


def symbols(
    codec: Any, photos: Sequence[Path], options: argparse.Namespace, client: Sequence[object]
) -> dict[str, Any]:
    """Let both write every photo and read every file. Returns counts of elements.

    Args:
        codec: The library's codec.
        photos: The photos.
        options: Has `qualities`.
        client: The command that runs CLIENT. The folder is its last argument.
    """
    counts = {"files": 0, "elements": 0, "differing": 0, "chosen_differently": 0, "library_bytes": 0, "client_bytes": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work: list[dict[str, Any]] = []
        for photo in photos:
            for quality in options.qualities:
                file = folder / f"{len(work)}.library.semc"
                file.write_bytes(codec.encode(photo, quality=quality))
                work.append({"photo": str(photo.resolve()), "quality": quality, "file": str(file)})
        (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")
        run(*client[:2], folder, *client[2:])
        for number, entry in enumerate(work):
            files = {"library": Path(entry["file"]), "client": folder / f"{number}.client.semc"}
            with np.load(folder / f"{number}.npz") as theirs:
                ours = {writer: codec.read_symbols(file.read_bytes()) for writer, file in files.items()}
                counts["differing"] += sum(differing(ours[writer], theirs, writer) for writer in files)
            counts["files"] += len(files)
            counts["elements"] += sum(getattr(found, part).size for found in ours.values() for part in PARTS)
            counts["chosen_differently"] += int(np.count_nonzero(ours["library"].y != ours["client"].y))
            for writer, file in files.items():
                counts[f"{writer}_bytes"] += file.stat().st_size
    return counts


def differing(ours: Symbols, theirs: Any, writer: str) -> int:
    """Elements of a file that library and client read differently."""
    count = 0
    for part in PARTS:
        a, b = getattr(ours, part), theirs[f"{writer}_{part}"]
        count += int(np.count_nonzero(a != b)) if a.shape == b.shape else max(a.size, b.size)
    return count


def checks_of(result: dict[str, Any]) -> list[Check]:
    """What has to hold of the parts that were measured."""
    checks = []
    if "wheel_bytes" in result:
        checks = [
            at_most("bytes of the wheel", result["wheel_bytes"], WHEEL_LIMIT, ""),
            at_most("pip install", result["install"]["seconds"], INSTALL_LIMIT, " s"),
            at_most("encode of a small photo as a process", result["start"]["seconds"], START_LIMIT, " s"),
        ]
    if "symbols" in result:
        found = result["symbols"]
        what = f"differing elements of {found['elements']:,} in {found['files']} files"
        checks.append(at_most(what, found["differing"], 0, ""))
    return checks


def table_of(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = []
    if "wheel_bytes" in result:
        install = result["install"]
        sizes = {"wheel": result["wheel_bytes"], "installed, with what it depends on": install["bytes"]}
        lines += [f"  {name:<42}{size:>14,} bytes" for name, size in sizes.items()]
        for name, times in (("pip install", install), ("encode of a small photo", result["start"])):
            seconds, processor = times["seconds"], times["processor_seconds"]
            lines.append(f"  {name:<42}{seconds:>14.2f} s, {processor:.2f} of the processor")
        lines.append(f"  {'  the fastest of its processes':<42}{result['start']['least_seconds']:>14.2f} s")
    if "symbols" in result:
        found = result["symbols"]
        more = 100 * (found["client_bytes"] / found["library_bytes"] - 1)
        lines.append(f"{result['photos']} photos x {len(result['qualities'])} qualities, written and read by both")
        lines.append(f"  {'symbols chosen differently':<42}{found['chosen_differently']:>14,}")
        lines.append(f"  {'bytes of the client, against the library':<42}{more:>+14.2f} %")
    return "\n".join(lines)


def measure(wheel: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Install the wheel, and measure the parts that were asked for."""
    codec = common.load_codec(options, threads=1)
    result: dict[str, Any] = {"model_id": codec.model_id.hex()}
    with tempfile.TemporaryDirectory() as name:
        python, install = installed(wheel, Path(name) / "environment")
        if "wheel" in options.only:
            result |= {"wheel_bytes": wheel.stat().st_size, "graphs": graphs_of(wheel), "install": install}
            result["start"] = start(python, Path(name), options.repeats)
        if "symbols" in options.only:
            photos = common.spread(common.find_photos(options.photos), options.limit)
            result |= {"photos": len(photos), "qualities": list(options.qualities)}
            result["symbols"] = symbols(codec, photos, options, (python, CLIENT))
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = common.make_parser("wheels", __doc__, "python -m benchmarks.wheels data/val -o out/wheels.json")
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument(
        "--only", nargs="+", choices=MEASURED, default=MEASURED, metavar="PART", help="wheel or symbols"
    )
    parser.add_argument("--dist", type=Path, default=Path("dist"), metavar="DIR", help="default: dist")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="photos, evenly spaced (default: 20)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    parser.add_argument("--repeats", type=int, default=7, help="starts of the command (default: 7)")
    options = parser.parse_args(arguments)
    wheels = sorted(options.dist.resolve().glob("semcomp_edge-*.whl"))
    if len(wheels) != 1:
        raise SemcompError(f"{options.dist} holds {len(wheels)} wheels of semcomp-edge: run make dist")
    result = measure(wheels[0], options)
    return common.finish("wheels", options, result=result, checks=checks_of(result), table=table_of(result))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
