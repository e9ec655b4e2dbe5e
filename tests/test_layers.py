"""Imports run one way: train -> heads -> semcomp, and inside semcomp from higher rooms to lower ones."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.release.owners import WITHOUT_TORCH

ROOT = Path(__file__).parents[1]

LAYERS = [
    "types errors config workers torchvision_compat",
    "storage device",
    "bitstream weights",
    "imaging desktop",
    "semantics lossless thumbs jpeg",
    "pipeline",
    "networks",
    "generative",
    "codec edge restoration",
    "backend",
    "scale data search",
    "eval pillow __init__",
    "export",
    "cli __main__",
]
"""Rooms and modules of semcomp, the lowest line first. A room imports from itself, from lower lines, and never from a
neighbour on its own line, with the exceptions of ALLOWED."""
RANK = {name: rank for rank, line in enumerate(LAYERS) for name in line.split()}
ALLOWED = {
    ("types", "errors"),
    ("config", "errors"),
    ("workers", "errors"),
    ("pillow", "__init__"),
    ("eval", "__init__"),
    ("__main__", "cli"),
}
"""Arrows between neighbours, (from, to)."""
PACKAGES = ["semcomp", "heads", "train"]
"""Top-level packages, the lowest first."""
ONLY_IN_TRAIN = {"compressai", "lightning", "tensorboard", "lpips", "segmentation_models_pytorch", "torchmetrics"}
STANDARD_LIBRARY_ONLY = (
    "__init__",
    "backend",
    "errors",
    "types",
    "storage/__init__",
    "storage/urls",
    "storage/files",
    "storage/listing",
    "storage/places",
    "storage/shards",
    "storage/writable",
    "imaging/__init__",
    "imaging/saving",
    "bitstream/__init__",
    "bitstream/container",
    "bitstream/header",
    "bitstream/fields",
    "bitstream/source",
    "bitstream/inspect",
    "bitstream/tags",
    "bitstream/class_tables",
    "bitstream/label_map_header",
    "bitstream/regions",
    "bitstream/generator_note",
    "bitstream/origin",
    "bitstream/profile_name",
    "bitstream/lossless_note",
    "cli/__init__",
    "cli/commands/__init__",
    "cli/main",
    "cli/parser",
    "cli/answers",
    "cli/argument_order",
    "cli/argument_types",
    "cli/lossless_options",
    "cli/effort_option",
    "cli/exit_codes",
    "cli/commands/info",
    "cli/paths",
    "cli/generative_options",
    "cli/shared_options",
    "cli/commands/thumb",
    "cli/commands/restore",
    "cli/jpeg_output",
    "cli/terminal",
    "cli/failures",
    "cli/inputs",
    "cli/own_outputs",
    "cli/output_formats",
    "cli/batch",
    "cli/first_look",
    "cli/commands/encode",
    "cli/commands/decode",
    "cli/commands/classify",
    "cli/commands/segment",
    "cli/commands/compare",
    "cli/commands/eval",
    "cli/commands/models",
    "cli/commands/export",
    "cli/commands/map",
    "cli/commands/index",
    "cli/commands/search",
    "cli/commands/push",
    "cli/commands/doctor",
    "cli/commands/desktop",
    "cli/commands/completion",
    "desktop/__init__",
    "desktop/entries",
    "desktop/install",
    "desktop/shells",
    "cli/latents_input",
    "workers",
)


def room_of(path: str) -> str:
    """The room or top-level module of "semcomp/imaging/picture.py" or of the dotted rest "imaging.picture"."""
    return path.removeprefix("semcomp/").removesuffix(".py").replace("/", ".").split(".")[0]


def imports_of(source: str, *, lazy: bool = True) -> Iterator[tuple[str, int]]:
    """(module, line) of every import in a file; `from semcomp import imaging` counts as semcomp.imaging.

    Without `lazy` only the imports that run when the module is imported count.
    """
    tree = ast.parse(source)
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            assert node.module is not None
            is_package = (ROOT / Path(*node.module.split("."))).is_dir()
            yield from (
                (f"{node.module}.{alias.name}" if is_package else node.module, node.lineno) for alias in node.names
            )


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def against_the_rooms(path: str, target: str) -> bool:
    """Whether semcomp's file `path` may not import the room `target`."""
    room = room_of(path)
    if room == target:
        return False
    if RANK[target] == RANK[room]:
        return (room, target) not in ALLOWED
    return RANK[target] > RANK[room]


def arrows_back(files: dict[str, str]) -> list[str]:
    """Every import that runs against the layers, of files given as {"semcomp/imaging/picture.py": source}."""
    problems = []
    for path, source in files.items():
        package = path.split("/")[0]
        for name, line in imports_of(source):
            target, _, rest = name.partition(".")
            where = f"{path}:{line} imports {name}"
            if target in PACKAGES and PACKAGES.index(target) > PACKAGES.index(package):
                problems.append(where)
            if package == target == "semcomp" and rest:
                inner = room_of(rest) if room_of(rest) in RANK else "__init__"
                if against_the_rooms(path, inner):
                    problems.append(where)
            if package == "semcomp" and room_of(path) != "eval" and target in ONLY_IN_TRAIN:
                problems.append(f"{where}, which is no dependency of the core")
    return problems


def test_no_arrow_runs_back() -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sources(package)
    }
    assert not arrows_back(files)


def test_every_room_of_semcomp_stands_in_a_layer() -> None:
    rooms = {room_of(path.relative_to(ROOT).as_posix()) for path in sources("semcomp")}
    assert rooms == RANK.keys()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("semcomp/imaging/picture.py", "import semcomp.codec.codec"),
        ("semcomp/imaging/picture.py", "from semcomp import codec"),
        ("semcomp/imaging/picture.py", "from semcomp.codec.codec import load"),
        ("semcomp/imaging/picture.py", "from semcomp import load"),
        ("semcomp/edge/client.py", "def f():\n    from semcomp.codec.codec import load"),
        ("semcomp/generative/render.py", "from semcomp.codec.codec import Codec"),
        ("semcomp/codec/codec.py", "def f():\n    from heads import x"),
        ("heads/linear.py", "import train.codec"),
        ("semcomp/networks/hyperprior.py", "from compressai.entropy_models import EntropyBottleneck"),
    ],
)
def test_the_check_can_fail(path: str, source: str) -> None:
    assert arrows_back({path: source})


def test_no_circle_between_modules() -> None:
    """Modules import each other in one order, also where an import waits inside a function or for type checkers."""
    graph: dict[str, set[str]] = {}
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources("semcomp")}
    for name, path in names.items():
        found = set()
        for target, _ in imports_of(path.read_text(encoding="utf-8")):
            steps = target.split(".")
            for candidate in (target, ".".join(steps[:-1])):
                if candidate in names:
                    found.add(candidate)
                    break
        graph[name] = found - {name}
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert not graph, "these modules import each other, or a module that does"


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_these_rooms_do_not_import_torch(room: str) -> None:
    paths = [path for path in sources("semcomp") if room_of(path.relative_to(ROOT).as_posix()) == room]
    assert paths
    for path in paths:
        for name, line in imports_of(path.read_text(encoding="utf-8"), lazy=False):
            assert name.partition(".")[0] != "torch", f"{path}:{line} imports {name}"


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY)
def test_the_reader_needs_the_standard_library_alone(module: str) -> None:
    source = (ROOT / "semcomp" / f"{module}.py").read_text(encoding="utf-8")
    for name, line in imports_of(source, lazy=False):
        package, _, inner = name.partition(".")
        allowed = package in sys.stdlib_module_names
        if package == "semcomp":  # inner is a module, or a name inside one
            steps = [*inner.split("."), "__init__"]
            candidates = ("/".join(steps), "/".join(steps[:-1]), "/".join([*steps[:-2], "__init__"]))
            found = next(c for c in candidates if (ROOT / "semcomp" / f"{c}.py").exists())
            allowed = found in STANDARD_LIBRARY_ONLY
        assert allowed, f"semcomp/{module}.py:{line} imports {name}"
