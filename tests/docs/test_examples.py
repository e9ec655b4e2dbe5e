"""Every block of Python on a page runs. The tutorials, whose commands run too, have a test of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semcomp.cli.main import main as semcomp
from semcomp.codec.codec import Codec
from tests.conftest import texture
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import weights as weights

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = ("tutorials", "notebook")
"""Folders whose pages are not run here: the first one has test_tutorials.py, the second keeps what its day wrote."""
WITH = {"guides/export-onnx-edge.md": "graphs", "guides/restore.md": "restored", "guides/search.md": "indexed"}
"""What a page needs besides photo.png, photo.semc and photo.jpg: a fixture below."""
ALONE = ("guides/export-onnx-edge.md",)
"""Pages that run in a process of their own: one_pool=True holds for every client of a process."""


def with_examples() -> list[str]:
    """The pages that have blocks of Python, relative to docs."""
    found = [path for path in PAGES if BLOCK.search(path.read_text(encoding="utf-8"))]
    kept = [path for path in found if not set(OTHERS) & set(path.parts)]
    return [path.relative_to(ROOT / "docs").as_posix() if path.name != "README.md" else "README.md" for path in kept]


@pytest.fixture
def place(codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which examples run. It is the current one."""
    picture = Image.fromarray(texture(0, 96, 128, np.random.default_rng(0)))
    for name in ("photo.png", "photo.jpg", "scan.png", "dog.jpg"):
        picture.save(tmp_path / name)
    (tmp_path / "photo.semc").write_bytes(codec.encode(picture))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def graphs(place: Path, request: pytest.FixtureRequest) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    (place / "edge").symlink_to(request.getfixturevalue("exported")[0])


@pytest.fixture
def restored(place: Path, weights: Path) -> None:
    for name in ("onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    shutil.copy(weights, place / "restorer.safetensors")
    assert semcomp(["export", "onnx", "-o", "edge", "--restorer", "restorer.safetensors", "--quiet"]) == 0


@pytest.fixture
def indexed(place: Path) -> None:
    (place / "photos").mkdir()
    shutil.copy(place / "photo.semc", place / "photos" / "one.semc")
    assert semcomp(["index", "photos/", "-o", "photos.index", "--quiet"]) == 0


def run(page: str) -> None:
    """Runs every block of a page by itself."""
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    for block in BLOCK.findall(path.read_text(encoding="utf-8")):
        if page in ALONE:
            subprocess.run([sys.executable, "-c", block], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        else:
            exec(compile(block, page, "exec"), {"__name__": "example"})


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("page", with_examples())
def test_examples_run(page: str, request: pytest.FixtureRequest) -> None:
    if page in WITH:
        request.getfixturevalue(WITH[page])
    run(page)


def test_pages_with_examples_are_found() -> None:
    assert {"README.md", "quickstart.md", *WITH} <= set(with_examples())
