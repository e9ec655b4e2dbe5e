"""The benchmark of many files runs on a few and counts rows rightly; no figure is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import scale
from semcomp.cli.main import main
from tests.benchmarks.shown import shown

pytest.importorskip("psutil")
pytest.importorskip("pyarrow.parquet", exc_type=ImportError)


def test_kills_are_survived(photo: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos/a.png")
    few = ["--files", "12", "--block", "3", "--kills", "1", "--verb", "info", "--engines", "processes"]
    assert scale.main([str(tmp_path / "photos"), *few, "--only", "killed", "engines", "--json", "--quiet"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["killed"]["processes"]["lost"] == result["killed"]["processes"]["doubled"] == 0
    assert result["engines"]["processes"]["cpu_seconds"] > 0
    blocks = {"scale_killed.table", "scale_killed.engines", "scale_killed.growth", "scale_engines.engines"}
    assert set(shown(result)) == blocks


def test_lost_and_doubled_rows_are_counted(tmp_path: Path) -> None:
    golden = sorted((Path(__file__).parents[1] / "golden").glob("*.semc"))
    source, place = tmp_path / "files", tmp_path / "rows"
    source.mkdir()
    for path in golden[:4]:
        (source / path.name).write_bytes(path.read_bytes())
    main(["map", "info", str(source), "-o", str(place), "--block", "2", "--quiet"])
    assert scale.rows_lost_and_doubled(place, source) == (0, 0, 0)
    (place / "part-000000.parquet").write_bytes((place / "part-000001.parquet").read_bytes())
    assert scale.rows_lost_and_doubled(place, source) == (2, 2, 0)
