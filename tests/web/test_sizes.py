"""The program that says what a page downloads: it counts what it should, and its record becomes the page's tables."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import BLOCKS, about, taken
from benchmarks.weights_ids import weights_id

PACKAGE = Path(__file__).parents[2] / "examples" / "web" / "packages" / "semcomp"
NODE = shutil.which("node")
GRAPHS = {"analysis": 3000, "hyper": 1000, "sigma": 500, "mean_first": 700, "synthesis": 900, "head_a": 4000}
EXACT = {"lossless_luma11": 200, "lossless_first11": 100}

pytestmark = pytest.mark.skipif(NODE is None, reason="node is missing")


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def write_graphs(folder: Path, model: str, *, scale: int = 1) -> None:
    """Graphs of zeros with their manifest."""
    graphs = GRAPHS | EXACT
    for name, size in graphs.items():
        write(folder / f"{name}.onnx", size * scale)
    write(folder / "tables.safetensors", 50)
    write(folder / "lossless.safetensors", 70)
    manifest = {
        "name": "base",
        "model_id": model,
        "tables": {"file": "tables.safetensors"},
        "graphs": {name: {"file": f"{name}.onnx"} for name in graphs},
        "lossless": {"file": "lossless.safetensors"},
        "heads": {"a": {"graph": "head_a", "task": "classify"}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package as it is built, with code and graphs of zeros."""
    folder = tmp_path / "package"
    sizes = {"element.js": 10, "worker.js": 20, "shared-A.js": 30, "index.js": 7, "worker.js.map": 9, "thumb.js": 5}
    sizes |= {"thumbs.safetensors": 60, "ort/ort-wasm-simd-threaded.wasm": 8000, "ort/ort-wasm-simd-threaded.mjs": 40}
    for name, size in sizes.items():
        write(folder / "dist" / name, size)
    write_graphs(folder / "graphs", weights_id("base"))
    for name in ("sizes.mjs", "package.json"):
        shutil.copy(PACKAGE / name, folder / name)
    return folder


def sizes(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE or "node", "package/sizes.mjs", *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )


def test_a_record_becomes_the_tables_of_the_page(package: Path, tmp_path: Path) -> None:
    write_graphs(tmp_path / "plain", weights_id("base"), scale=1000)
    done = sizes(tmp_path, "--plain", "plain", "-o", "out/web_size.json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / "out" / "web_size.json").read_text())
    manifest = (package / "graphs" / "manifest.json").stat().st_size
    assert [part["stored"] for part in result["first"].values()] == [8000, manifest + 50 + 500 + 700 + 900, 100]
    assert result["sum"]["stored"] == 8000 + manifest + 2150 + 100 and result["passed"]
    assert {name: part["stored"] for name, part in result["more"].items()} == {
        "encoding": 4000,
        "a file of exact pixels": 370,
        "the head a": 4000,
        "thumbnails": 65,
    }
    assert all(0 < part["brotli"] < part["stored"] for part in result["first"].values())
    record = taken("web_size", result)
    assert "| **sum** | **0.01 MB**" in BLOCKS["web_size.table"](record)
    assert "encoding adds 0.00 MB, a file of exact pixels 0.00 MB, the head a 0.00 MB and thumbnails" in BLOCKS[
        "web_size.more"
    ](record)
    assert about(record).startswith("*`node package/sizes.mjs --plain plain -o out/web_size.json`; 20")


def test_graphs_of_other_weights_are_not_compared(package: Path, tmp_path: Path) -> None:
    write_graphs(tmp_path / "plain", "0" * 16)
    done = sizes(tmp_path, "--plain", "plain")
    assert done.returncode == 1 and "other weights" in done.stderr


def test_a_page_that_is_too_large_fails(package: Path, tmp_path: Path) -> None:
    source = (package / "sizes.mjs").read_text()
    (package / "sizes.mjs").write_text(source.replace("LIMIT = 6_000_000", "LIMIT = 100"))
    assert sizes(tmp_path).returncode == 1
