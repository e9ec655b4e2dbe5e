"""The vectors hold for the decoder that wrote them, and the checker notices every kind of mistake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semcomp.bitstream.container import read
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError
from tools import conformance
from tools.vectors import golden_pictures, other_containers, refused_files, write_vector

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("grey", "pixel", "alpha")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A folder of vectors, made of golden files, with one file that has to be refused."""
    folder = tmp_path / "vectors"
    folder.mkdir()
    entries = []
    for name in NAMES:
        for suffix in (".semc", ".npz", ".png"):
            shutil.copy(GOLDEN / f"{name}{suffix}", folder)
        with np.load(folder / f"{name}.npz") as symbols:
            shapes = {key: list(symbols[key].shape) for key in ("z", "y")}
        entries.append({"name": name, **shapes, "largest_difference": 2, "mean_difference": 0.05})
    manifest = {"format": conformance.FORMAT, "vectors": entries, "refused": [{"name": "refuse_body"}]}
    (folder / conformance.MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def theirs(vectors: Path, tmp_path: Path) -> Path:
    """The output of a decoder that makes no mistake: raw integers of one vector, an archive of the others."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(vectors / f"{name}.png", folder)
    for name in NAMES[1:]:
        shutil.copy(vectors / f"{name}.npz", folder)
    with np.load(vectors / "grey.npz") as symbols:
        for key in ("z", "y"):
            symbols[key].astype("<i2").tofile(folder / f"grey.{key}.i16")
    return folder


def test_a_right_decoder_passes(vectors: Path, theirs: Path, capsys: Any) -> None:
    assert conformance.main([str(vectors), str(theirs)]) == 0
    out = capsys.readouterr().out
    assert "symbols: 3 of 3" in out and "pixels: 3 of 3" in out and "FAILED" not in out


def _change_symbol(folder: Path) -> None:
    values = np.fromfile(folder / "grey.y.i16", dtype="<i2")
    values[-1] += 1
    values.tofile(folder / "grey.y.i16")


def _cut_symbols(folder: Path) -> None:
    np.fromfile(folder / "grey.z.i16", dtype="<i2")[:-1].tofile(folder / "grey.z.i16")


def _change_pixel(folder: Path) -> None:
    with Image.open(folder / "grey.png") as image:
        pixels = np.array(image)
    pixels[0, 0] ^= 4
    Image.fromarray(pixels).save(folder / "grey.png")


def _change_mode(folder: Path) -> None:
    with Image.open(folder / "grey.png") as image:
        image.convert("RGB").save(folder / "grey.png")


def _change_size(folder: Path) -> None:
    with Image.open(folder / "grey.png") as image:
        image.crop((0, 0, 10, 10)).save(folder / "grey.png")


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (_change_symbol, "1 of"),
        (_cut_symbols, "z has the shape"),
        (lambda folder: (folder / "grey.y.i16").unlink(), "y is missing"),
        (_change_pixel, "pixels differ by up to 4"),
        (_change_mode, "has the mode RGB, not L"),
        (_change_size, "pixels, not"),
        (lambda folder: (folder / "refuse_body.ppm").write_bytes(b""), "has to be refused"),
    ],
)
def test_every_mistake_is_noticed(
    vectors: Path, theirs: Path, mistake: Callable[[Path], None], said: str, capsys: Any
) -> None:
    mistake(theirs)
    assert conformance.main([str(vectors), str(theirs)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1 and said in failed[0]


def test_an_empty_folder_does_not_pass(vectors: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "nothing").mkdir()
    assert conformance.main([str(vectors), str(tmp_path / "nothing")]) == 1
    assert "no output for any vector" in capsys.readouterr().err


def test_the_library_decodes_other_containers_alike(codec: Codec, tmp_path: Path) -> None:
    data = (GOLDEN / "pixel.semc").read_bytes()
    for name, file in other_containers(data).items():
        assert file != data
        assert codec.read_symbols(file).y.tobytes() == codec.read_symbols(data).y.tobytes(), name
    assert read(other_containers(data)["damaged_optional_chunk"]).lost


def test_the_library_refuses_what_has_to_be_refused(codec: Codec) -> None:
    for name, (file, _) in refused_files((GOLDEN / "grey.semc").read_bytes()).items():
        with pytest.raises(FormatError):
            codec.read_symbols(file)
            pytest.fail(f"{name} decodes")


def test_golden_files_are_vectors(codec: Codec, tmp_path: Path) -> None:
    assert golden_pictures().keys() == {file.stem for file in GOLDEN.glob("*.semc")}
    entry = write_vector(tmp_path, "pixel", (GOLDEN / "pixel.semc").read_bytes(), codec)
    assert (entry["width"], entry["height"], entry["mode"], entry["quality"]) == (1, 1, "RGB", 80)
    with np.load(tmp_path / "pixel.npz") as made, np.load(GOLDEN / "pixel.npz") as golden:
        assert all(np.array_equal(made[key], golden[key]) for key in ("z", "y"))
