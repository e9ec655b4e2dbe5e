"""Compares what another decoder made of the vectors with what they are: python -m tools.conformance vectors/ theirs/

The other decoder writes into its folder, for each vector, as much as it can:

    NAME.png              the pixels, or NAME.ppm, NAME.bmp, NAME.tiff
    NAME.z.i16, NAME.y.i16   the integers: 16-bit two's complement, little-endian, in the order channel, row, column
    NAME.npz              the integers as arrays z and y, instead of the two files

and nothing for a file that has to be refused. Integers must be equal; pixels may differ by what the manifest says. It
needs numpy and Pillow alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMAT = "semcomp-vectors-1"
MANIFEST = "manifest.json"
LARGEST_DIFFERENCE = 2
"""Largest difference of a sample, in levels of 255. Float networks round differently from machine to machine."""
MEAN_DIFFERENCE = 0.05
PIXEL_SUFFIXES = (".png", ".ppm", ".bmp", ".tiff")
OUTPUT_SUFFIXES = (*PIXEL_SUFFIXES, ".npz", ".z.i16", ".y.i16")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of one vector."""

    name: str
    problems: tuple[str, ...]
    """What differs. Empty where everything that was there holds."""
    compared: tuple[str, ...]
    """What was there: "symbols", "pixels", both, "refused", or nothing."""


def check(vectors: str | Path, theirs: str | Path) -> list[Verdict]:
    """Compare a folder of output with the vectors.

    Args:
        vectors: The folder that tools.vectors wrote.
        theirs: The folder that the other decoder wrote.

    Returns:
        A verdict for each vector and for each file that has to be refused.

    Raises:
        ValueError: The manifest is of another version.
    """
    expected, found = Path(vectors), Path(theirs)
    manifest = json.loads((expected / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"{expected / MANIFEST} has the format {manifest['format']}, this program reads {FORMAT}")
    verdicts = [_compared(entry, expected, found) for entry in manifest["vectors"]]
    return verdicts + [_refused(entry["name"], found) for entry in manifest["refused"]]


def _refused(name: str, found: Path) -> Verdict:
    written = [suffix for suffix in OUTPUT_SUFFIXES if (found / f"{name}{suffix}").exists()]
    problems = tuple(f"{name}{suffix} was written, and the file has to be refused" for suffix in written)
    return Verdict(name=name, problems=problems, compared=("refused",))


def _compared(entry: Mapping[str, Any], expected: Path, found: Path) -> Verdict:
    name, problems, compared = entry["name"], [], []
    symbols = _symbols(entry, found)
    if symbols:
        compared.append("symbols")
        with np.load(expected / f"{name}.npz") as arrays:
            problems += [p for key in ("z", "y") if (p := _different(key, symbols.get(key), arrays[key]))]
    picture = next((path for s in PIXEL_SUFFIXES if (path := found / f"{name}{s}").exists()), None)
    if picture is not None:
        compared.append("pixels")
        problems += _pixel_problems(entry, expected / f"{name}.png", picture)
    return Verdict(name=name, problems=tuple(problems), compared=tuple(compared))


def _symbols(entry: Mapping[str, Any], found: Path) -> dict[str, NDArray[Any]]:
    """The integers that are there. Raw files get the shape of the vector, where they have its size."""
    arrays: dict[str, NDArray[Any]] = {}
    if (archive := found / f"{entry['name']}.npz").exists():
        with np.load(archive) as stored:
            return {key: stored[key] for key in stored.files}
    for key in ("z", "y"):
        if (raw := found / f"{entry['name']}.{key}.i16").exists():
            values = np.fromfile(raw, dtype="<i2")
            fits = values.size == int(np.prod(entry[key]))
            arrays[key] = values.reshape(entry[key]) if fits else values
    return arrays


def _different(key: str, values: NDArray[Any] | None, expected: NDArray[Any]) -> str | None:
    if values is None:
        return f"{key} is missing"
    if values.shape != expected.shape:
        return f"{key} has the shape {values.shape}, not {expected.shape}"
    wrong = np.argwhere(values != expected)
    if not len(wrong):
        return None
    place = tuple(int(index) for index in wrong[0])
    return (
        f"{len(wrong)} of {expected.size} elements of {key} differ, the first at (channel, row, column) {place}: "
        f"{int(values[place])}, not {int(expected[place])}"
    )


def _pixel_problems(entry: Mapping[str, Any], expected: Path, picture: Path) -> list[str]:
    with Image.open(expected) as wanted, Image.open(picture) as image:
        if image.size != wanted.size:
            return [f"{picture.name} has {image.size} pixels, not {wanted.size}"]
        if image.mode != wanted.mode:
            return [f"{picture.name} has the mode {image.mode}, not {wanted.mode}"]
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(wanted))
    largest, mean = int(difference.max()), float(difference.mean())
    if largest <= entry["largest_difference"] and mean <= entry["mean_difference"]:
        return []
    return [
        f"pixels differ by up to {largest} and by {mean:.3f} on average, at most {entry['largest_difference']} and "
        f"{entry['mean_difference']} are allowed"
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each vector. Returns 1 if anything differs, or if there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.conformance", description="Compare another decoder's output with vectors."
    )
    parser.add_argument("vectors", type=Path, help="the folder that python -m tools.vectors wrote")
    parser.add_argument("theirs", type=Path, help="the folder that the other decoder wrote")
    options = parser.parse_args(arguments)
    verdicts = check(options.vectors, options.theirs)
    for verdict in verdicts:
        state = "FAILED" if verdict.problems else "ok" if verdict.compared else "absent"
        print(f"{state:<8}{verdict.name:<28}{', '.join(verdict.problems or verdict.compared)}")
    failed = sum(bool(verdict.problems) for verdict in verdicts)
    for what in ("symbols", "pixels"):
        done = sum(what in verdict.compared for verdict in verdicts)
        print(f"{what}: {done} of {sum(verdict.compared != ('refused',) for verdict in verdicts)} vectors compared")
    nothing = not any(set(verdict.compared) & {"symbols", "pixels"} for verdict in verdicts)
    if nothing:
        print(f"{options.theirs} holds no output for any vector", file=sys.stderr)
    return 1 if failed or nothing else 0


if __name__ == "__main__":
    sys.exit(main())
