"""The check of a release's contents notices what is missing or out of place; numbers of the release agree."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest

import semcomp
from tests.release.contents import LARGEST, main, problems_of
from tests.release.owners import EDGE, FULL, GRAPHS, files_of

ROOT = Path(__file__).parents[2]
GRAPH = b"a graph"


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / f"{name.replace('-', '_')}-0.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
    return path


def whole(name: str) -> dict[str, bytes]:
    """What a wheel has to hold. The one of the client has two graphs."""
    files = dict.fromkeys((*files_of(name), f"{name.replace('-', '_')}-0.0.0.dist-info/METADATA"), b"")
    if name == FULL:
        return files
    entry = {"sha256": hashlib.sha256(GRAPH).hexdigest()}
    manifest = {"tables": {"file": "tables.safetensors", **entry}, "graphs": {"sigma": {"file": "sigma.onnx", **entry}}}
    graphs = {"manifest.json": json.dumps(manifest).encode(), "tables.safetensors": GRAPH, "sigma.onnx": GRAPH}
    return files | {f"{GRAPHS}/{file}": data for file, data in graphs.items()}


@pytest.mark.parametrize("name", [EDGE, FULL])
def test_a_whole_wheel_passes(name: str, tmp_path: Path) -> None:
    assert main([str(wheel(tmp_path, name, whole(name)))]) == 0


@pytest.mark.parametrize(
    ("name", "lost", "added", "problem"),
    [
        (EDGE, "semcomp/__init__.py", {}, "lacks semcomp/__init__.py"),
        (EDGE, f"{GRAPHS}/sigma.onnx", {}, f"lacks {GRAPHS}/sigma.onnx"),
        (EDGE, f"{GRAPHS}/manifest.json", {}, f"lacks {GRAPHS}/manifest.json"),
        (EDGE, "", {f"{GRAPHS}/sigma.onnx": b"another"}, f"holds {GRAPHS}/sigma.onnx, which is not the file"),
        (EDGE, "", {f"{GRAPHS}/old.onnx": b""}, f"holds {GRAPHS}/old.onnx, which its manifest does not name"),
        (EDGE, "", {"semcomp/codec/codec.py": b""}, "holds semcomp/codec/codec.py"),
        (FULL, "", {"semcomp/__init__.py": b""}, "holds semcomp/__init__.py"),
        (FULL, "semcomp/weights/base.safetensors", {}, "lacks semcomp/weights/base.safetensors"),
        (FULL, "", {"train/codec.py": b""}, "holds train/codec.py"),
        (FULL, "", {"semcomp/weights/state.safetensors": b""}, "holds semcomp/weights/state.safetensors"),
        (FULL, "", {"semcomp/__pycache__/x.py": b""}, "holds semcomp/__pycache__/x.py"),
        ("other", "", {}, "is neither semcomp-edge nor semcomp"),
    ],
)
def test_a_wrong_wheel_is_refused(name: str, lost: str, added: dict[str, bytes], problem: str, tmp_path: Path) -> None:
    files = whole(name if name in LARGEST else FULL) | added
    files.pop(lost, None)
    path = wheel(tmp_path, name, files)
    assert any(problem in line for line in problems_of(path)) and main([str(path)]) == 1


def test_a_wheel_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path, EDGE, whole(EDGE))
    monkeypatch.setitem(LARGEST, EDGE, path.stat().st_size - 1)
    (problem,) = problems_of(path)
    assert "bytes, more than" in problem


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
