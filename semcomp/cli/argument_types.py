"""Types of command-line arguments. Each raises ArgumentTypeError with a sentence that says what to write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

SEMANTICS = ("labels", "map")


def parse_size(text: str) -> int:
    """ "20k" -> 20000, "1.5M" -> 1500000, "20Ki" or "20KiB" -> 20480. Raises ArgumentTypeError."""
    number = text.strip().lower().removesuffix("b")
    factors = {"ki": 1024, "mi": 1024**2, "k": 1000, "m": 1000**2}
    suffix = next((key for key in factors if number.endswith(key)), "")
    try:
        size = float(number.removesuffix(suffix)) * factors.get(suffix, 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 20000, 20k or 20Ki") from None
    if not 1 <= size < 2**40:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: it must be at least 1 byte")
    return int(size)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number (0: one for each core)")
    return int(text) or os.cpu_count() or 1


def _tag(text: str) -> tuple[str, float]:
    name, _, score = text.rpartition("=") if "=" in text else (text, "", "1")
    try:
        value = float(score)
    except ValueError:
        value = -1.0
    if not name.strip() or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no tag: write dog or dog=0.98, with a score from 0 to 1")
    return name.strip(), value


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if not set(parts) <= set(SEMANTICS):
        raise argparse.ArgumentTypeError(f"{text!r}: give labels, map, or labels,map")
    return parts


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _whole(low: int, high: int, what: str) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}: give a whole number from {low} to {high}")
        return int(text)

    return check
