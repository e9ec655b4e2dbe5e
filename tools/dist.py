"""Builds the two wheels of a release: python -m tools.dist --graphs out/graphs -o dist/

`semcomp-edge` is the client without torch with the exported graphs inside, and `semcomp` is everything else, depending
on a `semcomp-edge` of the same version. tests/release/owners.py says which wheel owns a file. Each wheel is built by
setuptools from a folder that holds its files and a pyproject.toml, which comes from the one of the checkout and from
configs/edge.toml. A wheel from the checkout itself (`pip install .`) owns every file and belongs to no release.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import semcomp
from tests.release.owners import EDGE, FULL, GRAPHS, ROOT, files_of
from tools.index_readme import index_readme

EDGE_CONFIG = ROOT / "configs" / "edge.toml"
MANIFEST, RESTORER = "manifest.json", "restorer.onnx"
_SHARED = ("requires-python", "license", "license-files", "keywords", "classifiers")
"""What both wheels take from pyproject.toml as it is."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class DistError(Exception):
    """A wheel cannot be built. The message says why."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Python 3.10 has no reader of its own, and takes the one that `build` brings."""
    reader = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    values: dict[str, Any] = reader.loads(path.read_text(encoding="utf-8"))
    return values


def to_toml(values: Mapping[str, Any], prefix: str = "") -> str:
    """Write strings, lists and tables of them as TOML."""
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = [f"[{prefix}]"] if prefix and plain else []
    lines += [f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    below = [to_toml(table, f"{prefix}.{_key(key)}" if prefix else _key(key)) for key, table in tables.items()]
    return "\n".join([*lines, *below]) + ("\n" if lines else "")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key)


def metadata(wheel: str) -> dict[str, Any]:
    """Return the pyproject.toml of a wheel as a table."""
    whole, edge = read_toml(ROOT / "pyproject.toml"), read_toml(EDGE_CONFIG)["project"]
    project = whole["project"]
    shared = {key: project[key] for key in _SHARED}
    shared |= {"version": semcomp.__version__, "readme": "README.md"}
    known = [*project["dependencies"], *project["optional-dependencies"]["edge"]]
    ours = [_requirement(name, known) for name in edge["dependencies"]]
    if wheel == EDGE:
        own = {"name": EDGE, "description": edge["description"], "dependencies": ours}
        own["scripts"] = {name: project["scripts"][name] for name in edge["scripts"]}
        own["optional-dependencies"] = {name: project["optional-dependencies"][name] for name in edge["extras"]}
    else:
        rest = [entry for entry in project["dependencies"] if entry not in ours]
        own = {"name": FULL, "description": project["description"]}
        own["dependencies"] = [f"{EDGE}=={semcomp.__version__}", *rest]
        own["scripts"] = {name: value for name, value in project["scripts"].items() if name not in edge["scripts"]}
        own |= {key: project[key] for key in ("optional-dependencies", "entry-points")}
    find = {"where": ["."], "include": ["semcomp*", "heads*"]}
    tool = {"setuptools": {"packages": {"find": find}, "package-data": {"*": ["*"]}}}
    return {"build-system": whole["build-system"], "project": shared | own, "tool": tool}


def _requirement(name: str, known: Sequence[str]) -> str:
    """Return the requirement of a package with its limits."""
    found = [entry for entry in known if re.split(r"[^A-Za-z0-9_.-]", entry)[0] == name]
    if len(found) != 1:
        raise DistError(f"{EDGE_CONFIG} names {name}, which pyproject.toml has {len(found)} times: name it there once")
    return found[0]


def graph_files(folder: Path) -> list[Path]:
    """List the files of an export that the wheel takes: the manifest, what it names, and the graph of a restorer.

    Raises:
        DistError: The folder holds no whole export, or one of another version.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise DistError(f"{path} is missing: write the graphs first, with semcomp export onnx -o {folder}")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest["producer"]["semcomp"] != semcomp.__version__:
        raise DistError(
            f"{path} was written by semcomp {manifest['producer']['semcomp']}, this is {semcomp.__version__}: "
            f"write the graphs again, with semcomp export onnx --force -o {folder}"
        )
    entries = [manifest["tables"], *manifest["graphs"].values(), *filter(None, [manifest.get("lossless")])]
    files = [path, *(folder / entry["file"] for entry in entries)]
    if missing := [file for file in files if not file.exists()]:
        raise DistError(f"{missing[0]} is missing, and {path} names it: write the graphs again")
    return [*files, *(file for file in [folder / RESTORER] if file.exists())]


def stage(wheel: str, folder: Path, *, graphs: Path | None = None, readme_base: str | None = None) -> None:
    """Write the folder that a wheel is built from.

    Args:
        wheel: EDGE or FULL.
        folder: The folder. Whatever it holds is removed.
        graphs: Folder of the export, for EDGE.
        readme_base: Address of the files that the README links to, see `index_readme`.

    Raises:
        DistError: The export is missing, incomplete or of another version.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for path in files_of(wheel):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    if graphs is not None:
        (folder / GRAPHS).mkdir(parents=True)
        for file in graph_files(graphs):
            shutil.copyfile(file, folder / GRAPHS / file.name)
    readme = read_toml(EDGE_CONFIG)["project"]["readme"] if wheel == EDGE else "README.md"
    text = index_readme((ROOT / readme).read_text(encoding="utf-8"), readme_base)
    (folder / "README.md").write_text(text, encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    (folder / "pyproject.toml").write_text(to_toml(metadata(wheel)), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build both wheels. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.dist", description="Build the two wheels of a release.")
    parser.add_argument("--graphs", type=Path, required=True, metavar="DIR", help="what semcomp export onnx wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), metavar="DIR", help="default: dist")
    parser.add_argument("--build", type=Path, default=Path("build/dist"), metavar="DIR", help="default: build/dist")
    parser.add_argument("--readme-base", metavar="URL", help="address of the files of this release, for the README")
    options = parser.parse_args(arguments)
    try:
        for wheel in (EDGE, FULL):
            folder = options.build / wheel
            graphs = options.graphs if wheel == EDGE else None
            stage(wheel, folder, graphs=graphs, readme_base=options.readme_base)
            command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(options.output), str(folder)]
            subprocess.run(command, check=True)
    except (DistError, subprocess.CalledProcessError) as error:
        print(f"tools.dist: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
