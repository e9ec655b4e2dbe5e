"""`semcomp encode --lossless`, `--near`, `decode --scale` and `info`, as a user meets them."""

from __future__ import annotations

import io
import json
import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.cli.main import main
from semcomp.cli.terminal import messages_shown
from semcomp.imaging.deep import deep_png
from semcomp.imaging.exact import exact_picture
from semcomp.lossless.model import load_model
from tests.lossless.conftest import photo

pytestmark = pytest.mark.usefixtures("embedded_lossless")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    Image.fromarray(photo(50, 41)).save(tmp_path / "scan.png")
    return tmp_path / "scan.png"


def test_a_picture_goes_there_and_back_exactly(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--lossless"]) == 0
    assert "lossless" in capsys.readouterr().out
    file = png.with_suffix(".semc")
    assert main(["info", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "50" in shown
    assert "lossless" in shown
    assert "quality" not in shown
    assert main(["decode", str(file), "-o", str(png.with_name("back.png"))]) == 0
    assert np.array_equal(np.asarray(Image.open(png.with_name("back.png"))), photo(50, 41))


def test_a_scale_reads_a_cut_file_too(png: Path) -> None:
    assert main(["encode", str(png), "--lossless", "--quiet"]) == 0
    file, small = png.with_suffix(".semc"), png.with_name("small.png")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    assert main(["decode", str(file), "--scale", "1/4", "-o", str(small), "--quiet"]) == 0
    assert np.array_equal(np.asarray(Image.open(small)), photo(50, 41)[::4, ::4])
    assert main(["decode", str(file), "-f", "-o", str(small), "--quiet"]) == 3


def test_bits_of_a_pixel_count_the_pixels_of_the_file(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--lossless", "--quiet"]) == 0
    found = []
    for scale in ("1", "1/2"):
        file, target = str(png.with_suffix(".semc")), str(png.with_name("b.png"))
        assert main(["decode", file, "-o", target, "-f", "--json", "--scale", scale]) == 0
        found.append(json.loads(capsys.readouterr().out)["bpp"])
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_json_names_the_error_and_the_quality_of_latents(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--near", "2", "--with-latents", "30", "--json"]) == 0
    row: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (row["near"], row["quality"]) == (2, 30)
    assert main(["info", str(png.with_suffix(".semc")), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["lossless"]
    assert (facts["bits"], facts["near"], facts["drawn"]) == (8, 2, False)


def test_16_bits_become_a_png_of_16_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels: Any = photo(20, 23).astype(np.uint16) * 251
    (tmp_path / "deep.png").write_bytes(deep_png(pixels))
    assert main(["encode", str(tmp_path / "deep.png"), "--lossless", "--quiet"]) == 0
    file = str(tmp_path / "deep.semc")
    assert main(["decode", file, "-o", str(tmp_path / "back.png"), "--quiet"]) == 0
    assert np.array_equal(exact_picture(tmp_path / "back.png").pixels, pixels)
    assert main(["decode", file, "-o", str(tmp_path / "back.jpg")]) == 1
    assert "16 bits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lossless", "--psnr", "40"], "--psnr would change"),
        (["--lossless", "-q", "30"], "--with-latents"),
        (["--with-latents"], "--lossless or --near"),
        (["--lossless", "auto", "--near", "1"], "auto decides"),
        (["--lossless", "lossy"], "'lossy' is not auto"),
        (["--lossless", "--near", "2"], "give one of the two"),
        (["--lossless", "--keep-box", "0,0,8,8"], "--keep-box would change"),
        (["--near", "2", "--keep-mask", "mask.png"], "--keep-mask would change"),
        (["--near", "2", "--effort", "1"], "--effort 1 is for lossy files"),
        (["--lossless", "auto", "--semantics", "--head", "street"], "leave one of them out"),
        (["--near", "9"], "8"),
    ],
)
def test_contradictions_are_wrong_usage(
    png: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["encode", str(png), *options])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_missing_file_of_weights_is_named(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--lossless", "--lossless-weights", "gone.safetensors"]) == 4
    assert "gone.safetensors" in capsys.readouterr().err


def test_weights_that_no_file_needs_are_checked_too(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--lossless-weights", "gone.safetensors"]) == 4
    assert "gone.safetensors" in capsys.readouterr().err and not png.with_suffix(".semc").exists()


def test_models_knows_the_networks_and_no_hub_takes_them(
    tmp_path: Path, embedded_lossless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(embedded_lossless.read_bytes())
    assert main(["models", "lossless", str(file), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    model = load_model(file)
    assert [row["name"] for row in rows] == ["lossless", "mine"]
    for row in rows:
        assert (row["kind"], row["lossless_id"]) == ("lossless", model.id.hex())
        assert 0 < 3 * row["kmac_per_px"] < row["parameters"] / 1000 < 4 * row["kmac_per_px"]
    assert main(["push", str(file), "org/mine", "--show-card"]) == 4
    assert "has lossless networks, which are not loaded from a hub" in capsys.readouterr().err


def test_exact_pixels_are_not_synthesised(png: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(png), "--lossless"]) == 0
    for wrong in (["--relabel", "a=b"], ["--generator", "photos"]):
        assert main(["decode", str(png.with_suffix(".semc")), "-o", str(png.with_name("b.png")), *wrong]) == 1
        assert f"decode it without {wrong[0][2:]}" in capsys.readouterr().err


def test_pillow_opens_and_saves_exact_pixels(png: Path) -> None:
    import semcomp.pillow  # noqa: F401

    buffer = io.BytesIO()
    Image.open(png).save(buffer, "SEMC", lossless=True)
    assert np.array_equal(np.asarray(Image.open(buffer)), photo(50, 41))
    deep = Image.fromarray(photo(12, 13)[..., 0].astype(np.uint16) * 255)
    other = io.BytesIO()
    deep.save(other, "SEMC", lossless=True)
    assert Image.open(other).mode == "I;16"
    assert np.array_equal(np.asarray(Image.open(other)), np.asarray(deep))


@pytest.mark.parametrize("verb", ["classify", "segment", "map classify", "map segment"])
def test_no_command_takes_a_file_without_latents_for_missing_weights(png: Path, verb: str, tmp_path: Path) -> None:
    assert main(["encode", str(png), "--lossless", "--quiet"]) == 0
    more = ["-o", str(tmp_path / "out")] if verb != "classify" else []
    head = "street" if "segment" in verb else "imagenette"
    assert main([*verb.split(), str(png.with_suffix(".semc")), "--head", head, *more, "--quiet"]) == 1


def test_an_overlay_of_exact_pixels_of_16_bits_shows_the_picture(tmp_path: Path) -> None:
    pixels: Any = np.full((48, 64, 3), 40_000, np.uint16)
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / "map.png")
    (tmp_path / "classes.txt").write_text("wall\n")
    (tmp_path / "a.png").write_bytes(deep_png(pixels))
    stored = ["--label-map", str(tmp_path / "map.png"), "--classes", str(tmp_path / "classes.txt")]
    assert main(["encode", str(tmp_path / "a.png"), "--lossless", *stored, "--quiet"]) == 0
    assert main(["segment", str(tmp_path / "a.semc"), "--overlay", "--quiet"]) == 0
    with Image.open(tmp_path / "a.overlay.png") as overlay:
        assert overlay.width == 64


def test_exact_pixels_of_16_bits_are_not_synthesised_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(deep_png(np.zeros((8, 9, 3), np.uint16)))
    assert main(["encode", str(tmp_path / "a.png"), "--lossless", "--quiet"]) == 0
    assert main(["decode", str(tmp_path / "a.semc"), "-o", str(tmp_path / "b.png"), "--generator", "photos"]) == 1
    assert "decode it without generator" in capsys.readouterr().err


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_waits_are_told_on_a_terminal_alone(
    terminal: bool, quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with messages_shown(Namespace(quiet=quiet, command="encode")):
        logging.getLogger("semcomp.lossless").info("compiling")
    logging.getLogger("semcomp.lossless").info("after the command")
    assert capsys.readouterr().err == ("semcomp encode: compiling\n" if terminal and not quiet else "")
