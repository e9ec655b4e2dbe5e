"""The folders that the two wheels are built from: their files, their dependencies, and exports that do not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import semcomp
from tests.release.owners import EDGE, FULL, ROOT, files_of
from tools.dist import DistError, graph_files, metadata, read_toml, stage, to_toml


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A folder that looks like an export."""
    folder = tmp_path / "export"
    folder.mkdir()
    manifest = {
        "producer": {"semcomp": semcomp.__version__},
        "tables": {"file": "tables.safetensors"},
        "graphs": {"sigma": {"file": "sigma.onnx"}},
        "lossless": None,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in ("tables.safetensors", "sigma.onnx", "left_over.onnx"):
        (folder / name).write_bytes(b"")
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_stage_holds_what_the_wheel_owns(export: Path, tmp_path: Path) -> None:
    about = {"pyproject.toml", "README.md", "LICENSE"}
    (export / "restorer.onnx").write_bytes(b"")
    graphs = {
        f"semcomp/graphs/{name}" for name in ("manifest.json", "tables.safetensors", "sigma.onnx", "restorer.onnx")
    }
    for wheel, given, more in ((EDGE, export, graphs), (FULL, None, set())):
        stage(wheel, tmp_path / wheel, graphs=given)
        assert names(tmp_path / wheel) == {*files_of(wheel), *about, *more}
        assert read_toml(tmp_path / wheel / "pyproject.toml") == metadata(wheel)


def test_what_the_wheels_need_is_what_the_checkout_needs() -> None:
    edge, full = (set(metadata(wheel)["project"]["dependencies"]) for wheel in (EDGE, FULL))
    whole = read_toml(ROOT / "pyproject.toml")["project"]
    pin = f"semcomp-edge=={semcomp.__version__}"
    runtime = set(whole["optional-dependencies"]["edge"])
    assert edge & full == set() and pin in full and runtime <= edge
    assert (edge - runtime) | (full - {pin}) == set(whole["dependencies"])
    assert not [entry for entry in edge if re.match("torch|safetensors|PyYAML", entry)]


def test_each_command_has_one_owner() -> None:
    edge, full = (metadata(wheel)["project"] for wheel in (EDGE, FULL))
    whole = read_toml(ROOT / "pyproject.toml")["project"]
    assert edge["scripts"] | full["scripts"] == whole["scripts"] and not edge["scripts"].keys() & full["scripts"].keys()
    assert "semcomp" in edge["scripts"] and "entry-points" not in edge
    assert full["entry-points"] == whole["entry-points"]


def test_an_export_that_does_not_fit_is_refused(export: Path) -> None:
    assert [file.name for file in graph_files(export)] == ["manifest.json", "tables.safetensors", "sigma.onnx"]
    (export / "sigma.onnx").unlink()
    with pytest.raises(DistError, match=r"sigma\.onnx is missing, and .* names it: write the graphs again"):
        graph_files(export)
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["producer"]["semcomp"] = "0.0.1"
    (export / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DistError, match=r"was written by semcomp 0\.0\.1"):
        graph_files(export)
    (export / "manifest.json").unlink()
    with pytest.raises(DistError, match="write the graphs first"):
        graph_files(export)


def test_tables_are_written_as_they_are_read(tmp_path: Path) -> None:
    values = {"a": "it's \u00e9", "b": ["x; y < '3'", 'quote"'], "c": {"d.e": {"f": "g"}, "h": "i"}, "j": {"*": ["k"]}}
    path = tmp_path / "a.toml"
    path.write_text(to_toml(values), encoding="utf-8")
    assert read_toml(path) == values
