"""Types of command-line arguments. Each raises ArgumentTypeError with a sentence that says what to write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from math import isfinite

_LARGEST = 10**12
"""Bytes that no file has"""
SEMANTICS = ("labels", "map")
"""Kinds of semantics that `encode --semantics` stores unless told otherwise."""
EVERY_SEMANTICS = (*SEMANTICS, "embed")
"""Kinds of semantics that `encode --semantics` can store."""


def size_in_bytes(text: str) -> int:
    """Parse a file size: "20k" is 20,000, "1.5M" is 1,500,000, "20Ki" and "20KiB" are 20,480."""
    number = text.strip().lower().removesuffix("b")
    factors = {"ki": 1024, "mi": 1024**2, "k": 1000, "m": 1000**2}
    suffix = next((key for key in factors if number.endswith(key)), "")
    try:
        size = float(number.removesuffix(suffix)) * factors.get(suffix, 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 20000, 20k or 20Ki") from None
    if not 1 <= size < _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not the size of a file: give 1 byte to 1,000,000M")
    return int(size)


def positive_number(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


def finite_number(text: str) -> float:
    """Parse a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number")
    return value


def probability(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 0 to 1")
    return value


def job_count(text: str) -> int:
    """Parse a number of processes or threads; 0 means one for each core."""
    if not _is_digits(text) or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number up to 1024 (0: one for each core)")
    return int(text) or os.cpu_count() or 1


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a type that parses a whole number from `low` to `high`.

    Example:
        >>> whole_number(1, 9)("7")
        7
    """

    def parse(text: str) -> int:
        if not _is_digits(text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


void_number = whole_number(0, 2**16 - 1)
"""Parses the number in masks that means: nothing is known."""


def tag(text: str) -> tuple[str, float]:
    """Parse a label with an optional score: "dog=0.98" is ("dog", 0.98), "dog" is ("dog", 1.0)."""
    name, _, score = text.rpartition("=") if "=" in text else (text, "", "1")
    try:
        value = float(score)
    except ValueError:
        value = -1.0
    if not name.strip() or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a tag: write dog or dog=0.98, with a score from 0 to 1")
    return name.strip(), value


def semantics_kinds(text: str) -> tuple[str, ...]:
    """Parse "labels", "map" and "embed", with commas between them."""
    kinds = tuple(text.split(","))
    if not set(kinds) <= set(EVERY_SEMANTICS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a kind of semantics: give labels, map, embed, or labels,map")
    return kinds


def name_list(text: str) -> tuple[str, ...]:
    """Parse names with commas between them; a repeated name counts once."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} contains no name")
    return names


def positive_numbers(text: str) -> tuple[float, ...]:
    """Parse finite numbers above 0 with commas between them."""
    return tuple(map(positive_number, name_list(text)))


def number_range(text: str) -> tuple[float, float]:
    """Parse two ascending numbers: "26,38" is (26.0, 38.0)."""
    values = tuple(map(finite_number, name_list(text)))
    if len(values) != 2 or values[0] >= values[1]:
        raise argparse.ArgumentTypeError(f"{text!r} must be two ascending numbers, such as 26,38")
    return values[0], values[1]


def qualities(text: str) -> tuple[int, ...] | str:
    """Parse qualities with commas between them, or the word full."""
    if text == "full":
        return text
    parts = name_list(text)
    if not all(part.isdecimal() and int(part) <= 100 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} must be whole numbers up to 100, such as 10,30,50,70,90, or full")
    return tuple(sorted(map(int, parts)))


def box(text: str) -> tuple[int, int, int, int]:
    """Parse a rectangle in pixels: "10,20,30,40" is x 10, y 20, width 30, height 40."""
    numbers = [number.strip() for number in text.split(",")]
    if len(numbers) != 4 or not all(map(_is_digits, numbers)) or 0 in map(int, numbers[2:]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a box: write x,y,w,h in pixels, such as 0,120,64,32")
    x, y, width, height = map(int, numbers)
    return x, y, width, height


def renaming(text: str) -> tuple[str, str]:
    """Parse a pair of class names: "building=tree" is ("building", "tree")."""
    old, equals, new = text.partition("=")
    if not equals or not old.strip() or not new.strip():
        raise argparse.ArgumentTypeError(f"{text!r} renames nothing: write OLD=NEW, such as building=tree")
    return old.strip(), new.strip()


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20
