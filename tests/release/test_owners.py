"""Each file of the packages is in one wheel of a release, and the first wheel needs nothing of the second."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.release.owners import EDGE, FULL, LATER, OWNED, ROOT, files_of, owners_of, packaged_files
from tests.test_layers import imports_of

THIRD_PARTIES = {"numpy", "PIL"}
"""What the modules of the first wheel may import as soon as they are imported themselves."""


def module_of(name: str) -> str | None:
    """The file of a module of the packages: "semcomp.edge.client", or a name inside one. None for other packages."""
    steps = name.split(".")
    if steps[0] not in ("semcomp", "heads"):
        return None
    for end in (len(steps), len(steps) - 1):
        path = Path(*steps[:end])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if (ROOT / candidate).exists():
                return candidate.as_posix()
    return f"{'/'.join(steps)}.py"


def strangers(source: str) -> list[str]:
    """What a module of the first wheel imports at its top although an environment with this wheel alone has none."""
    found = []
    for name, line in imports_of(source, lazy=False):
        module, package = module_of(name), name.partition(".")[0]
        known = package in sys.stdlib_module_names | THIRD_PARTIES if module is None else owners_of(module) == [EDGE]
        if not known:
            found.append(f"line {line} imports {name}")
    return found


@pytest.mark.parametrize("path", packaged_files())
def test_each_file_has_one_owner(path: str) -> None:
    assert len(owners_of(path)) == 1, f"{path} is owned by {owners_of(path)}: name it once in OWNED"


def test_each_pattern_owns_something() -> None:
    paths = packaged_files()
    for pattern in {pattern for patterns in OWNED.values() for pattern in patterns} - LATER:
        assert any(fnmatchcase(path, pattern) for path in paths), f"{pattern} matches no file"


@pytest.mark.parametrize("path", [path for path in files_of(EDGE) if path.endswith(".py")])
def test_a_module_of_the_client_imports_what_the_client_has(path: str) -> None:
    assert not strangers((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import yaml",
        "from semcomp.codec.codec import load",
        "from semcomp.weights import files",
        "from heads.fit import main",
    ],
)
def test_the_check_of_imports_can_fail(source: str) -> None:
    assert strangers(source) and not strangers(f"def f():\n    {source}")


@pytest.mark.parametrize(
    ("path", "wheels"),
    [
        ("semcomp/edge/client.py", [EDGE]),
        ("semcomp/graphs/analysis.onnx", [EDGE]),
        ("semcomp/weights/thumbs.safetensors", [EDGE]),
        ("semcomp/weights/signature.safetensors", [EDGE]),
        ("semcomp/weights/base.safetensors", [FULL]),
        ("semcomp/weights/restorer.md", [FULL]),
        ("heads/fit.py", [FULL]),
        ("semcomp/new_room/module.py", []),
        ("train/codec.py", []),
    ],
)
def test_who_owns_what(path: str, wheels: list[str]) -> None:
    assert owners_of(path) == wheels
