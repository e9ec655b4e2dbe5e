"""Errors of semcomp, Pillow, torch and the system become sentences that blame the right file."""

from __future__ import annotations

import ast
import errno
import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp
from semcomp.cli.failures import FLAGS, Fault, check_readable, concerning, explain, in_flags
from semcomp.cli.main import main
from semcomp.cli.output_formats import FORMATS, image_bytes
from semcomp.cli.parser import COMMANDS
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError, ImageError, MissingExtraError, ModelError, SemcompWarning

SOURCES = Path(semcomp.__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), (90, 120, 30)).save("a.png")
    Image.fromarray(np.zeros((30, 40), np.uint8)).save("m.png")
    return tmp_path


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FormatError("the file is cut"), 3, "the file is cut"),
        (ModelError("no weights"), 4, "no weights"),
        (ImageError("16 bits: pass convert=True to scale"), 1, "16 bits: pass --convert to scale"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "No such file or directory"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (MissingExtraError("Plots", "eval"), 1, "pip install 'semcomp[eval]'"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "the package torch is not installed: pip"),
        (ModuleNotFoundError("No module named 'PIL.Image'", name="PIL.Image"), 1, "the package pillow is not"),
        (ImportError("libgomp.so.1: cannot open"), 1, "a package is damaged (libgomp.so.1: cannot open)"),
        (MemoryError(), 1, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "not enough memory"),
        (RuntimeError("CUDA error: no kernel image is available\nmore"), 1, "the device failed (CUDA error: no kernel"),
        (RuntimeError("boom"), 1, "internal error, please report it: RuntimeError('boom')"),
    ],
)
def test_every_kind_of_error(error: Exception, code: int, said: str) -> None:
    failure = explain(error)
    assert failure.exit_code == code and said in failure.message
    assert ("internal error" in failure.message) == (str(error) == "boom")


def test_another_file_is_blamed() -> None:
    with (
        pytest.raises(Fault, match=r"^the mask m\.png cannot be read: No such file or directory$") as caught,
        concerning("m.png", what="the mask"),
    ):
        Path("/missing/m.png").read_bytes()
    assert explain(caught.value).kind == "FileNotFoundError" and explain(caught.value).elsewhere
    with pytest.raises(Fault, match=r"^the mask m\.png: it is empty$"), concerning("m.png", what="the mask"):
        raise ImageError("it is empty")
    with pytest.raises(Fault, match=r"^m\.png holds class 9$"), concerning("m.png", what="the mask"):
        raise ImageError("m.png holds class 9")
    check_readable(None, what="nothing")


@pytest.mark.parametrize(
    ("number", "written", "said"),
    [
        (errno.EACCES, True, "x cannot be written: Permission denied; choose another -o"),
        (errno.ENOSPC, True, "x cannot be written: No space left on device; make room, or choose another -o"),
        (errno.EISDIR, False, "x cannot be read: Is a directory; give a file"),
        (errno.EACCES, False, "x cannot be read: Permission denied"),
    ],
)
def test_errors_of_the_system_say_what_to_do(number: int, written: bool, said: str) -> None:
    with pytest.raises(Fault) as caught, concerning("x", written=written):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("text.png", 1, "not an image, but text"), ("no.png", 1, "cannot be read: No such"), (".", 2, "give an image")],
)
def test_compare_names_what_it_cannot_read(folder: Path, capsys: Any, name: str, code: int, said: str) -> None:
    Path("text.png").write_text("no picture")
    assert main(["compare", name, "-o", "page.html"]) == code
    err = capsys.readouterr().err
    assert err.startswith(f"semcomp compare: {name}") and said in err


def test_only_the_action_of_desktop_is_required(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["desktop"])
    assert "required: action\n" in capsys.readouterr().err


class TestOptionsThatNameFiles:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--label-map", "missing.png"], "the label map missing.png cannot be read: No such file or directory"),
            (["--label-map", "."], "the label map . cannot be read: Is a directory"),
            (["--label-map", "m.png", "--classes", "no.txt"], "the list of classes no.txt cannot be read: No"),
            (["--keep-mask", "missing.png"], "the mask missing.png cannot be read: No such file or directory"),
        ],
    )
    def test_they_are_blamed_and_not_the_input(
        self, folder: Path, stand_in: Any, capsys: Any, arguments: list[str], said: str
    ) -> None:
        assert main(["encode", "a.png", *arguments]) == 1
        assert capsys.readouterr().err.startswith(f"semcomp encode: {said}")

    @pytest.mark.parametrize("options", [["--label-map"], ["--keep-mask"]])
    def test_a_file_that_is_not_a_picture(self, folder: Path, stand_in: Any, capsys: Any, options: list[str]) -> None:
        Path("text.png").write_text("no picture")
        assert main(["encode", "a.png", *options, "text.png"]) == 1
        err = capsys.readouterr().err
        assert "text.png" in err and "internal error" not in err

    @pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "foo", "xpu"])
    def test_a_device_that_is_not_there(self, folder: Path, capsys: Any, device: str) -> None:
        import torch

        if (device.startswith("cuda") and torch.cuda.is_available()) or (
            device == "mps" and torch.backends.mps.is_available()
        ):
            pytest.skip("this machine has an accelerator")
        assert main(["encode", "a.png", "m.png", "-o", "out", "--device", device]) == 4
        err = capsys.readouterr().err
        assert err == f"semcomp encode: the device {device!r} does not exist here: choose one of cpu\n"
        with pytest.raises(ModelError):
            semcomp.load(device=device)

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_missing_weights_are_one_error(self, folder: Path, capsys: Any, jobs: str) -> None:
        assert main(["encode", "a.png", "m.png", "-o", "out", "--model", "nothing", "-j", jobs]) == 4
        err = capsys.readouterr().err
        assert err.startswith("semcomp encode: no codec called nothing;") and err.count("\n") == 1


class TestFormats:
    @pytest.mark.parametrize(("name", "side"), [("webp", 16383), ("jpg", 65500), ("avif", 32768)])
    @pytest.mark.parametrize("upright", [True, False])
    def test_a_side_beyond_the_limit(self, name: str, side: int, upright: bool) -> None:
        size = (2, side + 1) if upright else (side + 1, 2)
        with pytest.raises(ImageError, match=f"{name} holds at most {side:,} pixels a side: choose the format png"):
            image_bytes(Image.new("RGB", size), name=name)
        if name != "avif":
            assert image_bytes(Image.new("RGB", (side, 1)), name=name)

    @pytest.mark.parametrize("name", ["png", "tiff", "bmp", "ppm"])
    def test_formats_without_such_a_limit(self, name: str) -> None:
        assert image_bytes(Image.new("RGB", (70000, 1)), name=name)

    @pytest.mark.parametrize(
        ("key", "length", "said"),
        [
            ("exif", 65534, "the EXIF has 65,534 bytes"),
            ("icc_profile", 16_707_346, "the ICC profile has 16,707,346 bytes"),
        ],
    )
    def test_metadata_beyond_the_limit_of_jpeg(self, key: str, length: int, said: str) -> None:
        image = Image.new("RGB", (8, 8))
        image.info[key] = b"Exif\0\0II*\0\x08\0\0\0".ljust(length, b"\0")
        with pytest.raises(ImageError, match=f"{said}, and jpg holds at most .*: choose the format"):
            image_bytes(image, name="jpg")

    @pytest.mark.parametrize("name", ["png", "webp", "tiff", "jpg", "avif"])
    def test_exif_that_is_damaged_anywhere(self, name: str) -> None:
        exif = Image.Exif()
        exif[0x10F], exif[0x112] = "Maker", 1
        exif[0x8769] = {0x9003: "2020:01:01 00:00:00", 0xA005: {1: "R98"}}
        for place in range(6, len(exif.tobytes())):
            image, damaged = Image.new("RGB", (8, 8)), bytearray(exif.tobytes())
            damaged[place] ^= 255
            image.info["exif"] = bytes(damaged)
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                with Image.open(io.BytesIO(image_bytes(image, name=name))) as written:
                    assert written.size == (8, 8)
            assert all("left out" in str(warning.message) for warning in heard if warning.category is SemcompWarning)
            if place == 6 and name in ("tiff", "avif"):
                assert any("the EXIF of the image is damaged" in str(warning.message) for warning in heard)

    @pytest.mark.parametrize("name", FORMATS)
    def test_an_encoder_that_fails_is_not_an_internal_error(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **options: Any) -> None:
            raise RuntimeError("Failed to encode image: Invalid argument")

        monkeypatch.setattr(Image.Image, "save", fail)
        with pytest.raises(ImageError, match=f"Pillow cannot write this picture as {name}"):
            image_bytes(Image.new("RGB", (8, 8)), name=name)


def test_decode_of_a_picture_says_what_it_is(folder: Path, stand_in: Any, capsys: Any) -> None:
    assert main(["decode", "a.png"]) == 3
    assert "a.png: this is not a .semc file" in capsys.readouterr().err
    assert main(["decode", "a.png", "-o", "b.png"]) == 3
    assert "not a .semc file" in capsys.readouterr().err


def test_without_torch_the_package_is_named(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from semcomp.cli.batch import get_codec

    get_codec.cache_clear()
    monkeypatch.setitem(sys.modules, "semcomp.codec.codec", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["encode", "a.png"]) == 1
    err = capsys.readouterr().err
    assert "is not installed: pip install" in err and "internal error" not in err


def test_python_words_become_options() -> None:
    told = in_flags('pass convert=True, or decode with the generator "faithful"')
    assert told == "pass --convert, or decode with --generator faithful"


def library() -> dict[str, str]:
    """Sources of everything below the command line."""
    paths = [path for path in SOURCES.rglob("*.py") if path.relative_to(SOURCES).parts[0] != "cli"]
    return {path.relative_to(SOURCES).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("python", [python for python, _ in FLAGS])
def test_the_library_says_every_phrase_of_the_table(python: str) -> None:
    assert any(python in source for source in library().values())


def test_errors_of_the_library_name_no_option_of_the_command_line() -> None:
    for name, source in library().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Raise):
                words = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                named = [word for word in words if isinstance(word, str) and re.search(r"(^|\s)--[a-z]", word)]
                allowed = [word for word in named if "semcomp export onnx" in word]  # a whole command
                assert named == allowed, f"{name}:{node.lineno}"


def test_weights_that_cannot_be_read_have_a_line_of_json(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    assert main(["models", str(tmp_path / "a.safetensors"), "--json"]) == 4
    row = json.loads(capsys.readouterr().out)
    assert (row["command"], row["ok"], row["error"]) == ("models", False, "ModelError") and row["message"]


class TestJsonWhereAWholeCommandFails:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_an_argument_that_is_refused(self, command: str, capsys: Any) -> None:
        with pytest.raises(SystemExit):
            main([command, "--json", "--no-such-option"])
        told = capsys.readouterr()
        row = json.loads(told.out)
        assert (row["command"], row["input"], row["ok"], row["error"]) == (command, None, False, "UsageError")
        assert row["exit_code"] == 2 and told.err.rstrip().endswith(row["message"])

    @pytest.mark.parametrize(
        ("arguments", "error", "code"),
        [
            (["encode", "a.png", "--grid", "8"], "UsageError", 2),
            (["encode", "a.png", "--model", "nothing"], "ModelError", 4),
            (["encode", "a.png", "-o", "out/", "--label-map", "missing.png"], "FileNotFoundError", 1),
            (["eval", "missing"], "FileNotFoundError", 1),
            (["search", "missing.index", "--label", "dog"], "MissingFileError", 1),
            (["index", "missing", "-o", "i.index"], "FileNotFoundError", 1),
            (["map", "encode", "a.png", "-o", "rows"], "UsageError", 2),
            (["compare", "missing.png"], "FileNotFoundError", 1),
            (["thumb"], "UsageError", 2),
        ],
    )
    def test_an_error_of_the_command(
        self, folder: Path, capsys: Any, arguments: list[str], error: str, code: int
    ) -> None:
        assert main([*arguments, "--json"]) == code
        told = capsys.readouterr()
        row = json.loads(told.out)
        assert (row["command"], row["input"], row["ok"], row["error"]) == (arguments[0], None, False, error)
        assert row["exit_code"] == code and told.err == f"semcomp {arguments[0]}: {row['message']}\n"
        assert main([*arguments, "--quiet"]) == code and not capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments", [["decode", "-"], ["encode", "a.png", "-o", "-"], ["restore", "a.jpg", "-o", "/dev/stdout"]]
    )
    def test_stdout_is_left_to_the_data(self, folder: Path, capsys: Any, arguments: list[str]) -> None:
        Image.new("RGB", (40, 30)).save("a.jpg")
        assert main([*arguments, "--json", "--device", "cuda:77"]) == 4
        told = capsys.readouterr()
        assert not told.out and json.loads(told.err.splitlines()[0])["error"] == "ModelError"
        with pytest.raises(SystemExit):
            main([*arguments, "--json", "--no-such-option"])
        told = capsys.readouterr()
        assert not told.out and json.loads(told.err.splitlines()[0])["error"] == "UsageError"


class TestNothingToRead:
    @pytest.mark.parametrize(
        ("arguments", "missing"),
        [
            (["encode"], "picture"),
            (["decode"], ".semc file"),
            (["classify", "--head", "imagenette"], "picture or .semc file"),
            (["segment"], "picture or .semc file"),
            (["info"], ".semc file"),
            (["thumb"], "picture or .semc file"),
            (["restore"], ".jpg, .jpeg, "),
            (["eval"], "picture"),
            (["map", "info", "-o", "rows"], ".semc, .tar file"),
            (["index", "-o", "photos.index"], "picture or .semc file"),
        ],
    )
    @pytest.mark.parametrize("place", ["empty", "empty.zip"])
    def test_every_command_fails_and_says_what_to_do(
        self, folder: Path, capsys: Any, arguments: list[str], missing: str, place: str
    ) -> None:
        if place == "empty":
            Path(place).mkdir()
            Path(place, "note.txt").write_text("not a picture")
        elif arguments[0] == "index":
            return  # takes a folder alone
        else:
            pytest.importorskip("fsspec")
            with zipfile.ZipFile(place, "w") as file:
                file.writestr("note.txt", "not a picture")
        before = sorted(folder.rglob("*"))
        assert main([*arguments, place, "--json"]) == 1
        told = capsys.readouterr()
        assert told.err.startswith(f"semcomp {arguments[0]}: {place}: no {missing}")
        assert told.err.endswith("found here: give another place, or name the files themselves\n")
        assert json.loads(told.out)["error"] == "FileNotFoundError" and sorted(folder.rglob("*")) == before

    def test_a_folder_that_cannot_be_read_is_a_failure_of_index_too(
        self, folder: Path, codec: Codec, lock: Callable[[str], None], capsys: Any
    ) -> None:
        Path("closed").mkdir()
        lock("closed")
        assert main(["index", ".", "-o", "photos.index", "--quiet", "--json"]) == 1
        failure, result = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        assert (failure["input"], failure["error"]) == ("closed", "PermissionError") and not failure["ok"]
        assert (result["photos"], result["failed"], result["ok"]) == (2, 1, False)
