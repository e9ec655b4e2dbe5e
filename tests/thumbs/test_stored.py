"""Thumbnails inside `.semc` files, in `semcomp info`, in Pillow, and on the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp.pillow  # noqa: F401
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.bitstream.inspect import info
from semcomp.cli.main import main
from semcomp.codec.codec import Codec
from semcomp.errors import TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import as_picture
from semcomp.thumbs.stored import preview_chunk
from semcomp.thumbs.text import to_text
from semcomp.thumbs.thumb import thumb, thumb_image

PHOTO = Path(__file__).parents[2] / "examples" / "photo.png"


@pytest.fixture(scope="module")
def stored(codec: Codec) -> bytes:
    """The sample photo with a thumbnail of 48 bytes."""
    with Image.open(PHOTO) as image:
        return codec.encode(image.resize((192, 128)), quality=20, preview=48)


def test_a_file_carries_its_thumbnail_first_and_decodes_alike(codec: Codec, stored: bytes) -> None:
    facts = info(stored)
    assert facts.chunks[0].kind == "PREVIEW" and facts.chunks[0].bytes == 48
    assert facts.preview is not None and facts.to_dict()["preview"] == facts.preview
    container = read(stored)
    bare = write(Container(container.header, tuple(c for c in container.chunks if c.kind != ChunkKind.PREVIEW)))
    assert info(bare).preview is None
    decoded = codec.decode(stored)
    assert decoded.tobytes() == codec.decode(bare).tobytes()
    shown = np.asarray(thumb_image(facts.preview, 32))
    assert shown.shape == (21, 32, 3)
    assert psnr_db(np.asarray(decoded.resize((32, 21))), shown) > 17


def test_a_size_limit_counts_the_thumbnail(codec: Codec) -> None:
    with Image.open(PHOTO) as image:
        small = image.resize((192, 128))
    made = codec.encode_to(small, max_bytes=1500, preview=200)
    assert len(made.data) <= 1500 and info(made.data).chunks[0].bytes == 200
    with pytest.raises(TargetError, match="1 to 4,096 bytes, not 5000"):
        codec.encode(small, preview=5000)


@pytest.mark.parametrize(("size", "fits"), [(0, False), (1, True), (4096, True), (4097, False)])
def test_the_sizes_of_a_thumbnail(size: int, fits: bool) -> None:
    picture = as_picture(np.zeros((8, 8, 3), np.uint8))
    if fits:
        assert preview_chunk(picture, size).kind == ChunkKind.PREVIEW
    else:
        with pytest.raises(TargetError, match=f"1 to 4,096 bytes, not {size}"):
            preview_chunk(picture, size)


def test_a_thumbnail_that_is_too_long_is_left_out(stored: bytes) -> None:
    container = read(stored)
    rest = tuple(chunk for chunk in container.chunks if chunk.kind != ChunkKind.PREVIEW)
    facts = info(write(Container(container.header, (Chunk(ChunkKind.PREVIEW, bytes(5000)), *rest))))
    assert facts.preview is None and "at most 4,096 fit" in facts.lost[0]


def test_pillow_thumbnails_do_not_decode(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.semc"
    path.write_bytes(stored)
    program = (
        "import sys, semcomp.pillow; from PIL import Image; image = Image.open(sys.argv[1]); "
        "image.thumbnail((30, 30)); print(image.size, image.mode, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(30, 20) RGB False"


def test_pillow_decodes_what_is_larger_than_the_draft(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.semc"
    path.write_bytes(stored)
    with Image.open(path) as image:
        image.thumbnail((96, 96))
        decoded = np.asarray(image)
    with Image.open(path) as image:
        small = image.resize((96, 64), Image.Resampling.BICUBIC)
    assert decoded.shape == (64, 96, 3) and psnr_db(np.asarray(small), decoded) > 30


def test_the_command_prints_a_text_that_it_shows_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thumb", str(PHOTO), "--bytes", "40"]) == 0
    text = capsys.readouterr().out.strip()
    target = tmp_path / "small.png"
    assert main(["thumb", "--show", text, "-o", str(target), "--size", "64"]) == 0
    with Image.open(PHOTO) as photo:
        expected = thumb_image(thumb(photo, 40), 64)
    with Image.open(target) as image:
        assert image.tobytes() == expected.tobytes()
    assert main(["thumb", "--show", text, "-o", str(target)]) == 1  # the file exists
    assert "exists" in capsys.readouterr().err


def test_the_command_answers_in_json_and_as_a_uri(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.png"
    assert main(["thumb", str(PHOTO), str(missing), "--json", "--uri", "--bytes", "24"]) == 1
    rows = {row["ok"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows[True]["uri"].startswith("data:image/png;base64,") and rows[True]["bytes"] == 24
    assert rows[False]["input"] == str(missing) and rows[False]["message"]
    assert list(rows[True]) == list(rows[False])
    assert main(["info", str(PHOTO), "--json"]) == 3
    assert {"width", "preview", "error", "message"} < json.loads(capsys.readouterr().out).keys()


def test_the_command_reads_the_thumbnail_of_a_file(
    stored: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photo.semc"
    path.write_bytes(stored)
    assert main(["thumb", str(path)]) == 0
    assert capsys.readouterr().out.strip() == info(stored).preview
    assert main(["thumb", str(path), str(PHOTO), "--bytes", "12"]) == 0
    assert {len(line.split()[0]) for line in capsys.readouterr().out.splitlines()} == {16}
    bare = tmp_path / "bare.semc"
    container = read(stored)
    rest = tuple(chunk for chunk in container.chunks if chunk.kind != ChunkKind.PREVIEW)
    bare.write_bytes(write(Container(container.header, rest)))
    assert main(["thumb", str(bare), "--bytes", "40"]) == 0
    with Image.open(PHOTO) as image:
        shown = thumb_image(capsys.readouterr().out.strip(), 32)
        assert psnr_db(np.asarray(image.resize(shown.size)), np.asarray(shown)) > 17


def test_exact_pixels_of_16_bits_have_a_thumbnail(
    codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp: Any = np.linspace(0, 65535, 300 * 260).astype(np.uint16).reshape(300, 260)
    path = tmp_path / "ramp.semc"
    path.write_bytes(codec.encode(ramp, lossless=True))
    assert main(["thumb", str(path)]) == 0
    shown = np.asarray(thumb_image(capsys.readouterr().out.strip(), 32).convert("L"))
    assert shown[0].max() < 32 and shown[-1].min() > 223


def test_in_a_folder_photos_are_read_before_files_of_the_same_name(
    stored: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("photo.semc", "alone.semc"):
        (tmp_path / name).write_bytes(stored)
    (tmp_path / "photo.png").write_bytes(PHOTO.read_bytes())
    assert main(["thumb", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    read_names = [Path(line.split(maxsplit=1)[1]).name for line in out.splitlines()]
    assert read_names == ["alone.semc", "photo.png"]
    assert out.splitlines()[1].split()[0] == to_text(thumb(PHOTO))
    assert err == "semcomp thumb: left out 1 .semc file: the picture of the same name is read\n"
    assert main(["thumb", str(tmp_path), str(tmp_path / "photo.semc")]) == 0  # what is named is read
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_text_comes_from_stdin_with_the_lines_of_a_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = thumb(PHOTO, 60)
    text = to_text(code)
    mail = f"  {text[:30]}\r\n  {text[30:]}\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mail)))
    assert main(["thumb", "--show", "-", "-o", str(tmp_path / "small.png")]) == 0
    with Image.open(tmp_path / "small.png") as image:
        assert image.tobytes() == thumb_image(code).tobytes()


@pytest.mark.parametrize("command", [["thumb", "--show", "AOSL", "-o", "-"], ["desktop", "thumbnail", "x", "-", "9"]])
def test_no_png_on_a_terminal(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(command) == 2
    assert "redirect stdout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give at least one photo"),
        (["--show", "AA"], "--show needs -o"),
        (["x.png", "-o", "y.txt"], "-o belongs to --show"),
        (["x.png", "--show", "AA", "-o", "y.png"], "give no photos beside it"),
    ],
)
def test_contradictions_are_wrong_usage(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["thumb", *arguments]) == 2
    assert sentence in capsys.readouterr().err
