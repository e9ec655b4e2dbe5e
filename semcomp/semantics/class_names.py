"""Class names in plain words: which class of a head or generator a word means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semcomp.errors import ImageError

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


def class_numbers(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Numbers of the classes that plain words mean: "people" is the class pedestrian where no class is called so.

    ImageError for a word that none of the classes answers to.
    """
    return [class_number(name, classes) for name in names]


def class_number(name: str, classes: Sequence[str]) -> int:
    """The number of one class; the same rules."""
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


def translation(given: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """uint8 (256,): for the number of a given class that of the known one it means, else the number of known ones."""
    numbers = np.full(256, len(known), np.uint8)
    for number, name in enumerate(given):
        try:
            numbers[number] = class_number(name, known)
        except ImageError:
            continue
    return numbers
