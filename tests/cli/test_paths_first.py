"""Paths are looked at first: what is missing is told before torch is loaded, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from semcomp.cli.main import main

RUN = """
import contextlib, io, json, sys
from semcomp.cli.main import main
said = []
for arguments in json.loads(sys.argv[1]):
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
]
WEIGHTS = [
    ["encode", "a.png", "-o", "new.semc", "--model", "no.safetensors"],
    ["encode", "a.png", "-o", "new.semc", "--semantics", "--head", "no.safetensors"],
    ["encode", "a.png", "-o", "new.jpg", "--as", "jpeg", "--psnr", "33", "--weights", "no.safetensors"],
    ["restore", "a.jpg", "-o", "new.png", "--weights", "no.safetensors"],
    ["classify", "a.png", "--head", "no.safetensors"],
    ["push", "no.safetensors", "org/name"],
    ["export", "onnx", "-o", "new", "--model", "no.safetensors"],
    ["export", "onnx", "-o", "new", "--heads", "no.safetensors"],
    ["export", "onnx", "-o", "new", "--restorer", "no.safetensors"],
]


def test_what_is_missing_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    commands = [*INPUTS, *WEIGHTS]
    ran = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for command, (code, err, loaded) in zip(commands, json.loads(ran.stdout), strict=True):
        missing = next(word for word in command if word.startswith("no"))
        assert code != 0 and missing in err and err.count("\n") == 1, (command, err)
        assert not loaded, command
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png"]


def test_an_input_that_is_missing_beside_others_fails_alone(tmp_path: Path, stand_in: object) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert main(["encode", str(tmp_path / "a.png"), str(tmp_path / "no.png"), "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "a.semc").exists()
