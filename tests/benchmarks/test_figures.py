"""Every figure of README and docs has a record and a caption, and none shows weights that have been replaced."""

import json
import os
import re
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.common import ROOT
from benchmarks.figure_records import caption, outdated, pages, with_caption
from benchmarks.figures import FIGURES_DIR
from benchmarks.weights_ids import weights_id
from semcomp.errors import SemcompError

RECORDS = sorted(FIGURES_DIR.glob("*.json"))


def test_every_figure_has_a_record_and_a_caption() -> None:
    shown: set[str] = set()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        names = set(re.findall(r"figures/(\w+)\.(?:png|jpg)\)", text))
        for name in names:
            record = json.loads((FIGURES_DIR / f"{name}.json").read_text(encoding="utf-8"))
            assert with_caption(text, name, caption(record)) == text, f"{page.name}: run make figures"
        shown |= names
    assert shown == {path.stem for path in RECORDS}, "a figure that no page shows"
    for path in RECORDS:
        assert set(json.loads(path.read_text(encoding="utf-8"))) == {"command", "data", "date", "weights"}
        assert [path.with_suffix(suffix).is_file() for suffix in (".png", ".jpg")].count(True) == 1


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_no_figure_is_older_than_the_weights_it_shows(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["weights"] and not outdated(record), f"docs/figures/{path.stem} is out of date: run make figures"


def test_the_check_can_fail() -> None:
    record = {"weights": {"base": weights_id("base"), "street": weights_id("street")}}
    assert not outdated(record)
    record["weights"]["street"] = "0" * 16
    assert outdated(record) == ["street"]


def test_captions_are_put_below_their_figures_and_replaced() -> None:
    page = "![One](../figures/one.png)\n\nText.\n\n![Two](docs/figures/two.png)\n\n*`old`; x*\n\nMore.\n"
    once = with_caption(with_caption(page, "one", "*`new`; 1*"), "two", "*`new`; 2*")
    assert (
        once
        == "![One](../figures/one.png)\n\n*`new`; 1*\n\nText.\n\n![Two](docs/figures/two.png)\n\n*`new`; 2*\n\nMore.\n"
    )
    assert with_caption(once, "three", "*`x`*") == once


def test_a_figure_without_its_measurement_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "OUT", ROOT / "no such folder")
    assert figures.main(["rate"]) == 1
    assert "run its measurement first" in capsys.readouterr().err


def test_figures_are_drawn_from_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    curve = {"bpp": [0.1, 0.5, 1.0], "psnr_db": [28.0, 33.0, 36.0]}
    base = weights_id("base")
    results = {
        "rate": {
            "photos": 2,
            "model_id": base,
            "date": "2026-01-02",
            "curves": {"semcomp": curve, "JPEG": curve},
            "bd_rate": {"semcomp": {"JPEG": -50.0}},
        },
        "segment": {
            "pictures": 3,
            "model_id": base,
            "head": "street",
            "figure": "mean IoU",
            "originals": 60.0,
            "pixels": "out/seen.safetensors",
            "rows": [{"bpps": {"latents": 0.2, "jpeg": 0.2}, "latents": 50.0, "jpeg": 40.0}],
        },
    }
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    for name in ("FIGURES_DIR", "OUT"):
        monkeypatch.setattr(figures, name, tmp_path)
    (tmp_path / "rate_measured.json").write_text("")
    record = figures.rate(tmp_path / "rate.png")
    assert record["weights"] == {"base": base} and record["date"] == "2026-01-02" and "2 photos" in record["data"]
    assert set(figures.peers(tmp_path / "peers.png")["weights"]) == {"base"}
    assert set(figures.recognition(tmp_path / "recognition.png")["weights"]) == {"base", "street"}
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("rate", "peers", "recognition"))


def test_the_page_is_shown_with_the_weights_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "OUT", tmp_path)
    shot, target = tmp_path / "web" / "map-wide.png", tmp_path / "page.png"
    shot.parent.mkdir()
    shot.write_bytes(b"a picture")
    record = figures.page(target)
    assert target.read_bytes() == b"a picture" and not outdated(record)
    assert set(record["weights"]) == {"base", "objects"}
    os.utime(shot, (0, 0))
    with pytest.raises(SemcompError, match="make test-web"):
        figures.page(target)
