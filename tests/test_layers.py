"""Imports run one way: train -> heads -> semcomp, and inside semcomp from higher lines to lower ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [  # the lowest line first; a module imports from its own line and those below
    "errors container config exif modes image torchvision_ops processes",
    "tables plain_coder coder quantize blocks packed metrics summary rounding precision tags classtables labelmap_head "
    "adaptive labelmap symbols answers spans provenance keepmask noise interpolation",
    "analysis synthesis entropy sigma", "bytesigma",
    "model store tiles latents",
    "semantics labelpng payload filing guidance generator generators",
    "codec generative hub exactness",
    "cli pillow compare edge export eval",
    "__init__ __main__",
]
RANK = {name: rank for rank, line in enumerate(LAYERS) for name in line.split()}
PACKAGES = ["semcomp", "heads", "train"]  # the lowest first
ONLY_IN_TRAIN = {
    "compressai",
    "lightning",
    "tensorboard",
    "lpips",
    "segmentation_models_pytorch",
    "torchmetrics",
}
STANDARD_LIBRARY_ONLY = (
    "__init__", "errors", "container", "summary", "tags", "classtables", "labelmap_head", "provenance",
    "cli/__init__", "cli/info", "cli/files", "cli/generative", "cli/eval_options",
)  # fmt: skip


def imports_of(source: str) -> Iterator[tuple[str, int]]:
    """(module, line) of every import in a file; `from semcomp import image` counts as semcomp.image."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            assert node.module is not None
            is_package = (ROOT / Path(*node.module.split("."))).is_dir()
            yield from (
                (f"{node.module}.{alias.name}" if is_package else node.module, node.lineno)
                for alias in node.names
            )


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def arrows_back(files: dict[str, str]) -> list[str]:
    """Every import that runs against the layers, of files given as {"semcomp/image.py": source}."""
    problems = []
    for path, source in files.items():
        package = path.split("/")[0]
        module = path.split("/")[1].removesuffix(".py")
        for name, line in imports_of(source):
            target, _, rest = name.partition(".")
            where = f"{path}:{line} imports {name}"
            if target in PACKAGES and PACKAGES.index(target) > PACKAGES.index(package):
                problems.append(where)
            if package == target == "semcomp" and rest:
                inner = rest.split(".")[0] if rest.split(".")[0] in RANK else "__init__"
                if RANK[inner] > RANK[module]:
                    problems.append(where)
            if package == "semcomp" and module != "eval" and target in ONLY_IN_TRAIN:
                problems.append(f"{where}, which is no dependency of the core")
    return problems


def test_no_arrow_runs_back() -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for package in PACKAGES
        for path in sources(package)
    }
    assert not arrows_back(files)


def test_every_module_of_semcomp_stands_in_a_layer() -> None:
    modules = {path.relative_to(ROOT / "semcomp").parts[0].removesuffix(".py") for path in sources("semcomp")}
    assert modules <= RANK.keys(), f"give {sorted(modules - RANK.keys())} a line in LAYERS"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("semcomp/image.py", "import semcomp.codec"),
        ("semcomp/image.py", "from semcomp import codec"),
        ("semcomp/image.py", "from semcomp.codec import load"),
        ("semcomp/image.py", "from semcomp import load"),
        ("semcomp/codec.py", "def f():\n    from heads import x"),
        ("heads/linear.py", "import train.codec"),
        ("semcomp/entropy.py", "from compressai.entropy_models import EntropyBottleneck"),
    ],
)
def test_the_check_can_fail(path: str, source: str) -> None:
    assert arrows_back({path: source})


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY)
def test_the_reader_needs_the_standard_library_alone(module: str) -> None:
    import sys

    tree = ast.parse((ROOT / "semcomp" / f"{module}.py").read_text())
    top = "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)))
    for name, _ in imports_of(top):
        package, _, inner = name.partition(".")
        allowed = package in sys.stdlib_module_names
        if package == "semcomp":  # inner is a module, or a name inside one
            steps = [*inner.split("."), "__init__"]
            candidates = ("/".join(steps), "/".join(steps[:-1]), "/".join([*steps[:-2], "__init__"]))
            found = next(c for c in candidates if (ROOT / "semcomp" / f"{c}.py").exists())
            allowed = found in STANDARD_LIBRARY_ONLY
        assert allowed, f"semcomp/{module}.py imports {name}"
