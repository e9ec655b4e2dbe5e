"""The check of a release's contents notices what is missing or out of place; numbers of the release agree."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

import semcomp
from tests.release.contents import WHEEL_HOLDS, main, problems_of

ROOT = Path(__file__).parents[2]


def wheel(folder: Path, names: tuple[str, ...]) -> Path:
    path = folder / "semcomp-0.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return path


def test_a_whole_wheel_passes(tmp_path: Path) -> None:
    assert main([str(wheel(tmp_path, (*WHEEL_HOLDS, "semcomp-0.0.0.dist-info/METADATA")))]) == 0


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (WHEEL_HOLDS[1:], "lacks semcomp/__init__.py"),
        ((*WHEEL_HOLDS, "train/codec.py"), "holds train/codec.py"),
        ((*WHEEL_HOLDS, "semcomp/weights/state.safetensors"), "holds semcomp/weights/state.safetensors"),
        ((*WHEEL_HOLDS, "semcomp/__pycache__/x.py"), "holds semcomp/__pycache__/x.py"),
    ],
)
def test_a_wrong_wheel_is_refused(tmp_path: Path, names: tuple[str, ...], problem: str) -> None:
    path = wheel(tmp_path, names)
    assert any(problem in line for line in problems_of(path)) and main([str(path)]) == 1


def test_the_citation_names_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    found = re.search(r"^version: (.+)$", text, re.MULTILINE)
    assert found is not None and found[1] == semcomp.__version__


def test_every_file_of_the_package_is_named_as_package_data() -> None:
    """A file that is not Python and not matched by package-data would be missing from the wheel."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = text[text.index("[tool.setuptools.package-data]") :].split("\n[", 1)[0]
    patterns = {
        package: re.findall(r'"([^"]+)"', row) for package, row in re.findall(r"^(\w+) = (\[.*?\])", table, re.M | re.S)
    }
    for package in ("semcomp", "heads"):
        for path in (ROOT / package).rglob("*"):
            inside = path.relative_to(ROOT / package)
            if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts:
                assert any(inside.match(pattern) for pattern in patterns[package]), f"{package}/{inside} is in no wheel"
