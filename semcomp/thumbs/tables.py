"""Reads the constants of thumbnail codes from semcomp/weights/thumbs.safetensors: integers.

The file is read with numpy alone, so that clients without torch and safetensors decode thumbnails too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError
from semcomp.thumbs.context import ContextTables
from semcomp.thumbs.pixels import PixelTables
from semcomp.thumbs.walk import CodeTables
from semcomp.weights.safetensors_reader import parse_metadata, parse_tensors

FILE = Path(__file__).parents[1] / "weights" / "thumbs.safetensors"
FORMAT = "semcomp-thumbs-1"
WEIGHT_UNIT, LIFT_UNIT = 10_000, 256
"""Coefficient weights and gains are stored as integers in these units."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What belongs to short codes alone, or to long ones alone."""

    code: CodeTables
    lift: NDArray[Any]
    """Gain of the higher frequencies at each level of a code, float64 (26,)."""
    shaping: PixelTables
    repair: PixelTables


@dataclass(frozen=True, kw_only=True)
class ThumbTables:
    """Everything that encoder and decoder share."""

    weights: NDArray[Any]
    """Weight of each coefficient, float64 (4, 32, 32)."""
    grades: NDArray[Any]
    """Bytes and levels, int (N, 2): codes up to this length are short ones and shaped for this level."""
    short: Family
    long: Family


def parse(data: bytes, *, name: str = "the file") -> ThumbTables:
    """Build the tables from the bytes of a weights file. Raises ModelError for a damaged or foreign one."""
    try:
        if parse_metadata(data, name=name).get("format") != FORMAT:
            raise ValueError("its format is another one")
        return _build({key: values.astype(np.int64) for key, values in parse_tensors(data, name=name).items()})
    except (ModelError, ValueError, KeyError) as error:
        raise ModelError(f"{name} does not hold the tables of thumbnails ({error}); install semcomp again") from error


def _layers(arrays: dict[str, NDArray[Any]], prefix: str) -> tuple[tuple[NDArray[Any], NDArray[Any]], ...]:
    count = sum(key.startswith(prefix) and key.endswith("bias") for key in arrays)
    pairs = ((arrays[f"{prefix}{n}.weight"], arrays[f"{prefix}{n}.bias"]) for n in range(count))
    return tuple((weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in pairs)


def _code(arrays: dict[str, NDArray[Any]], prefix: str) -> CodeTables:
    first, second = arrays["thresholds"].tolist()
    context = ContextTables(
        prior=arrays[prefix + "prior"],
        bound=arrays["bound"],
        inverse=arrays["inverse"],
        compand=arrays["compand"],
        layers=_layers(arrays, prefix + "layer"),
    )
    return CodeTables(
        context=context,
        zones=arrays[prefix + "zones"],
        reach=arrays[prefix + "reach"],
        beyond=arrays[prefix + "beyond"],
        refine=arrays[prefix + "refine"],
        centre=arrays[prefix + "centre"],
        first=first,
        second=second,
    )


def _build(arrays: dict[str, NDArray[Any]]) -> ThumbTables:
    lift = arrays["lift"] / LIFT_UNIT
    none = PixelTables(layers=())
    networks = {name: PixelTables(layers=_layers(arrays, name)) for name in ("shaping", "repair")}
    return ThumbTables(
        weights=arrays["weights"] / WEIGHT_UNIT,
        grades=arrays["grades"],
        short=Family(code=_code(arrays, "short."), lift=np.ones_like(lift), **networks),
        long=Family(code=_code(arrays, ""), lift=lift, shaping=none, repair=none),
    )


@lru_cache(maxsize=1)
def released() -> ThumbTables:
    """The tables inside the package. Raises ModelError where the file is missing."""
    try:
        return parse(FILE.read_bytes(), name=str(FILE))
    except OSError as error:
        raise ModelError(f"{FILE} cannot be read ({error.strerror}); install semcomp again") from error
