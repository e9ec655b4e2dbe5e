"""`semcomp restore` and `semcomp encode --as jpeg` as a user runs them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import semcomp
from semcomp.cli.main import main
from semcomp.imaging.metrics import psnr_db
from semcomp.restoration.restorer_file import load_restorer
from tests.cli.test_effort_option import Terminal
from tests.jpeg.files import jpeg, photo
from tests.restoration.conftest import restorer as restorer
from tests.restoration.conftest import weights as weights

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.jpg").write_bytes(jpeg(photo(40, 56), quality=40))
    (tmp_path / "in" / "deep" / "b.jpeg").write_bytes(jpeg(photo(24, 30, grey=True), quality=40))
    (tmp_path / "in" / "note.txt").write_text("no photo")
    return tmp_path


def test_a_file_becomes_a_png_beside_it(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder / "in" / "a.jpg"
    assert main(["restore", str(source), "--weights", str(weights)]) == 0
    assert "56x40" in capsys.readouterr().out
    assert np.array_equal(pixels_of(source.with_suffix(".png")), np.asarray(semcomp.restore(source, weights=weights)))
    assert main(["restore", str(source), "--weights", str(weights)]) == 1
    assert "pass --force" in capsys.readouterr().err


def test_a_folder_is_mirrored(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["restore", str(folder / "in"), "-o", str(folder / "out"), "--weights", str(weights), "--json"]
    assert main([*arguments, "--format", "webp", "--strength", "0.5"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["format"], row["ok"], row["damage"]) for row in rows] == [("webp", True, None)] * 2
    assert pixels_of(folder / "out" / "deep" / "b.webp").shape[:2] == (24, 30)


def test_in_processes(folder: Path, weights: Path) -> None:
    assert main(["restore", str(folder / "in"), "-o", str(folder / "out"), "--weights", str(weights), "-j", "2"]) == 0
    assert (folder / "out" / "a.png").exists() and (folder / "out" / "deep" / "b.png").exists()


def test_without_weights_the_released_ones_restore(folder: Path) -> None:
    source = folder / "in" / "a.jpg"
    assert main(["restore", str(source)]) == 0
    assert np.array_equal(pixels_of(source.with_suffix(".png")), np.asarray(semcomp.restore(source)))


def test_unknown_weights_are_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(folder / "in" / "a.jpg"), "--weights", "nowhere"]) == 4
    assert "no restorer called nowhere" in capsys.readouterr().err


def test_damaged_and_foreign_files(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = jpeg(photo(160, 160), quality=60)
    cut, png, cmyk = folder / "cut.jpg", folder / "p.png", folder / "cmyk.jpg"
    cut.write_bytes(data[: len(data) // 2])
    photo(20, 20).save(png)
    cmyk.write_bytes(jpeg(photo(20, 20).convert("CMYK")))
    assert main(["restore", str(cut), "--weights", str(weights)]) == 0
    assert "warning: the file is damaged" in capsys.readouterr().err
    assert pixels_of(cut.with_suffix(".png")).shape == (160, 160, 3)
    assert main(["restore", str(png), "--weights", str(weights)]) == 1
    assert "p.png: this is a .png file: give a .jpg, .jpeg," in capsys.readouterr().err
    assert main(["restore", str(png), str(cmyk), "-o", str(folder / "out"), "--weights", str(weights)]) == 1
    error = capsys.readouterr().err
    assert "not a JPEG file" in error and "CMYK" in error


def test_a_jpeg_made_for_the_restorer(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = photo(64, 64)
    image.save(folder / "p.png")
    arguments = ["encode", str(folder / "p.png"), "--as", "jpeg", "--max-bytes", "2500", "--weights", str(weights)]
    assert main([*arguments, "--json"]) == 0
    (row,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    data = (folder / "p.jpg").read_bytes()
    assert row["bytes"] == len(data) <= 2500
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert row["plain_psnr_db"] == pytest.approx(psnr_db(np.asarray(image), shown), abs=1e-6)
    assert (
        main(["restore", str(folder / "p.jpg"), "-o", str(folder / "r.png"), "--weights", str(weights), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["made_for"] == row["restorer"]


def test_a_terminal_shows_that_a_jpeg_is_being_made(
    folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(64, 64).save(folder / "p.png")
    target = ["--max-bytes", "2500", "--force"]
    arguments = ["encode", str(folder / "p.png"), "--as", "jpeg", *target, "--weights", str(weights)]
    for more, shown in (([], True), (["--quiet"], False)):
        screen = Terminal()
        monkeypatch.setattr("sys.stderr", screen)
        assert main([*arguments, *more]) == 0, screen.getvalue()
        assert ("step/s" in screen.getvalue() or "s/step" in screen.getvalue()) == shown


def test_targets_that_cannot_be_met_name_the_options_that_help(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "p.png"
    Image.new("RGB", (1, 1), "red").save(source, icc_profile=SRGB)
    for target in (["--max-bytes", "500"], ["--bpp", "0.1"]):
        assert main(["encode", str(source), "--as", "jpeg", *target, "--weights", str(weights)]) == 1
        said = capsys.readouterr().err
        assert (
            f"leave out {len(SRGB):,} bytes of metadata with --strip" in said and "bytes;" not in said.split("found")[0]
        )


def test_an_exact_result_is_called_so(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (16, 16), 128).save(tmp_path / "p.png")
    assert main(["encode", str(tmp_path / "p.png"), "--as", "jpeg", "--psnr", "30", "--weights", str(weights)]) == 0
    said = capsys.readouterr().out
    assert "exact as it is" in said and "inf" not in said


def test_weights_of_a_restorer_need_a_jpeg_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(folder / "in" / "a.jpg"), "--weights", "nope"]) == 2
    assert "give --as jpeg too" in capsys.readouterr().err
    assert not (folder / "in" / "a.semc").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "needs a target"),
        (["--psnr", "30", "--semantics", "labels"], "--semantics belongs to .semc files"),
        (["--psnr", "30", "--mode", "generative"], "--mode generative belongs to .semc files"),
        (["--psnr", "30", "--model", "other"], "--as jpeg takes --weights"),
        (["-q", "30"], "--quality belongs to .semc files"),
        (["--psnr", "30", "--device", "cuda"], "--as jpeg computes on the CPU, not on cuda"),
        (["--psnr", "30", "--lossless-weights", "x"], "--lossless-weights belongs to .semc files"),
        (["--psnr", "30", "--classes", "x"], "--classes belongs to .semc files"),
        (["--psnr", "30", "--grid", "4"], "--grid belongs to .semc files"),
        (["--psnr", "30", "--embedder", "x"], "--embedder belongs to .semc files"),
        (["--psnr", "30", "--void", "0"], "--void belongs to .semc files"),
        (["--psnr", "30", "--rest-quality", "9"], "--rest-quality belongs to .semc files"),
        (["--psnr", "30", "--keep-dilate", "0"], "--keep-dilate belongs to .semc files"),
        (["--psnr", "30", "--keep-hidden-colour"], "--keep-hidden-colour belongs to .semc files"),
        (["--psnr", "30", "--effort", "9"], "--effort belongs to .semc files"),
    ],
)
def test_what_makes_no_sense_for_a_jpeg(
    more: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(folder / "in" / "a.jpg"), "--as", "jpeg", *more]) == 2
    assert words in capsys.readouterr().err


def test_models_lists_the_restorers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    restorers = {row["name"]: row for row in rows if row["kind"] == "restorer"}
    assert {name: row["restores"] for name, row in restorers.items()} == {
        "restorer": "jpeg",
        "restorer_jpeg2000": "jpeg2000",
    }
    assert restorers["restorer"]["restorer_id"] == load_restorer().restorer_id.hex()


def test_a_file_without_its_weights_stops_no_other(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lossy, exact, source = folder / "1.jp2", folder / "2.jp2", folder / "in" / "a.jpg"
    photo(16, 16).save(lossy, irreversible=True, quality_layers=[30])
    photo(16, 16).save(exact)
    more = ["-o", str(folder / "out"), "--weights", str(weights), "--json"]
    assert main(["restore", str(lossy), str(exact), str(source), *more]) == 4
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["ok"] for row in rows] == [False, True, True] and "not JPEG 2000 files" in rows[0]["message"]
    assert np.array_equal(pixels_of(folder / "out" / "2.png"), np.asarray(photo(16, 16)))


def test_weights_that_many_files_lack_are_one_sentence(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        photo(16, 16).save(folder / "in" / f"{number}.jp2", irreversible=True, quality_layers=[30])
    assert main(["restore", str(folder / "in"), "-o", str(folder / "out"), "--weights", str(weights), "--quiet"]) == 4
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("5 of 7 failed:") and second.count("not JPEG 2000 files") == 1
    names = ", ".join(str(folder / "in" / f"{number}.jp2") for number in range(3))
    assert second.endswith(f"({names} and 2 more)")


def test_a_folder_without_the_graph_is_named_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert main(["restore", str(folder / "in"), "-o", str(folder / "out"), "--graphs", str(folder / "empty")]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"at {folder / 'empty'}" in error and "this version" not in error
