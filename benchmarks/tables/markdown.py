"""Tables and figures in Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
"""The result of a benchmark, as its JSON holds it."""
Block = Callable[[Record], str]
"""Writes one block of a page from a record."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines).replace("|  |", "| |").replace("|  |", "| |")


def signed(value: float, digits: int = 1) -> str:
    """A change with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def fixed(value: float | None, digits: int) -> str:
    """A figure, or nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def check_value(record: Record, start: str) -> float | None:
    """The value of the check whose name begins so."""
    return next((check["value"] for check in record["checks"] if check["name"].startswith(start)), None)


def megabytes(count: float) -> str:
    """Bytes in MB."""
    return f"{count / 1e6:.1f} MB"


def plural(count: int, noun: str) -> str:
    """ "1 photo", "2 photos"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def compared(percent: float) -> str:
    """A saving in words: "56.5 % fewer than", "equal to"."""
    if abs(percent) < 0.5:
        return "equal to"
    return f"{abs(percent):.1f} % {'fewer' if percent < 0 else 'more'} than"
