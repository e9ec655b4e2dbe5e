"""Pages of results say what their records say, and no record is older than the weights that it measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks import records
from benchmarks.figure_records import pages
from benchmarks.records import BLOCKS, RECORDS_DIR, SOURCES, about, read_record, stale_weights, take
from benchmarks.tables.readme import SUMMARY, summary
from benchmarks.weights_ids import weights_id
from semcomp.errors import SemcompError
from tools import results

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in RECORDS_DIR.glob("*.json"))
ID = re.compile(r"\b(base|objects|street|imagenette|thumbs|signature|generator_\w+|model) `([0-9a-f]{16})`")
"""An id on a page, with the name of the weights."""


def test_every_page_says_what_its_records_say() -> None:
    assert [path.name for path in results.unwritten()] == [], "run python -m tools.results"


def test_every_record_is_known_and_shown() -> None:
    assert set(NAMES) <= set(SOURCES)
    text = "".join(path.read_text(encoding="utf-8") for path in pages())
    shown = {match[1] for match in results.BLOCK.finditer(text)}
    assert set(NAMES) <= shown | set(SUMMARY), "a record that no page shows"
    parts = {f"{match[1]}.{match[2]}" for match in results.BLOCK.finditer(text)}
    assert set(BLOCKS) <= parts, "a block that no page shows"


@pytest.mark.parametrize("name", NAMES)
def test_no_record_is_older_than_its_weights(name: str) -> None:
    record = read_record(name)
    assert record is not None
    assert {"benchmark", "command", "date", "machine", "weights"} <= set(record)
    assert not stale_weights(record), f"run make {SOURCES[name].target} and make results"
    assert not re.search(r"(?:^|[\s=])/\w", record["command"]), "a path of one machine"


def current(name: str) -> str:
    return weights_id("base" if name == "model" else name)


def outdated_ids(text: str) -> list[str]:
    """Ids on a page that belong to no weights of this version."""
    return [f"{name} {value}" for name, value in ID.findall(text) if current(name) != value]


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_names_weights_that_were_replaced(path: Path) -> None:
    if "notebook" not in path.parts:
        assert outdated_ids(path.read_text(encoding="utf-8")) == []


def test_weights_that_were_replaced_are_noticed() -> None:
    record: dict[str, Any] = {"weights": {"base": weights_id("base"), "street": "0" * 16, "never released": "1" * 16}}
    assert stale_weights(record) == ["street"]
    assert outdated_ids(f"model `{'0' * 16}`, base `{weights_id('base')}`") == [f"model {'0' * 16}"]


def test_a_page_that_was_edited_by_hand_is_noticed() -> None:
    page = (ROOT / "docs" / "results" / "rate.md").read_text(encoding="utf-8")
    assert results.filled(page) == page
    edited = re.sub(r"^\| semcomp \| .*$", "| semcomp | 0.0 |", page, flags=re.MULTILINE)
    assert edited != page and results.filled(edited) == page


def test_an_unknown_block_is_an_error() -> None:
    with pytest.raises(SemcompError, match=r"no block rate\.nothing is known"):
        results.filled("<!-- results: rate.nothing -->\n<!-- end -->\n")


def test_what_was_not_measured_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORDS_DIR", tmp_path)
    assert results.block("rate", "bd") == "Not measured yet."
    assert results.block("rate", "about") == "*`make bench-rate`*"
    assert results.block("summary", None).startswith("Not measured yet: rate, speed")
    assert "bench-rate" in results.stale_targets()
    assert "bench-lossless" in results.stale_targets()


def test_the_summary_shows_what_is_measured_and_names_the_rest() -> None:
    record = read_record("exactness")
    assert record is not None
    text = summary({"exactness": record})
    assert "| exactness | 0 differing symbols" in text and "bytes at equal PSNR" not in text
    assert text.endswith("Not measured yet: rate, speed, recognition_street, fuzz.")


def test_weights_that_are_not_released_are_named_as_such() -> None:
    record = {"command": "c", "date": "2026-01-02", "machine": {"cpu": "a CPU", "cores": 2}, "weights": {"mine": "0a"}}
    assert about(record) == "*`c`; 2026-01-02; mine `0a` (not released); a CPU, 2 cores*"
    assert about({**record, "transcribed": True}).endswith("copied from an earlier version of this page*")


def test_a_new_result_is_taken_without_rows_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORDS_DIR", tmp_path)
    result = {
        "benchmark": "rate",
        "command": f"python -m benchmarks.rate {ROOT}/data/val --model {tmp_path}/a.safetensors",
        "date": "2026-01-02",
        "machine": {"cpu": "a CPU", "cores": 2, "torch": "2"},
        "weights": {"base": weights_id("base")},
        "photos": 2,
        "rows": {"a.png": [1, 2]},
    }
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rate.json").write_text(json.dumps(result))
    assert take("rate", tmp_path / "out") and not take("rate", tmp_path / "out")
    record = read_record("rate")
    assert record is not None and record["photos"] == 2 and "rows" not in record
    assert record["command"] == "python -m benchmarks.rate data/val --model a.safetensors"
    assert record["machine"] == {"cpu": "a CPU", "cores": 2}
    (tmp_path / "out" / "rate.json").write_text(json.dumps({**result, "weights": {"base": "0" * 16}, "photos": 3}))
    assert not take("rate", tmp_path / "out"), "figures of weights that were replaced"
