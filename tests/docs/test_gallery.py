"""The gallery: its pictures are small, each is shown, and its program makes them from a photo."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("scipy")

from benchmarks import common, gallery
from benchmarks.records import BLOCKS
from benchmarks.weights_ids import is_released
from semcomp.codec.codec import Codec

ROOT = Path(__file__).parents[2]
SHEETS = sorted((ROOT / "docs" / "gallery").glob("*"))


def test_every_sheet_is_small_and_shown() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert {path.name for path in SHEETS} == set(re.findall(r"gallery/([\w-]+\.webp)\)", text))
    assert max(path.stat().st_size for path in SHEETS) <= gallery.SHEET_LIMIT
    assert sum(path.stat().st_size for path in SHEETS) <= gallery.FOLDER_LIMIT


def test_ten_photos_are_shown() -> None:
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert [photo.title for photo in gallery.PHOTOS] == re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert len(gallery.PHOTOS) == 10


def test_the_program_makes_what_the_page_shows(
    codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "load_codec", lambda options: codec)
    shutil.copy(ROOT / "examples" / "photo.png", tmp_path / "dog-lossless.png")
    out = tmp_path / "gallery.json"
    assert gallery.main([str(tmp_path), "--only", "dog", "--folder", str(tmp_path / "made"), "-o", str(out)]) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    (row,) = result["pictures"]
    assert [rate["bpp"] <= limit for rate, limit in zip(row["rates"], gallery.RATES, strict=True)] == [True] * 3
    assert all(rate["bytes"] < rate["jpeg_bytes"] for rate in row["rates"])
    assert row["generated"]["bytes"] < row["rates"][0]["bytes"] < row["kept"]["bytes"]
    assert ("exact_bytes" in row, "restored" in row) == (is_released("lossless"), is_released("restorer"))
    with Image.open(tmp_path / "made" / "dog-near.webp") as sheet:
        assert sheet.size == (4 * gallery.SIDE + 3 * gallery.GAP, gallery.SIDE)
    page = BLOCKS["gallery.photos"](result)
    assert page.startswith("## A dog\n\n![A dog, close-ups") and f"{row['kept']['bytes']:,} bytes" in page


def test_columns_come_with_their_weights() -> None:
    rate = {"bpp": 0.1, "bytes": 1000, "psnr_db": 30.0, "jpeg_bytes": None}
    row = {"name": "a", "title": "A", "png_bytes": 5000, "rates": [rate], "generated": {"bytes": 100}}
    row |= {"kept": {"bytes": 300}, "labels": {"head": "street", "known": True, "areas": {"Sky": 0.25}}}
    page = BLOCKS["gallery.photos"]({"pictures": [row]})
    assert "Exact pixels" not in page and "restored" not in page and "no such file" in page and "Sky 25 %" in page
    row |= {"exact_bytes": 2500, "restored": {"bytes": 900, "jpeg_db": 27.0, "psnr_db": 28.5}}
    page = BLOCKS["gallery.photos"]({"pictures": [row]})
    assert "2,500 bytes, 50 % of the PNG file" in page and "shows 27.0 dB, the restorer 28.5 dB" in page
    assert "| exactly |" in BLOCKS["gallery.figures"]({"pictures": [row], "rates": [0.1]})
