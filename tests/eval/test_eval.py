"""`semcomp eval` and what it is made of; with a stand-in for semcomp's codec."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.cli.main import main
from semcomp.errors import MissingExtraError, SemcompError
from semcomp.eval import measure, run
from semcomp.eval.classical import JPEG, JPEG2000, JpegXl, distance_of
from semcomp.eval.codecs import CLASSICAL, NAMES, ONLY_ON_REQUEST, choose_settings, evenly, find, installed
from semcomp.eval.curves import decibels, mean_curve, rising, saving
from semcomp.eval.jpeg_encoders import Jpegli
from semcomp.eval.published import is_kodak, published
from semcomp.eval.size import file_of_size
from semcomp.eval.worst import worst_place
from semcomp.imaging.metrics import psnr_db


@pytest.fixture
def photos(stand_in: Any, photo: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with three pictures of 200x180 below photos/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    large = np.tile(photo, (2, 2, 1))[:180, :200]
    for name, pixels in (("a", large), ("b", large[::-1]), ("c", 255 - large)):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.setattr(run, "_peak", lambda job: {"before": 1 << 20, "peak": 2 << 20})
    run.coder_of.cache_clear()
    measure._warm.clear()
    yield tmp_path / "photos"
    run.coder_of.cache_clear()


FEW = ["--codecs", "semcomp,jpeg,webp", "--qualities", "20,50,80", "--quiet"]


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["eval", "photos", *FEW, "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


class TestCommand:
    def test_points_are_those_of_real_files(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, result = evaluate(capsys)
        assert code == 0 and result["pictures"] == 3 and result["pixels"] == 3 * 200 * 180
        assert result["file_bytes"] == sum(path.stat().st_size for path in photos.iterdir())
        curve = result["codecs"]["jpeg"]["curve"]
        assert curve["setting"] == [20, 50, 80] and curve["psnr_db"] == sorted(curve["psnr_db"])
        bpp, db = [], []
        for path in photos.iterdir():
            file, pixels = io.BytesIO(), np.asarray(Image.open(path))
            Image.fromarray(pixels).save(file, "JPEG", quality=50, optimize=True, subsampling="4:2:0")
            bpp.append(8 * file.tell() / (200 * 180))
            db.append(psnr_db(pixels, np.asarray(Image.open(file))))
        assert curve["bpp"][1] == pytest.approx(np.mean(bpp), abs=1e-5)
        assert curve["psnr_db"][1] == pytest.approx(np.mean(db), abs=1e-5)
        assert 0 < curve["ms_ssim"][0] < curve["ms_ssim"][2] <= 1
        assert set(result["bd_rate"]) == {"psnr_db", "ms_ssim"} and "jpeg" not in result["bd_rate"]["psnr_db"]
        for facts in result["codecs"].values():
            assert facts["version"] and facts["encode_ms"]["low"] <= facts["encode_ms"]["median"]
            assert facts["memory_bytes"]["peak"] == 2 << 20

    def test_a_table_names_versions_and_what_is_saved(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["eval", "photos", *FEW[:-1]]) == 0
        out = capsys.readouterr().out
        assert "Pillow" in out and "model" in out
        assert re.search(r"files [\d.]+ % (smaller|larger) than JPEG's at equal PSNR", out)

    def test_csv(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["eval", "photos", *FEW, "--csv"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "picture,width,height,codec,setting,bytes,bpp,psnr_db,ms_ssim,encode_s,decode_s"
        assert len(lines) == 1 + 3 * 3 * 3

    def test_the_folder_holds_a_report_that_needs_nothing_else(
        self, photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, result = evaluate(capsys, "-o", "out", "--worst", "2")
        assert code == 0 and json.loads(Path("out/report.json").read_text()) == result
        assert len(Path("out/points.csv").read_text().splitlines()) == 28
        page = Path("out/report.html").read_text()
        assert "__CONTENT__" not in page and "semcomp eval photos" in page
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|url\(|@import|<script""", page)
        assert page.count("with the largest loss for") == 3
        assert page.count('alt="difference"') == 3 * 2 * 3  # codecs, their worst pictures, all codecs beside each other
        if find_spec("matplotlib"):
            assert {"psnr_db.png", "ms_ssim.png"} <= {path.name for path in Path("out").iterdir()}
            assert page.count('class="plot"') == 2

    def test_without_matplotlib_there_is_a_report_without_plots(
        self, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
        assert main(["eval", "photos", *FEW, "-o", "out", "--worst", "0"]) == 0
        assert "semcomp[eval]" in capsys.readouterr().err
        assert "No plot" in Path("out/report.html").read_text()

    def test_an_interrupted_run_goes_on(
        self, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # plots take time and are tested above
        monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
        real = measure.measure
        done: list[str] = []

        def interrupted(coder: Any, *arguments: Any, **options: Any) -> Any:
            if len(done) == 5:
                raise KeyboardInterrupt
            done.append(coder.name)
            return real(coder, *arguments, **options)

        monkeypatch.setattr(measure, "measure", interrupted)
        assert main(["eval", "photos", *FEW, "-o", "out"]) == 130
        rows = Path("out") / run.ROWS
        assert len(rows.read_text().splitlines()) == 5
        rows.write_text(rows.read_text()[:-40])  # the last line was cut off, too

        def again(coder: Any, *arguments: Any, **options: Any) -> Any:
            done.append(coder.name)
            return real(coder, *arguments, **options)

        done.clear()
        monkeypatch.setattr(measure, "measure", again)
        code, result = evaluate(capsys, "-o", "out", "--worst", "0")
        assert code == 0 and len(done) == 5 and result["pictures"] == 3
        done.clear()
        assert evaluate(capsys, "-o", "out", "--worst", "0")[1]["bd_rate"] == result["bd_rate"] and not done
        evaluate(capsys, "-o", "out", "--worst", "0", "--metrics", "psnr")
        assert len(done) == 9  # other figures are other measurements
        done.clear()
        evaluate(capsys, "-o", "out", "--worst", "0", "--threads", "2")
        evaluate(capsys, "-o", "out", "--worst", "0", "--threads", "1")
        assert len(done) >= 9  # times of another number of threads are no times of this one

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            (["--min-psnr", "10", "--max-bpp", "24", "--max-bd-rate", "900"], 0),
            (["--min-psnr", "60"], 5),
            (["--max-bpp", "0.001"], 5),
            (["--max-bd-rate", "-99"], 5),
        ],
    )
    def test_limits(self, photos: Path, capsys: pytest.CaptureFixture[str], limits: list[str], code: int) -> None:
        found, result = evaluate(capsys, *limits)
        assert found == code
        assert all(check["passed"] for check in result["thresholds"]) == (code == 0)

    def test_what_could_not_be_measured_breaks_its_limit(
        self, photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, result = evaluate(capsys, "--max-bd-rate", "900", "--range", "70,80")
        assert code == 5 and result["thresholds"][0]["value"] is None
        assert any("do not overlap within 70 to 80 dB" in note for note in result["notes"])

    def test_a_damaged_picture_is_one_failure(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (photos / "d.png").write_bytes((photos / "a.png").read_bytes()[:900])
        code, result = evaluate(capsys)
        assert code == 1 and result["pictures"] == 3
        assert {failure["picture"] for failure in result["failures"]} == {str(Path("photos/d.png"))}
        assert {failure["error"] for failure in result["failures"]} == {"ImageError"}
        assert all(failure["message"] and "Error" not in failure["message"] for failure in result["failures"])

    def test_small_pictures_have_no_ms_ssim(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Image.new("RGB", (50, 40), "red").save(photos / "small.png")
        _, result = evaluate(capsys)
        assert result["pictures"] == 4 and result["codecs"]["jpeg"]["curve"]["ms_ssim"] == [None] * 3
        assert result["bd_rate"]["ms_ssim"]["semcomp"] is None

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["photos", "--metrics", "vmaf"], 2, "no metric called vmaf"),
            (["photos", "--json", "--csv"], 2, "one of --json"),
            (["photos", "--max-bd-rate", "0", "--codecs", "semcomp"], 2, "must be among the --codecs"),
            (["photos", "--min-psnr", "3", "--metrics", "ssim"], 2, "need psnr"),
            (["photos", "-o", "photos/a.png"], 2, "eval writes a folder"),
            (["photos", "--codecs", "gif"], 2, "no codec called gif; known: semcomp, jpeg"),
            (["missing"], 1, "no such file"),
            (["photos", "--task", "juggle"], 2, "no task called juggle"),
        ],
    )
    def test_what_makes_no_sense_is_said(
        self, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
    ) -> None:
        assert main(["eval", *arguments]) == code
        assert said in capsys.readouterr().err

    def test_lpips_without_its_weights_is_refused(
        self, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(photos / "nothing"))
        measure.lpips_network.cache_clear()
        assert main(["eval", "photos", "--metrics", "lpips"]) == 1
        said = capsys.readouterr().err
        assert "pip install" in said if find_spec("lpips") is None else "AlexNet's own weights" in said

    def test_a_missing_package_is_named_before_anything_is_measured(
        self, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "scipy.interpolate", None)
        monkeypatch.setattr("semcomp.eval.run.run", lambda *_, **__: pytest.fail("it was measured"))
        assert main(["eval", "photos", "--codecs", "jpeg,webp"]) == 1
        assert "semcomp[eval]" in capsys.readouterr().err

    def test_ssimulacra2(self, photo: NDArray[np.uint8]) -> None:
        pytest.importorskip("ssimulacra2")
        decoded = [JPEG.decode(JPEG.encode(photo, quality)) for quality in (5, 30, 92)]
        scores = [measure.ssimulacra2_score()(photo, pixels) for pixels in decoded]
        assert scores == sorted(scores) and scores[-1] < 100
        assert measure.metric_value("ssimulacra2", photo, photo) == 100
        assert measure.metric_value("ssimulacra2", photo[:7], photo[:7]) is None

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["eval", "--help"])
        assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize("codec", CLASSICAL, ids=lambda codec: codec.name)
def test_classical_codecs(codec: Any, photo: NDArray[np.uint8]) -> None:
    if not codec.available:
        pytest.skip(f"{codec.label} is not installed")
    files = [codec.encode(photo, setting) for setting in (codec.settings[2], codec.settings[-2])]
    errors = [psnr_db(photo, np.asarray(codec.decode(data))) for data in files]
    assert len(files[0]) < len(files[1]) and 15 < errors[0] < errors[1]
    assert any(character.isdigit() for character in codec.version)
    assert codec.lowest <= codec.settings[0] and codec.settings[-1] <= codec.highest
    setting, data = file_of_size(codec, photo, target_bytes=3000)
    assert codec.lowest <= setting <= codec.highest and abs(len(data) - 3000) < 1500


def test_a_codec_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JpegXl, "available", False)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingExtraError, match=r"JPEG XL needs .*semcomp\[eval\]"):
        find("jxl")
    with pytest.raises(MissingExtraError):
        JpegXl().encode(np.zeros((8, 8, 3), np.uint8), 50)
    assert "jxl" not in installed() and installed()[:2] == ["semcomp", "jpeg"]
    monkeypatch.setitem(sys.modules, "pyjpegli", None)
    with pytest.raises(MissingExtraError, match=r"jpegli needs .*semcomp\[eval\]"):
        Jpegli().encode(np.zeros((8, 8, 3), np.uint8), 50)
    with pytest.raises(SemcompError, match="known: semcomp"):
        find("png")
    assert set(installed()) <= set(NAMES)
    assert {*ONLY_ON_REQUEST} < {*NAMES} and not {*ONLY_ON_REQUEST} & {*installed()}


def test_libjxls_distance_is_one_curve() -> None:
    assert distance_of(90) == pytest.approx(1) and distance_of(30) == pytest.approx(6.4, abs=0.01)
    assert distance_of(29) > distance_of(30) > distance_of(31)


def test_settings() -> None:
    assert evenly(range(10), 3) == (0, 4, 9) and evenly(range(3), 5) == (0, 1, 2) and evenly(range(9), 1) == (4,)
    assert choose_settings(JPEG, (0, 50, 100)) == (1, 50, 95)
    assert len(choose_settings(JPEG2000, (1, 2, 3))) == 3 and choose_settings(JPEG, "full") == JPEG.settings
    assert choose_settings(JPEG, None)[::4] == (JPEG.settings[0], JPEG.settings[-1])


class TestCurves:
    def test_means(self) -> None:
        pictures: list[list[dict[str, float | None]]] = [
            [{"setting": 5, "bpp": 1.0, "psnr_db": 30.0, "encode_s": 1.0}],
            [{"setting": 5, "bpp": 3.0, "psnr_db": None, "encode_s": 3.0}],
            [{"setting": 5, "bpp": 5.0, "psnr_db": 32.0, "encode_s": 8.0}],
        ]
        assert mean_curve(pictures) == {"setting": [5], "bpp": [3.0], "psnr_db": [None], "encode_s": [3.0]}

    def test_points_that_cost_more_and_give_less_are_left_out(self) -> None:
        curve: dict[str, list[Any]] = {"bpp": [0.4, 0.1, 0.2, 0.3, 0.5], "psnr_db": [33.0, 30.0, 32.0, 31.0, None]}
        assert rising(curve) == ([0.1, 0.2, 0.4], [30.0, 32.0, 33.0])

    def test_other_metrics_are_compared_by_their_error(self) -> None:
        assert decibels("ms_ssim", 0.99) == pytest.approx(20) and decibels("psnr_db", 31.0) == 31
        assert decibels("ssimulacra2", 71.5) == 71.5
        assert decibels("lpips", 0.1) == pytest.approx(10) and decibels("ssim", 1.0) == float("inf")
        pytest.importorskip("scipy")
        curve = {"bpp": [0.1, 0.2, 0.4], "ms_ssim": [0.9, 0.95, 0.98]}
        half = {**curve, "bpp": [0.05, 0.1, 0.2]}
        assert saving(curve, half, metric="ms_ssim", limits=None) == pytest.approx(-50)
        with pytest.raises(ValueError, match="two rising points"):
            saving(curve, {"bpp": [1.0], "ms_ssim": [0.9]}, metric="ms_ssim", limits=None)


def test_published_figures_have_a_source_and_rise() -> None:
    values = published()
    assert values["curves_source"] and values["table_source"]
    for name, curve in values["curves"].items():
        assert len(curve["bpp"]) == len(curve["psnr_db"]) > 5, name
        assert rising(curve) == (curve["bpp"], curve["psnr_db"]), name
    names = [(f"kodim{number:02}.png", 768, 512) for number in range(1, 25)]
    assert is_kodak(names) and not is_kodak(names[1:]) and not is_kodak([("a.png", 768, 512)] * 24)


def test_published_bd_rates_agree_with_the_published_curves() -> None:
    pytest.importorskip("scipy")
    curves = published()["curves"]
    for row in published()["table"]:
        if row["name"] in curves:
            found = saving(curves["JPEG"], curves[row["name"]], limits=None)
            assert found == pytest.approx(row["bd_rate_vs_jpeg"], abs=2.5), row["name"]


def test_the_worst_place_is_where_the_error_is() -> None:
    original = np.full((400, 500, 3), 100, np.uint8)
    decoded = original.copy()
    decoded[300:320, 40:60] = 160
    rows, columns = worst_place(original, decoded, side=64)
    assert rows.start <= 300 and rows.stop >= 320 and columns.start <= 40 and columns.stop >= 60
    assert worst_place(original[:10, :20], decoded[:10, :20]) == (slice(0, 10), slice(0, 20))


@pytest.mark.skipif(find_spec("compressai") is None, reason="CompressAI is not installed")
class TestPeers:
    def test_without_weights_only_the_speed_is_measured(
        self, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(photos / "nothing"))
        code = main(["eval", "photos/a.png", "--codecs", "bmshj2018-factorized,jpeg", "--json", "--quiet"])
        result = json.loads(capsys.readouterr().out)
        facts = result["codecs"]["bmshj2018-factorized"]
        assert code == 0 and facts["speed_only"] and "curve" not in facts and facts["encode_ms"]["median"] > 0
        assert "random weights" in facts["version"] and "bmshj2018-factorized" not in result["bd_rate"]["psnr_db"]

    def test_weights_are_taken_from_disk_if_they_are_whole(
        self, photos: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import hashlib

        import torch

        from semcomp.eval import peers

        monkeypatch.setenv("TORCH_HOME", str(photos))
        folder = photos / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        zoo = peers._zoo()
        network = zoo.model_architectures["bmshj2018-factorized"](*zoo.cfgs["bmshj2018-factorized"][1])
        torch.save(network.state_dict(), folder / "x")
        digest = hashlib.sha256((folder / "x").read_bytes()).hexdigest()[:8]
        path = (folder / "x").rename(folder / f"factorized-1-{digest}.pth.tar")
        url = {"mse": {1: f"https://example.org/{path.name}"}}
        monkeypatch.setitem(zoo.model_urls, "bmshj2018-factorized", url)
        peer = peers.Peer(name="bmshj2018-factorized")
        assert peer.settings == (1,) and not peer.speed_only and "pretrained" in peer.version
        decoded = peer.decode(peer.encode(photo, 1))
        assert decoded.shape == photo.shape and decoded.dtype == np.uint8
        with path.open("ab") as file:
            file.write(b"damage")
        assert peers.Peer(name="bmshj2018-factorized").speed_only
