"""The command line: files in and out, targets, JSON, exit codes."""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.bitstream.container import MAGIC
from semcomp.cli.argument_types import size_in_bytes
from semcomp.cli.main import main
from semcomp.codec.codec import Codec

ENCODE_KEYS = {
    "command",
    "input",
    "output",
    "ok",
    "kept",
    "width",
    "height",
    "input_bytes",
    "bytes",
    "bpp",
    "ratio",
    "quality",
    "psnr_db",
    "semantics_bytes",
    "found_share",
    "near",
    "seconds",
    "warnings",
    "error",
    "message",
}
INFO_KEYS = {
    "command",
    "input",
    "ok",
    "width",
    "height",
    "mode",
    "quality",
    "bytes",
    "bpp",
    "format_version",
    "flags",
    "entropy_id",
    "model_id",
    "chunks",
    "embedding",
    "has_alpha",
    "has_icc",
    "has_exif",
    "has_xmp",
    "color_space",
    "labels",
    "labels_source",
    "labels_are_areas",
    "label_map",
    "synthesised",
    "preview",
    "lossless",
    "lost",
    "error",
    "message",
}


@pytest.fixture
def folder(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: photos/a.png, photos/deep/b.jpg, photos/notes.txt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "photos" / "a.png")
    Image.fromarray(photo).save(tmp_path / "photos" / "deep" / "b.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> io.BytesIO:
    """Give the command `data` on stdin, and catch what it writes to stdout as bytes."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    return out.buffer


class TestEncode:
    def test_one_file_needs_no_option(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["encode", "photos/a.png"]) == 0
        out, err = capsys.readouterr()
        data = (folder / "photos/a.semc").read_bytes()
        size = (folder / "photos/a.png").stat().st_size
        line, bpp = out.strip(), 8 * len(data) / 131 / 90
        figures = f"{len(data):,} B  {bpp:.2f} bpp  {size / len(data):.1f}x  "
        assert line.startswith(f"photos/a.png -> photos/a.semc  {figures}")
        assert line.endswith(" s") and "\n" not in line and err == ""
        assert semcomp.info(data).quality == 50

    def test_output_file_and_quality(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "photos/a.png", "-q", "7", "-o", "new/name.semc"]) == 0
        assert semcomp.info(folder / "new/name.semc").quality == 7

    def test_a_folder_is_mirrored(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "photos", "-o", "out"]) == 0
        assert tree(folder / "out") == {"a.semc", "deep/b.semc"}

    def test_a_glob_is_mirrored_from_its_fixed_part(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "photos/**/*.jpg", "-o", "out"]) == 0
        assert tree(folder / "out") == {"deep/b.semc"}
        assert main(["encode", "photos/**", "-o", "all"]) == 0
        assert tree(folder / "all") == {"a.semc", "deep/b.semc"}

    def test_files_go_into_an_existing_folder(self, folder: Path, stand_in: Any) -> None:
        (folder / "out").mkdir()
        assert main(["encode", "photos/deep/b.jpg", "-o", "out"]) == 0
        assert main(["encode", "photos/deep/b.jpg", "photos/a.png", "-o", "two"]) == 0
        assert tree(folder / "out") == {"b.semc"} and tree(folder / "two") == {"a.semc", "b.semc"}

    def test_without_output_the_files_stand_beside_their_sources(self, folder: Path, stand_in: Any) -> None:
        assert main(["encode", "photos"]) == 0
        assert {"photos/a.semc", "photos/deep/b.semc"} <= tree(folder)

    def test_nothing_is_overwritten_without_force(
        self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        target = folder / "photos/a.semc"
        target.write_bytes(b"precious")
        assert main(["encode", "photos/a.png"]) == 1
        assert target.read_bytes() == b"precious"
        assert "photos/a.semc exists: pass --force" in capsys.readouterr().err
        assert main(["encode", "photos/a.png", "--force"]) == 0
        assert target.read_bytes().startswith(MAGIC)

    def test_a_failure_stops_nothing_and_leaves_nothing(
        self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "photos/broken.png").write_bytes((folder / "photos/a.png").read_bytes()[:500])
        assert main(["encode", "photos", "missing.png", "-o", "out"]) == 1
        assert tree(folder / "out") == {"a.semc", "deep/b.semc"}
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 2
        lines = err.splitlines()
        assert lines[0] == "semcomp encode: 2 of 4 failed:"
        assert any("photos/broken.png: the image is truncated" in line for line in lines)
        assert "  missing.png: no such file or folder" in lines

    def test_two_sources_of_one_target(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "photos/a.bmp").write_bytes(b"")
        assert main(["encode", "photos", "-o", "out", "--json"]) == 1
        out, err = capsys.readouterr()
        assert "photos/a.png: out/a.semc is the target of photos/a.bmp too: run it alone, with another -o" in err
        assert next(record for record in records(out) if not record["ok"])["error"] == "FileExistsError"

    def test_a_crash_while_writing_leaves_no_half_file(
        self, folder: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        before = tree(folder)
        assert main(["encode", "photos/a.png"]) == 1
        assert tree(folder) == before

    def test_targets(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["encode", "photos/a.png", "--max-bytes", "3k", "-o", "x.semc", "--json"]) == 0
        record = records(capsys.readouterr().out)[0]
        assert record["bytes"] <= 3000 and record["quality"] == semcomp.info(folder / "x.semc").quality
        assert main(["encode", "photos/a.png", "--bpp", "2", "-o", "y.semc"]) == 0
        assert semcomp.info(folder / "y.semc").bpp <= 2
        assert "quality" in capsys.readouterr().out
        assert main(["encode", "photos/a.png", "--psnr", "30", "-o", "z.semc", "--json"]) == 0
        assert records(capsys.readouterr().out)[0]["psnr_db"] == 30.0
        assert main(["encode", "photos/a.png", "--max-bytes", "10", "-o", "w.semc"]) == 1
        assert "allow more" in capsys.readouterr().err

    def test_metadata_is_kept_unless_stripped(self, folder: Path, stand_in: Any, photo: NDArray[np.uint8]) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        Image.fromarray(photo).save("e.png", exif=exif, icc_profile=b"profile")
        assert main(["encode", "e.png"]) == 0
        kept = semcomp.info("e.semc")
        assert kept.has_exif and kept.has_icc
        assert main(["encode", "e.png", "--strip", "-f"]) == 0
        stripped = semcomp.info("e.semc")
        assert not stripped.has_exif and not stripped.has_icc

    def test_16_bit_needs_convert(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        Image.fromarray(np.full((8, 8), 40000, np.uint16)).save("deep.png")
        assert main(["encode", "deep.png"]) == 1
        assert "--convert" in capsys.readouterr().err
        assert main(["encode", "deep.png", "--convert"]) == 0

    def test_json_has_stable_keys_for_success_and_failure(
        self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["encode", "photos", "missing.png", "-o", "out", "--json"]) == 1
        found = records(capsys.readouterr().out)
        assert [record["ok"] for record in found] == [False, True, True]
        assert all(set(record) == ENCODE_KEYS for record in found)
        assert found[0]["output"] is None and found[0]["message"] == "no such file or folder"
        assert found[1]["error"] is None and found[1]["input"] == "photos/a.png" and found[1]["width"] == 131

    def test_quiet_and_verbose(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["encode", "photos/a.png", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
        assert main(["encode", "photos/a.png", "missing.png", "--quiet"]) == 1
        assert "missing.png" in capsys.readouterr().err
        assert main(["encode", "photos/a.png", "-v"]) == 1
        assert "Traceback" in capsys.readouterr().err

    def test_streams(
        self, folder: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = pipe(monkeypatch, (folder / "photos/a.png").read_bytes())
        assert main(["encode", "-"]) == 0
        data = out.getvalue()
        assert semcomp.info(data).width == 131
        assert "(stream) -> (stream)" in capsys.readouterr().err
        pipe(monkeypatch, (folder / "photos/a.png").read_bytes())
        assert main(["encode", "-", "-o", "from_stdin.semc"]) == 0
        assert (folder / "from_stdin.semc").read_bytes() == data

    def test_a_bug_is_a_failure_of_one_file(
        self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*args: Any, **options: Any) -> bytes:
            raise RuntimeError("boom")

        stand_in.encode = broken
        assert main(["encode", "photos"]) == 1
        assert "internal error, please report it: RuntimeError('boom')" in capsys.readouterr().err

    def test_interrupt(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        def interrupted(*args: Any, **options: Any) -> bytes:
            raise KeyboardInterrupt

        stand_in.encode = interrupted
        assert main(["encode", "photos"]) == 130
        assert "interrupted" in capsys.readouterr().err


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["encode"],
            ["encode", "a.png", "-q", "0"],
            ["encode", "a.png", "-q", "101"],
            ["encode", "a.png", "-q", "x"],
            ["encode", "a.png", "-q", "5", "--bpp", "1"],
            ["encode", "a.png", "--bpp", "-1"],
            ["encode", "a.png", "--max-bytes", "lots"],
            ["encode", "a.png", "--max-bytes", "nan"],
            ["encode", "a.png", "--max-bytes", "1e99"],
            ["encode", "a.png", "-q", "9" * 9999],
            ["encode", "a.png", "--keep-box", "0,0,00,4"],
            ["encode", "a.png", "-j", "-2"],
            ["index", "photos", "-o", "photos.index", "--threads", "-3"],
            ["eval", "photos", "--limit", "-3"],
            ["eval", "photos", "--min-psnr", "nan"],
            ["unknown"],
        ],
    )
    def test_argparse_refuses(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: semcomp" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "arguments",
        [
            ["encode", "photos", "-o", "-"],
            ["encode", "photos", "-o", "photos/a.png"],
            ["encode", "-", "photos/a.png", "-o", "out"],
            ["encode", "-", "-o", "photos"],
            ["decode", "photos/a.png", "-o", "a.xyz"],
            ["decode", "photos/a.png", "--format", "xyz"],
            ["encode", "photos/a.png", "--grid", "8"],
            ["eval", "photos/a.png", "--head", "street"],
            ["eval", "photos", "--task", "classify", "--csv"],
            ["export", "onnx", "-o", "edge", "--restorer", "r.safetensors", "--int8-parts", "mean"],
            ["search", "photos.index", "--duplicates", "--top", "3"],
            [],
        ],
    )
    def test_what_makes_no_sense_is_usage(
        self, folder: Path, stand_in: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = tree(folder)
        assert main(arguments) == 2
        assert capsys.readouterr().err and tree(folder) == before

    def test_no_binary_data_on_a_terminal(
        self, folder: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        assert main(["encode", "photos/a.png", "-o", "-"]) == 2
        assert "redirect stdout" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "size"),
        [("20k", 20000), ("20K", 20000), ("20kB", 20000), ("20Ki", 20480), ("1.5M", 1_500_000), ("99", 99)],
    )
    def test_sizes(self, text: str, size: int) -> None:
        assert size_in_bytes(text) == size

    def test_help_has_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        for command in ([], ["encode"], ["decode"]):
            with pytest.raises(SystemExit) as caught:
                main([*command, "--help"])
            assert caught.value.code == 0
            assert "examples:" in capsys.readouterr().out
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"semcomp {semcomp.__version__}\n"


class TestDecode:
    @pytest.fixture
    def semc(self, folder: Path, stand_in: Any, photo: NDArray[np.uint8]) -> Path:
        (folder / "in/deep").mkdir(parents=True)
        data = stand_in.encode(photo, quality=90)
        (folder / "in/a.semc").write_bytes(data)
        (folder / "in/deep/b.semc").write_bytes(data)
        return folder

    def test_png_by_default(self, semc: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["decode", "in/a.semc"]) == 0
        expected = np.asarray(stand_in.decode((semc / "in/a.semc").read_bytes()))
        np.testing.assert_array_equal(np.asarray(Image.open("in/a.png")), expected)
        assert capsys.readouterr().out.startswith("in/a.semc -> in/a.png  131x90  ")

    @pytest.mark.parametrize("name", ["png", "webp", "tiff", "bmp", "ppm", "jpg", "avif", "jpeg", "tif"])
    def test_formats(self, semc: Path, stand_in: Any, name: str) -> None:
        assert main(["decode", "in/a.semc", "-o", f"x.{name}"]) == 0
        with Image.open(f"x.{name}") as image:
            decoded = np.asarray(image.convert("RGB")).astype(int)
        expected = np.asarray(stand_in.decode((semc / "in/a.semc").read_bytes()))
        assert np.abs(decoded - expected).max() <= (40 if name in ("jpg", "jpeg", "avif") else 0)

    def test_a_folder_is_mirrored(self, semc: Path) -> None:
        assert main(["decode", "in", "-o", "out", "--format", "webp"]) == 0
        assert tree(semc / "out") == {"a.webp", "deep/b.webp"}

    def test_streams(self, semc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out = pipe(monkeypatch, (semc / "in/a.semc").read_bytes())
        assert main(["decode", "-"]) == 0
        assert Image.open(io.BytesIO(out.getvalue())).format == "PNG"

    def test_metadata_and_alpha_come_back(
        self, semc: Path, stand_in: Any, photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
    ) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        image = Image.fromarray(np.dstack([photo, photo[:, :, 0]]))
        image.info.update(exif=exif.tobytes(), icc_profile=b"profile")
        Path("m.semc").write_bytes(stand_in.encode(image))
        for name in ("png", "webp", "tiff", "avif"):
            assert main(["decode", "m.semc", "-o", f"m.{name}"]) == 0
            with Image.open(f"m.{name}") as decoded:
                assert decoded.mode == "RGBA" and decoded.getexif()[0x010F] == "Maker"
                assert decoded.info["icc_profile"] == b"profile"
        capsys.readouterr()
        assert main(["decode", "m.semc", "-o", "m.jpg"]) == 1
        assert "the picture is transparent and jpg cannot be: choose --format png" in capsys.readouterr().err

    def test_all_of_exif_comes_back_from_tiff(self, semc: Path, stand_in: Any, photo: NDArray[np.uint8]) -> None:
        exif = Image.Exif()
        exif[0x013B] = "J\u00f6rg".encode()
        exif[0x8769] = {0x9003: "2026:01:02 03:04:05", 0xA001: 0xFFFF, 0xA005: {1: "R03"}}
        exif[0x8825] = {1: "N", 2: (52.0, 30.0, 1.5)}
        image = Image.fromarray(photo)
        image.info.update(exif=exif.tobytes(), xmp=b"<x/>")
        Path("m.semc").write_bytes(stand_in.encode(image))
        assert main(["decode", "m.semc", "-o", "m.tiff"]) == 0
        with Image.open("m.tiff") as decoded:
            tags = decoded.getexif()
            assert tags[0x013B].encode("latin-1").decode() == "J\u00f6rg" and decoded.info["xmp"] == b"<x/>"
            assert tags.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05" and tags.get_ifd(0x8825)[2] == (52, 30, 1.5)
            assert tags.get_ifd(0xA005)[1] == "R03"

    def test_a_format_without_metadata_warns(
        self, semc: Path, stand_in: Any, photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
    ) -> None:
        image = Image.fromarray(photo)
        image.info["icc_profile"] = b"profile"
        Path("m.semc").write_bytes(stand_in.encode(image))
        assert main(["decode", "m.semc", "-o", "m.bmp"]) == 0
        assert "warning: bmp holds no ICC profile: left out" in capsys.readouterr().err

    def test_exit_codes(self, semc: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        data = (semc / "in/a.semc").read_bytes()
        (semc / "cut.semc").write_bytes(data[: len(data) // 2])
        assert main(["decode", "cut.semc"]) == 3
        assert main(["decode", "cut.semc", "in/a.semc", "-o", "out"]) == 3
        assert main(["decode", "cut.semc", "missing.semc", "-o", "out"]) == 1
        assert tree(semc / "out") == {"a.png"} and not Path("cut.png").exists()

        def foreign(data: bytes) -> Any:
            raise semcomp.ModelError("the file needs the tables 00, these weights have 11: install them")

        stand_in.decode = foreign
        assert main(["decode", "in/a.semc"]) == 4
        assert "semcomp decode: in/a.semc: the file needs the tables 00" in capsys.readouterr().err


class TestInfo:
    @pytest.fixture
    def semc(self, folder: Path, stand_in: Any, photo: NDArray[np.uint8]) -> Path:
        image = Image.fromarray(photo).convert("LA")
        image.info["icc_profile"] = b"profile"
        (folder / "a.semc").write_bytes(stand_in.encode(image, quality=33))
        return folder

    def test_for_a_person(self, semc: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["info", "a.semc", "-v"]) == 0
        out = capsys.readouterr().out
        assert "a.semc: 131x90 L, quality 33" in out and "alpha, ICC" in out and b"MODEL-ID".hex() in out

    def test_json(self, semc: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["info", "a.semc", "--json"]) == 0
        record = records(capsys.readouterr().out)[0]
        assert set(record) == INFO_KEYS
        assert record["bytes"] == Path("a.semc").stat().st_size
        assert [chunk["kind"] for chunk in record["chunks"]] == ["SYMBOLS", "ALPHA", "ICC"]
        assert record["bpp"] == pytest.approx(8 * record["bytes"] / 131 / 90)
        assert record["has_alpha"] and record["has_icc"] and not record["has_exif"]

    def test_a_damaged_optional_chunk_is_listed(self, semc: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = bytearray(Path("a.semc").read_bytes())
        data[-2] ^= 255
        Path("a.semc").write_bytes(data)
        assert main(["info", "a.semc"]) == 0
        assert "lost      ICC: its checksum is wrong" in capsys.readouterr().out

    def test_exit_codes(self, semc: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("cut.semc").write_bytes(Path("a.semc").read_bytes()[:30])
        assert main(["info", "cut.semc"]) == 3
        assert main(["info", "missing.semc"]) == 1
        assert main(["info", "cut.semc", "missing.semc", "a.semc", "--json"]) == 1
        assert [record["ok"] for record in records(capsys.readouterr().out)] == [False, False, True]

    def test_from_stdin(self, semc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out = pipe(monkeypatch, Path("a.semc").read_bytes())
        assert main(["info", "-", "--json"]) == 0
        assert json.loads(out.getvalue())["width"] == 131


class TestOthers:
    def test_compare(self, folder: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "photos/a.png", "-q", "60"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("photos/a.png -> photos/a.compare.html") and "JPEG" in out and "AVIF" in out
        assert "<title>a.png" in (folder / "photos/a.compare.html").read_text()
        assert main(["compare", "photos/a.png"]) == 1
        assert "exists: pass --force" in capsys.readouterr().err
        assert main(["compare", "photos/a.png", "-o", "p.html", "--bpp", "2", "--json"]) == 0
        record = records(capsys.readouterr().out)[0]
        assert record["codecs"][0]["name"] == "semcomp" and record["ok"]

    def test_models(self, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "base"]) == 0
        assert "parameters" in capsys.readouterr().out
        assert main(["models", "base", "--json"]) == 0
        assert records(capsys.readouterr().out)[0]["parameters"] == 1234

    def test_doctor(self, stand_in: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        results = [("coder", True, "equal words"), ("threads", True, "equal symbols")]
        monkeypatch.setitem(sys.modules, "semcomp.codec.self_test", SimpleNamespace(self_test=lambda release: results))
        assert main(["doctor"]) == 0
        out = capsys.readouterr().out
        assert f"semcomp {semcomp.__version__}" in out and "all is well" in out and "equal symbols" in out
        results.append(("plain coder", False, "differs"))
        assert main(["doctor", "--json"]) == 1
        report = records(capsys.readouterr().out)[0]
        assert not report["ok"] and report["checks"][-1] == {"name": "plain coder", "ok": False, "detail": "differs"}


class TestWithTheRealCodec:
    """End to end, in processes of their own where that matters."""

    def test_there_and_back(self, folder: Path, codec: Codec, photo: NDArray[np.uint8]) -> None:
        assert main(["encode", "photos/a.png", "-q", "90"]) == 0
        assert main(["decode", "photos/a.semc", "-o", "back.png"]) == 0
        error = np.asarray(Image.open("back.png")).astype(float) - photo
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 25

    def test_processes_write_what_one_process_writes(self, folder: Path, codec: Codec) -> None:
        command = [
            sys.executable,
            "-m",
            "semcomp",
            "encode",
            "photos",
            "-o",
            "out",
            "-j",
            "2",
            "--json",
            "--threads",
            "2",
        ]
        (folder / "photos/broken.png").write_bytes(b"no image")
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 1 and "broken.png" in result.stderr
        found = records(result.stdout)
        assert [Path(record["input"]).name for record in found] == ["a.png", "broken.png", "b.jpg"]
        assert tree(folder / "out") == {"a.semc", "deep/b.semc"}
        assert main(["decode", "out", "-o", "back", "-j", "2"]) == 0
        assert tree(folder / "back") == {"a.png", "deep/b.png"}

    def test_targets_are_met(self, folder: Path, codec: Codec) -> None:
        assert main(["encode", "photos/a.png", "--max-bytes", "2k", "-o", "x.semc"]) == 0
        assert 1000 < Path("x.semc").stat().st_size <= 2000
        assert main(["encode", "photos/a.png", "--psnr", "28", "-o", "y.semc"]) == 0

    def test_doctor_finds_nothing_wrong(self, codec: Codec, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor"]) == 0
        assert "all is well" in capsys.readouterr().out

    def test_models_lists_base(self, codec: Codec, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "--json"]) == 0
        assert records(capsys.readouterr().out)[0]["name"] == "base"


def test_only_a_process_of_its_own_is_set_for_one_command() -> None:
    before = gc.get_threshold()
    assert main(["models"]) == 0
    assert gc.get_threshold() == before
    code = "import gc; from semcomp.cli.main import main; main(); print(gc.get_threshold()[0])"
    command = [sys.executable, "-c", code, "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(printed.split()[-1]) > before[0]
