"""The tables of a release: near those of the run, and small once they are compressed."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from semcomp.bitstream.frequency_tables import TOTAL
from semcomp.lossless.model import load_model
from train.lossless_export import main, rounded
from train.lossless_objective import Mixture


def test_a_release_keeps_networks_and_prices(lossless_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "lossless.safetensors"
    assert main([str(lossless_file), "-o", str(out)]) == 0
    before, after = load_model(lossless_file), load_model(out)
    arrays = after.arrays()
    for name, array in before.arrays().items():
        if not name.endswith(".flat"):
            assert np.array_equal(array, arrays[name]), name
    for run, release in zip(before.banks, after.banks, strict=True):
        more = run.flat / TOTAL * np.log2(run.flat / release.flat)
        assert np.add.reduceat(more, run.offsets[:-1]).max() < 1e-4


def test_rounded_tables_compress_to_half() -> None:
    tables = Mixture().tables(0)
    sizes = [len(zlib.compress(some.flat.tobytes(), 9)) for some in (tables, rounded(tables))]
    assert sizes[1] < 0.5 * sizes[0]
