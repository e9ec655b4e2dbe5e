"""The comparison of the installed client with the library: it counts every element, and its limits can fail."""

from __future__ import annotations

import sys
import zipfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.wheels import CLIENT, PARTS, checks_of, differing, graphs_of, run, start, symbols, table_of
from semcomp.codec.codec import Codec
from semcomp.errors import SemcompError

onnx = pytest.importorskip("onnx")


def test_files_of_both_are_read_alike(
    codec: Codec, exported: tuple[Path, Any], photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    found = symbols(codec, [path], Namespace(qualities=[5, 90]), (sys.executable, CLIENT, exported[0]))
    assert found["files"] == 4 and found["differing"] == 0 and found["elements"] > 1000
    assert found["client_bytes"] == pytest.approx(found["library_bytes"], rel=0.1)


def test_every_differing_element_counts(codec: Codec, photo: NDArray[np.uint8]) -> None:
    ours = codec.read_symbols(codec.encode(photo, quality=30))
    theirs = {f"client_{part}": getattr(ours, part).copy() for part in PARTS}
    assert differing(ours, theirs, "client") == 0
    theirs["client_y"].flat[3] += 1
    theirs["client_z"].flat[:2] += 1
    assert differing(ours, theirs, "client") == 3
    assert differing(replace(ours, y=ours.y[:1]), theirs, "client") == ours.y.size + 2


def test_a_program_that_fails_is_an_error() -> None:
    with pytest.raises(SemcompError, match="ended with 3: sorry"):
        run(sys.executable, "-c", "import sys; print('sorry', file=sys.stderr); sys.exit(3)")


def test_the_start_is_measured(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "semcomp"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nexit 0\n")
    command.chmod(0o755)
    found = start(command.with_name("python"), tmp_path, 3)
    assert 0 < found["least_seconds"] <= found["seconds"] < 60


def test_graphs_are_counted_as_the_wheel_stores_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("semcomp/graphs/sigma.onnx", bytes(10_000))
        archive.writestr("semcomp/graphs/manifest.json", "{}")
    found = graphs_of(tmp_path / "a.whl")
    assert set(found) == {"sigma"} and 0 < found["sigma"] < 1000


def test_limits_can_fail() -> None:
    times = {"seconds": 16.0, "processor_seconds": 2.0, "least_seconds": 1.0}
    counts = {"files": 4, "elements": 9, "differing": 1, "chosen_differently": 0, "library_bytes": 9, "client_bytes": 9}
    result = {"wheel_bytes": 21_000_000, "install": {**times, "bytes": 5}, "start": times, "symbols": counts}
    assert [check.passed for check in checks_of(result)] == [False] * 4
    assert "+0.00 %" in table_of({**result, "photos": 1, "qualities": [5]})


def test_parts_are_judged_and_shown_alone() -> None:
    times = {"seconds": 1.0, "processor_seconds": 2.0, "least_seconds": 0.5}
    wheel = {"wheel_bytes": 19_000_000, "install": {**times, "bytes": 5}, "start": {**times, "seconds": 0.5}}
    counts = {"files": 4, "elements": 9, "differing": 0, "chosen_differently": 0, "library_bytes": 9, "client_bytes": 9}
    symbols = {"symbols": counts, "photos": 1, "qualities": [5]}
    assert [check.passed for check in checks_of(wheel)] == [True] * 3
    assert [check.passed for check in checks_of(symbols)] == [True]
    assert "19,000,000 bytes" in table_of(wheel) and "written and read" not in table_of(wheel)
    assert "written and read" in table_of(symbols) and "wheel" not in table_of(symbols)
