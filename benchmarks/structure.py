"""The structure of the sources in figures, here or in another checkout: python -m benchmarks.structure --root OLD

Static: modules of semcomp, levels of import (the longest chain, circles counted as one module), circles, packages, the
longest function and file. Dynamic, in a process of its own: how often `encode`, `decode` and `segment` climb, which is
a call from a module to one that is on a higher level of import. Start: the CPU time of `import semcomp`,
`semcomp --help` and `semcomp info`, the least of some runs.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import common

Graph = Mapping[str, set[str]]
TRACER = """
import collections, importlib, json, re, sys
import numpy as np
from semcomp import load
calls = collections.Counter()
def module(frame):
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.split(".")[0] == "semcomp":
            return name
        frame = frame.f_back
    return ""
def profile(frame, event, argument):
    if event == "call":
        callee = frame.f_globals.get("__name__", "")
        if callee.split(".")[0] == "semcomp" and frame.f_code.co_name != "<module>":
            caller = module(frame.f_back)
            if caller and caller != callee:
                calls[caller + " " + callee] += 1
pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3)).astype(np.uint8)
text = open("pyproject.toml").read()  # the head of this checkout, whatever is installed
place, function = re.search(r'^street = "([^:]+):([^"]+)"', text, re.M).groups()
codec, head = load(), getattr(importlib.import_module(place), function)()
works = {"encode": lambda: codec.encode(pixels, quality=50)}
data = codec.encode(pixels, quality=50)
works["decode"] = lambda: codec.decode(data)
works["segment"] = lambda: head(codec.latents(data))
found = {}
for name, work in works.items():
    work()
    calls.clear()
    sys.setprofile(profile)
    work()
    sys.setprofile(None)
    found[name] = dict(calls)
print(json.dumps(found))
"""


def module_name(path: Path, root: Path) -> str:
    """The dotted name of a file."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def import_graph(root: Path) -> dict[str, set[str]]:
    """The modules of semcomp below `root` with the modules that each imports, also inside functions."""
    files = {module_name(path, root): path for path in sorted((root / "semcomp").rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        targets: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for each in names:
                found = next((known for known in (each, each.rpartition(".")[0]) if known in files), None)
                if found and found != name:
                    targets.add(found)
        graph[name] = targets
    return graph


def circles(graph: Graph) -> list[set[str]]:
    """Groups of modules that import each other, directly or through others."""
    reach = {name: reachable(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]
    }
    return [set(group) for group in groups]


def reachable(graph: Graph, start: str) -> set[str]:
    """Every module that a module imports, through any number of others."""
    found: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph[name]
    return found


def levels(graph: Graph) -> dict[str, int]:
    """The level of each module: 1 imports nothing of semcomp; the modules of a circle share a level."""
    group = {name: frozenset((name,)) for name in graph}
    for circle in circles(graph):
        group |= dict.fromkeys(circle, frozenset(circle))
    known: dict[frozenset[str], int] = {}

    def level(members: frozenset[str]) -> int:
        if members not in known:
            below = {group[target] for name in members for target in graph[name]} - {members}
            known[members] = 1 + max((level(each) for each in below), default=0)
        return known[members]

    return {name: level(group[name]) for name in graph}


def lengths(paths: Iterable[Path]) -> tuple[int, int]:
    """Lines of the longest function and of the longest file."""
    functions, files = [0], [0]
    for path in paths:
        source = path.read_text(encoding="utf-8")
        files.append(source.count("\n"))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions.append((node.end_lineno or 0) - node.lineno + 1)
    return max(functions), max(files)


def environment(root: Path) -> dict[str, str]:
    """The environment of a process that imports semcomp from `root`."""
    return {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}


def climbs(root: Path, level: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Calls from a module to one on a higher level, and the number of different arrows, for each operation."""
    command = [sys.executable, "-W", "ignore", "-c", TRACER]
    done = subprocess.run(command, cwd=root, env=environment(root), stdout=subprocess.PIPE, check=True)
    found: dict[str, dict[str, int]] = {}
    for operation, calls in json.loads(done.stdout).items():
        up: Counter[str] = Counter()
        for arrow, count in calls.items():
            caller, callee = arrow.split()
            if level.get(callee, 0) > level.get(caller, 0):
                up[arrow] += count
        found[operation] = {"calls": sum(calls.values()), "climbs": sum(up.values()), "arrows": len(up)}
    return found


def cpu_seconds(root: Path, arguments: list[str], repeats: int) -> float:
    """The least CPU time of a Python process over some runs."""
    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=root, env=environment(root), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return round(min(times), 4)


def start_times(root: Path, repeats: int) -> dict[str, float]:
    """CPU seconds from nothing to an import, a help text, and an answer of `info`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.semc"
        code = "import sys, numpy, semcomp; data = semcomp.load().encode(numpy.zeros((64, 64, 3), 'uint8'))"
        code += "; open(sys.argv[1], 'wb').write(data)"
        subprocess.run([sys.executable, "-c", code, str(file)], cwd=root, env=environment(root), check=True)
        return {
            "import semcomp": cpu_seconds(root, ["-c", "import semcomp"], repeats),
            "semcomp --help": cpu_seconds(root, ["-m", "semcomp", "--help"], repeats),
            "semcomp info": cpu_seconds(root, ["-m", "semcomp", "info", str(file)], repeats),
        }


def measure(root: Path, repeats: int) -> dict[str, Any]:
    """All figures of one checkout."""
    graph = import_graph(root)
    level = levels(graph)
    packages = Counter(name.rpartition(".")[0] for name in graph)
    function, file = lengths((root / "semcomp").rglob("*.py"))
    return {
        "modules": len(graph),
        "packages": len(list((root / "semcomp").glob("*/__init__.py"))),
        "modules at the top": len([path for path in (root / "semcomp").glob("*.py") if not path.stem.startswith("__")]),
        "modules of the largest package": max(packages.values()),
        "levels of import": max(level.values()),
        "circles": len(circles(graph)),
        "longest function, lines": function,
        "longest file, lines": file,
        "climbs": climbs(root, level),
        "cpu_seconds": start_times(root, repeats),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures as JSON. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__)
    parser.add_argument("--root", type=Path, default=common.ROOT, metavar="DIR", help="a checkout (default: this one)")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each timing (default: 15)")
    options = parser.parse_args(arguments)
    common.say(json.dumps(measure(options.root.resolve(), options.repeats), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(common.guarded(main))
