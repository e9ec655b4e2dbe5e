"""Docstrings, comments and messages are written in plain English: a subject first, and none of the banned phrases."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("semcomp", "heads", "train", "benchmarks", "tools", "examples")
OPENINGS = re.compile(r"(Of|From|At|By|As|The same)\b")
"""A docstring that opens with one of these has no subject in its first words."""
PHRASES = re.compile(
    r"\b(that of|those of|so many|of such|as of|anew|lies|stands(?! for\b)"
    r"|(?<!there )is no(?! (longer|more|less|later|larger|smaller)\b))\b",
    re.IGNORECASE,
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every docstring, and of every string below a field or a constant that describes it."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every string inside a `raise`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            for part in ast.walk(node.exc):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def comments(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


TIMES = re.compile(
    r"(?<![\w.])\d[\d.,]* (ms|µs|s|(micro|milli)?seconds?|minutes?|Mpx/s|MB/s|files/s)\b"
    r"|\b(\d+|two|three|four|five|six|ten|hundred) times as (fast|long|quick)\b|\btimes (faster|slower)\b"
)
"""Times in the library's docstrings and comments, which nothing keeps current."""


def problems_of(source: str) -> list[str]:
    """One line for each breach of the style in a file."""
    tree = ast.parse(source)
    found = []
    for line, text in docstrings(tree):
        if match := OPENINGS.match(text.strip()):
            found.append(f"line {line}: a docstring opens with {match[1]!r}: write its subject first")
    for line, text in (*docstrings(tree), *messages(tree), *comments(source)):
        found += [f"line {line}: {match[0]!r} in {text.strip()[:60]!r}" for match in PHRASES.finditer(text)]
    return found


def prose_pages() -> list[str]:
    """The pages that people read. The notebook keeps what its day wrote, and style.md quotes what is banned."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    names = (page.relative_to(ROOT).as_posix() for page in pages)
    return sorted(name for name in names if "/notebook/" not in name and name != "docs/project/style.md")


@pytest.mark.parametrize("path", prose_pages())
def test_a_page_has_no_banned_phrase(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not [match[0] for match in PHRASES.finditer(text)]


def files() -> list[str]:
    """Every source file that the style holds for, as "semcomp/imaging/picture.py"."""
    return sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def times_in(source: str) -> list[str]:
    """Times that docstrings and comments of a file quote."""
    texts = (" ".join(text.split()) for _, text in (*docstrings(ast.parse(source)), *comments(source)))
    return [match[0] for text in texts for match in TIMES.finditer(text)]


@pytest.mark.parametrize("path", [path for path in files() if path.startswith(("semcomp/", "heads/", "train/"))])
def test_a_file_quotes_no_times(path: str) -> None:
    assert not times_in((ROOT / path).read_text(encoding="utf-8"))


def test_times_are_found_over_the_end_of_a_line() -> None:
    assert times_in('"""It takes 6.9 ms, or\nthree times\nas long."""\n') == ["6.9 ms", "three times as long"]
    assert not times_in('"""Pictures of up to twice the side."""\nx = 255  # trailing 255s\n')


@pytest.mark.parametrize("path", files())
def test_a_file_reads_at_once(path: str) -> None:
    assert not problems_of((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        '"""Of a file, its length."""',
        'def f():\n    """From bytes to integers."""',
        'class A:\n    size: int\n    """As many as there are."""',
        '"""A copy.\n\nThe size is that of the file."""',
        "x = 1  # written anew each time",
        'raise ValueError("this is no file")',
        'raise ValueError(f"{1} stands twice")',
    ],
)
def test_the_check_can_fail(source: str) -> None:
    assert problems_of(source)


def test_what_is_not_banned_passes() -> None:
    assert not problems_of(
        '"""Reads a file. It stands for one photo and is no larger than it was."""\n# as often as here\n'
    )
