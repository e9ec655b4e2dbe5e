"""Paths are looked at first: what is missing is told before torch is loaded, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from semcomp.cli.main import main

ROOT = Path(__file__).parents[2]
RUN = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
from semcomp.cli.main import main
said = []
for arguments in json.loads(sys.argv[2]):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    said.append([code, err.getvalue(), "torch" in sys.modules])
print(json.dumps(said))
"""
INPUTS = [
    ["encode", "no.png"],
    ["encode", "no.png", "--semantics", "--head", "street"],
    ["encode", "no.png", "--keep", "people", "--head", "street"],
    ["encode", "no.png", "--mode", "generative"],
    ["encode", "no.png", "--as", "jpeg", "--psnr", "33"],
    ["encode", "no.png", "--device", "cuda"],
    ["decode", "no.semc", "--model", "base"],
    ["classify", "no.png", "--head", "imagenette"],
    ["segment", "no.png", "--head", "street"],
    ["segment", "no.png", "--fresh"],
    ["restore", "no.jpg"],
    ["thumb", "no.jpg"],
    ["info", "no.semc"],
    ["map", "classify", "no", "-o", "rows", "--head", "imagenette"],
    ["index", "no", "-o", "photos.index"],
    ["compare", "no.png"],
    ["eval", "no"],
    ["eval", "no", "--task", "classify"],
    ["search", "no", "--like", "a.png"],
]
WEIGHTS = [
    ["encode", "a.png", "-o", "new.semc", "--model", "no.safetensors"],
    ["encode", "a.png", "-o", "new.semc", "--semantics", "--head", "no.safetensors"],
    ["encode", "a.png", "-o", "new.jpg", "--as", "jpeg", "--psnr", "33", "--weights", "no.safetensors"],
    ["restore", "a.jpg", "-o", "new.png", "--weights", "no.safetensors"],
    ["classify", "a.png", "--head", "no.safetensors"],
    ["classify", "a.png", "--head", "imagenette", "--model", "no"],
    ["segment", "a.png", "--head", "street", "--lossless-weights", "no", "-o", "new.png"],
    ["index", ".", "-o", "new.index", "--head", "no"],
    ["index", ".", "-o", "new.index", "--embedder", "no.safetensors"],
    ["map", "segment", "a.png", "-o", "new", "--head", "no"],
    ["map", "encode", "a.png", "-o", "new", "--files", "new", "--graphs", "no"],
    ["models", "no", "no.safetensors"],
    ["push", "no.safetensors", "org/name"],
    ["export", "onnx", "-o", "new", "--model", "no.safetensors"],
    ["export", "onnx", "-o", "new", "--heads", "street,no.safetensors"],
    ["export", "onnx", "-o", "new", "--generators", "no"],
    ["export", "onnx", "-o", "new", "--int8", "--calibration", "no"],
    ["export", "onnx", "-o", "new", "--lossless-weights", "no"],
    ["export", "onnx", "-o", "new", "--restorer", "no.safetensors"],
]
TARGETS = [
    ["encode", "a.png"],
    ["encode", "a.png", "--as", "jpeg", "--psnr", "33"],
    ["decode", "cut.semc", "--format", "png"],
    ["segment", "a.png", "--head", "street"],
    ["restore", "a.jpg", "--format", "png"],
    ["compare", "a.png"],
    ["index", "."],
    ["map", "info", "cut.semc"],
    ["eval", "a.png"],
    ["export", "onnx"],
]
FILES = [
    ["encode", "text.png", "-o", "new"],
    ["encode", "deep.png", "-o", "new"],
    ["encode", "text.png", "--as", "jpeg", "--psnr", "33", "-o", "new"],
    ["decode", "cut.semc", "-o", "new.png"],
    ["decode", "text.png", "-o", "new.png"],
    ["classify", "text.png", "--head", "imagenette"],
    ["classify", "cut.semc", "--head", "imagenette"],
    ["segment", "empty", "--head", "street", "-o", "new"],
    ["restore", "text.png", "-o", "new.png"],
    ["compare", "text.png", "-o", "new.html"],
    ["models", "text.png"],
    ["push", "text.png", "org/name"],
]
"""A file that is something else than its name or the command says, as the first argument."""
NOBODY = [["classify", "a.png", "--head", "nobody"], ["segment", "a.png", "--head", "nobody"]]


def ran(commands: list[list[str]], folder: Path) -> list[tuple[list[str], int, str]]:
    """Run commands in one process, and check that each fails in one line, without torch and without a new file."""
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (40, 30)).save(folder / name)
    Image.new("I;16", (40, 30)).save(folder / "deep.png")
    (folder / "text.png").write_text("no picture")
    (folder / "empty").write_bytes(b"")
    (folder / "cut.semc").write_bytes((ROOT / "tests" / "golden" / "ramp.semc").read_bytes()[:60])
    before = sorted(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT), json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    told = []
    for command, (code, err, loaded) in zip(commands, json.loads(done.stdout), strict=True):
        assert code != 0 and not loaded, command
        assert err.startswith(f"semcomp {command[0]}: ") and "internal error" not in err, (command, err)
        told.append((command, code, err))
    assert sorted(folder.iterdir()) == before
    return told


def test_what_is_missing_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    for command, _, err in ran([*INPUTS, *WEIGHTS], tmp_path):
        missing = [name for word in command for name in word.split(",") if name.startswith("no")]
        assert all(name in err for name in missing) and err.count("\n") == len(missing), (command, err)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_so_is_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    for command, code, err in ran([[*command, "-o", "/proc/new"] for command in TARGETS], tmp_path):
        assert (code, "/proc/new" in err) == (1, True), (command, err)
        assert err.endswith(" cannot be written: nobody can make a file there; choose another -o\n"), err


def test_so_is_a_file_that_is_something_else(tmp_path: Path) -> None:
    for command, code, err in ran(FILES, tmp_path):
        assert code in (1, 3, 4) and command[1] in err and err.count("\n") == 1, (command, err)


def test_so_are_the_heads_that_there_are(tmp_path: Path) -> None:
    for command, _, err in ran(NOBODY, tmp_path):
        known = "one of: imagenette, objects, street, things"
        assert err == f"semcomp {command[0]}: no head called nobody; give the path of a head file, or {known}\n"


def test_an_input_that_is_missing_beside_others_fails_alone(tmp_path: Path, stand_in: object) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert main(["encode", str(tmp_path / "a.png"), str(tmp_path / "no.png"), "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "a.semc").exists()
