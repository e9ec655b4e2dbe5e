"""Class names: files that list them, and which class of a head or generator a plain word means."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.storage.files import read_bytes

_ALIASES = (
    {"person", "people", "pedestrian", "human"},
    {"bicyclist", "cyclist", "bike", "bicycle", "rider"},
    {"signsymbol", "sign", "traffic sign", "road sign", "symbol"},
    {"car", "automobile", "vehicle"},
    {"pole", "column", "columnpole"},
    {"pavement", "sidewalk", "footpath"},
    {"tree", "vegetation", "plant"},
    {"motorbike", "motorcycle"},
    {"aeroplane", "airplane", "plane"},
    {"sofa", "couch"},
    {"tvmonitor", "tv", "television", "monitor", "screen"},
    {"diningtable", "table"},
    {"pottedplant", "potted plant", "plant"},
    {"cow", "cattle"},
)
"""Plain words for one thing."""


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks and the encoding that each announces. UTF-32's little-endian mark begins with UTF-16's."""


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a text file without the spaces around them. Empty lines stay, except those at the end.

    Args:
        path: UTF-8 with or without a byte-order mark, or UTF-16 or UTF-32 with one. Lines end with LF, CRLF or CR.

    Raises:
        ImageError: The file is missing, or has another encoding.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        shown = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise ImageError(
            f"{path} is not {shown}: byte {error.start} is 0x{data[error.start]:02x}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ImageError(f"{path} holds zero bytes, as UTF-16 without a byte-order mark does; save it as UTF-8")
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Read a list of class names: line k names class k, the first line class 0.

    An empty line keeps its number: that class is called by it, such as "3".

    Raises:
        ImageError: The file cannot be read, names no class, or gives one name to two classes.
    """
    names = tuple(line or str(number) for number, line in enumerate(read_lines(path)))
    if not names:
        raise ImageError(f"{path} names no class; write one name a line")
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if (other := first.setdefault(name.lower(), number)) != number:
            raise ImageError(f"{path} calls the classes {other} and {number} {name!r}; give each a name of its own")
    return names


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Find the classes that plain words mean: "people" is the class pedestrian where no class is called so.

    Raises:
        ImageError: A word means none of the classes.

    Example:
        >>> class_numbers(["people", "Cars"], ["Car", "Tree", "Pedestrian"])
        [2, 0]
    """
    return [class_number(name, classes) for name in names]


def class_number(name: str, classes: Sequence[str]) -> int:
    """Find the class that one word means, by the rules of `class_numbers`."""
    known = [each.strip().lower() for each in classes]
    word = name.strip().lower()
    singular = word.removesuffix("s")
    for wanted in (word, singular):
        if wanted in known:
            return known.index(wanted)
    for group in _ALIASES:
        if word in group or singular in group:
            for number, each in enumerate(known):
                if each in group:
                    return number
    raise ImageError(f"no class is called {name!r}; there are {', '.join(each for each in classes if each)}")


def translation(given: Sequence[str], known: Sequence[str]) -> NDArray[np.uint8]:
    """Make a lookup table, uint8 (256,), from the numbers of the given classes to the numbers of the known ones.

    A class that is not known, and VOID, becomes the number of known classes, which stands for none of them.
    """
    numbers = np.full(256, len(known), np.uint8)
    for number, name in enumerate(given):
        try:
            numbers[number] = class_number(name, known)
        except ImageError:
            continue
    return numbers
