"""The benchmark of the restorer measures what it says, and its checks can fail."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.deblocking import deblocked
from benchmarks.records import about, taken
from benchmarks.restore import JPEG2000_BPP, checks_of, jpeg, main, plain, read_photos
from semcomp.imaging.metrics import psnr_db
from semcomp.jpeg.reader import read_jpeg
from semcomp.restoration.restorer_file import TrainedRestorer, save_restorer
from tests.benchmarks.shown import shown
from tests.jpeg.files import photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import restorer_2000 as restorer_2000
from tests.restoration.conftest import weights as weights


def test_a_run_on_one_photo(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(64, 80).save(tmp_path / "p.png")
    arguments = [str(tmp_path), "--weights", str(weights), "--qualities", "10", "-o", str(tmp_path / "r.json")]
    assert main([*arguments, "--quiet", "--threads", "1"]) == 1, "weights that learned nothing reach no goal"
    result = json.loads((tmp_path / "r.json").read_text())
    assert set(result["decoded"]) == {"colour 10", "grey 10", "twice 75, 30"} and not result["passed"]
    assert "(not released)" in about(taken("restore", result)) and "+" in shown(result)["restore.table"]
    original, data = np.asarray(photo(64, 80)), jpeg(np.asarray(photo(64, 80)), 10)
    assert result["decoded"]["colour 10"]["jpeg_psnr"] == pytest.approx(psnr_db(original, plain(data)), abs=1e-3)
    assert "FAIL  gain in colour at quality 10" in capsys.readouterr().out


def test_jpeg_2000_is_measured_where_its_weights_are_given(
    weights: Path, restorer_2000: TrainedRestorer, tmp_path: Path
) -> None:
    photo(64, 80).save(tmp_path / "p.png")
    save_restorer(restorer_2000, tmp_path / "w.safetensors")
    arguments = [str(tmp_path), "--weights", str(weights), "--weights-jpeg2000", str(tmp_path / "w.safetensors")]
    main([*arguments, "--jpeg2000", "--qualities", "10", "-o", str(tmp_path / "r.json"), "--quiet", "--threads", "1"])
    decoded = json.loads((tmp_path / "r.json").read_text())["decoded"]
    plain_figures = [decoded[f"JPEG 2000, {bpp:g} bpp"]["jpeg_psnr"] for bpp in JPEG2000_BPP]
    assert plain_figures == sorted(plain_figures) and "deblocked_psnr" not in decoded["JPEG 2000, 0.4 bpp"]


def test_photos_are_halved_where_that_is_asked_for(tmp_path: Path) -> None:
    photo(64, 80).save(tmp_path / "p.png")
    options = argparse.Namespace(photos=[tmp_path], limit=None, halve=True)
    (pixels,) = read_photos(options)[1]
    assert pixels.shape == (32, 40, 3) and np.array_equal(pixels, np.asarray(photo(64, 80).reduce(2)))


@pytest.mark.parametrize("grey", [False, True])
def test_the_deblocker_helps_where_blocks_are_seen(grey: bool) -> None:
    y, x = np.mgrid[0:72, 0:88]
    smooth = np.stack([80 + y + 0.3 * x, 60 + x, 200 - y], -1).clip(0, 255).astype(np.uint8)
    picture = smooth[..., 0] if grey else smooth
    data = jpeg(picture, 8)
    shown = plain(data)
    cleaned = deblocked(shown, read_jpeg(data))
    assert cleaned.shape == picture.shape and cleaned.dtype == np.uint8
    assert psnr_db(picture, cleaned) > psnr_db(picture, shown) + 0.2


def test_goals_are_checked() -> None:
    row = {"jpeg_psnr": 30.0, "restored_psnr": 31.45, "seconds": 0.1}
    passed = {check.name: check.passed for check in checks_of({"colour 10": row, "colour 20": row}, {})}
    assert not passed["gain in colour at quality 10"] and passed["gain in colour at quality 20"]
