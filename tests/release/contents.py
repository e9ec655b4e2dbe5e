"""The contents of a release: what the wheel and the sdist must hold, and what they must not.

python -m tests.release.contents dist/*.whl dist/*.tar.gz
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

WHEEL_HOLDS = (
    "semcomp/__init__.py",
    "semcomp/py.typed",
    "semcomp/bitstream/FORMAT.md",
    "semcomp/bitstream/FORMAT_PAYLOADS.md",
    "semcomp/cli/main.py",
    "semcomp/eval/compare.html",
    "semcomp/eval/published.json",
    "semcomp/weights/base.safetensors",
    "semcomp/weights/base.md",
    "semcomp/weights/street.safetensors",
    "semcomp/weights/objects.safetensors",
    "semcomp/weights/imagenette.safetensors",
    "semcomp/weights/generator_photos.safetensors",
    "heads/__init__.py",
    "heads/py.typed",
    "heads/fit.py",
)
WHEEL_MAY_HOLD = re.compile(r"(semcomp|heads)/.+\.(py|md|html|json|png|safetensors|typed)|semcomp-[^/]+\.dist-info/.+")
SDIST_HOLDS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "constraints.txt",
    "Makefile",
    "examples/demo.py",
    "examples/photo.png",
    "tests/test_golden.py",
    "train/codec.py",
    "configs/codec_base.yaml",
)
NOWHERE = re.compile(
    r"(^|/)(__pycache__|\.venv|\.git|runs|out|node_modules|data|\.mypy_cache)/|\.pyc$|\.tmp$|state\.safetensors$"
)
WHEEL_BYTES = 40 << 20
"""Largest wheel: the embedded weights and little else."""


def names_of(path: Path) -> list[str]:
    """The files of an archive. For an sdist, without the folder that holds them all."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [name for name in wheel.namelist() if not name.endswith("/")]
    with tarfile.open(path) as sdist:
        return [member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()]


def problems_of(path: Path) -> list[str]:
    """One line for each file that is missing or out of place."""
    names, wheel = names_of(path), path.suffix == ".whl"
    problems = [f"{path.name} lacks {name}" for name in (WHEEL_HOLDS if wheel else SDIST_HOLDS) if name not in names]
    for name in names:
        if NOWHERE.search(name) or (wheel and not WHEEL_MAY_HOLD.fullmatch(name)):
            problems.append(f"{path.name} holds {name}")
    if wheel and path.stat().st_size > WHEEL_BYTES:
        problems.append(f"{path.name} has {path.stat().st_size:,} bytes, more than {WHEEL_BYTES:,}")
    return problems


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
