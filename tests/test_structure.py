"""The house stays small enough to find one's way: limits on modules, packages, functions and files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("semcomp", "heads", "train", "benchmarks", "tools")
MODULES_AT_THE_TOP, MODULES_A_PACKAGE, LINES_A_FUNCTION, LINES_A_FILE = 12, 20, 60, 300
LONG_FILES = {"semcomp/pipeline/base_codec.py": "encode and decode are written once, for every backend"}
"""Files above the limit, each with the reason why one concept needs it."""


def sources() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function above the limit."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > LINES_A_FUNCTION:
                yield node.name, lines


def test_the_top_of_semcomp_holds_few_modules() -> None:
    modules = [path for path in (ROOT / "semcomp").glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) <= MODULES_AT_THE_TOP


@pytest.mark.parametrize(
    "package", sorted({path.rpartition("/")[0] for path in sources() if path.startswith("semcomp/")})
)
def test_a_package_holds_few_modules(package: str) -> None:
    modules = [path for path in (ROOT / package).glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= MODULES_A_PACKAGE


@pytest.mark.parametrize("path", sources())
def test_functions_and_files_are_short(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    long = {f"{path}:{name}": lines for name, lines in long_functions(source)}
    assert not long
    if path not in LONG_FILES:
        assert source.count("\n") <= LINES_A_FILE, "split it, or name the reason in LONG_FILES"


def test_the_list_names_files_that_exist() -> None:
    assert LONG_FILES.keys() <= set(sources())


def test_the_check_can_fail() -> None:
    body = "    pass\n" * LINES_A_FUNCTION
    assert list(long_functions(f"def f():\n{body}")) == [("f", LINES_A_FUNCTION + 1)]
