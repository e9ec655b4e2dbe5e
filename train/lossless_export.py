"""Writes the weights file of exact pixels: python -m train.lossless_export MODEL -o lossless.safetensors

A run's tables have frequencies of up to 24 binary digits, which no archive makes smaller. A release keeps the first 8
digits of each, for less than 0.0001 bits a symbol. Networks stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from semcomp.bitstream.frequency_tables import TOTAL, Tables
from semcomp.lossless.model import LosslessModel, load_model, save_model

DIGITS = 8


def rounded(tables: Tables, digits: int = DIGITS) -> Tables:
    """Round frequencies to some significant binary digits; the most frequent category of each table takes the rest.

    Example:
        >>> rounded(Tables(np.array([1]), np.array([4771, TOTAL - 5772, 1000, 1]))).flat.tolist()
        [4768, 16771447, 1000, 1]
    """
    flat = tables.flat.astype(np.int64)
    shift = np.maximum(np.frexp(flat.astype(np.float64))[1] - digits, 0)
    kept = (flat + (1 << shift >> 1)) >> shift << shift
    for start, end in zip(tables.offsets[:-1], tables.offsets[1:], strict=True):
        row = kept[start:end]
        row[row.argmax()] += TOTAL - row.sum()
    return Tables.from_arrays(tables.bounds, kept)


def released(model: LosslessModel) -> LosslessModel:
    """The model with the tables of a release."""
    return replace(model, banks=tuple(rounded(bank) for bank in model.banks))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.lossless_export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="the model.safetensors of a run of train.lossless")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the weights to write")
    options = parser.parse_args(arguments)
    save_model(options.output, released(load_model(options.model)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
