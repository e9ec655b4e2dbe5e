"""The contents of a release: what the wheels and the sdist must hold, and what they must not.

python -m tests.release.contents dist/*.whl dist/*.tar.gz
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.release.owners import EDGE, FULL, GRAPHS, files_of

SDIST_HOLDS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "constraints.txt",
    "Makefile",
    "configs/edge.toml",
    "examples/demo.py",
    "examples/photo.png",
    "tests/test_golden.py",
    "tests/release/owners.py",
    "tools/dist.py",
    "train/codec.py",
    "configs/codec_base.yaml",
)
NOWHERE = re.compile(
    r"^data/|(^|/)(__pycache__|\.venv|\.git|runs|out|node_modules|\.mypy_cache)/|\.pyc$|\.tmp$|state\.safetensors$"
)
ABOUT = re.compile(r"semcomp(_edge)?-[^/]+\.dist-info/.+")
"""What setuptools writes about a wheel."""
LARGEST = {EDGE: 30_000_000, FULL: 50_000_000}
"""Most bytes of each wheel. The first one is for clients, the second one has the weights for torch."""
BESIDE_MANIFEST = ("manifest.json", "restorer.onnx")
"""Files among the graphs that the manifest does not name."""


def names_of(path: Path) -> list[str]:
    """The files of an archive. For an sdist, without the folder that holds them all."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [name for name in wheel.namelist() if not name.endswith("/")]
    with tarfile.open(path) as sdist:
        return [member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()]


def wheel_of(path: Path) -> str:
    """The name of a wheel's package."""
    return path.name.partition("-")[0].replace("_", "-")


def problems_of(path: Path) -> list[str]:
    """One line for each file that is missing or out of place."""
    names = names_of(path)
    problems = [f"{path.name} holds {name}" for name in names if NOWHERE.search(name)]
    if path.suffix != ".whl":
        return [*problems, *(f"{path.name} lacks {name}" for name in SDIST_HOLDS if name not in names)]
    wheel = wheel_of(path)
    if wheel not in LARGEST:
        return [f"{path.name} is neither {EDGE} nor {FULL}"]
    expected = set(files_of(wheel))
    if wheel == EDGE:
        graphs = {name for name in names if name.startswith(f"{GRAPHS}/")}
        expected |= graphs
        problems += _problems_of_graphs(path, graphs)
    found = {name for name in names if not ABOUT.fullmatch(name)}
    problems += [f"{path.name} lacks {name}" for name in sorted(expected - found)]
    problems += [f"{path.name} holds {name}" for name in sorted(found - expected)]
    if path.stat().st_size > LARGEST[wheel]:
        problems.append(f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST[wheel]:,}")
    return problems


def _problems_of_graphs(path: Path, names: set[str]) -> Iterator[str]:
    """Compare the graphs of a wheel with its manifest: files that it does not name, that are missing or different."""
    manifest = f"{GRAPHS}/manifest.json"
    if manifest not in names:
        yield f"{path.name} lacks {manifest}"
        return
    with zipfile.ZipFile(path) as wheel:
        values = json.loads(wheel.read(manifest))
        entries = [values["tables"], *values["graphs"].values(), *filter(None, [values.get("lossless")])]
        sums = {f"{GRAPHS}/{entry['file']}": entry["sha256"] for entry in entries}
        yield from (f"{path.name} lacks {name}" for name in sums if name not in names)
        yield from (
            f"{path.name} holds {name}, which is not the file of its manifest"
            for name in sorted(sums.keys() & names)
            if hashlib.sha256(wheel.read(name)).hexdigest() != sums[name]
        )
    beside = {f"{GRAPHS}/{name}" for name in BESIDE_MANIFEST}
    yield from (
        f"{path.name} holds {name}, which its manifest does not name" for name in sorted(names - beside - sums.keys())
    )


def main(arguments: Sequence[str]) -> int:
    """Prints what is wrong. Returns 1 if anything is, or if no archive was named."""
    paths = [Path(argument) for argument in arguments]
    problems = [problem for path in paths for problem in problems_of(path)] or ([] if paths else ["name an archive"])
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(paths)} archives hold what they should")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
