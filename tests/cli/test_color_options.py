"""Colour, hidden colour and metadata on the command line: what `encode` keeps, and what `decode` writes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.inspect import info
from semcomp.cli.main import main
from tests.imaging.files import cicp, file_of, gama, png, with_chunks

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x0f\0\2\0\0\0\6\0\0\0\x1a\0\0\0\0Maker\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a packet</x:xmpmeta>'


@pytest.fixture
def folder(tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_convert_colour(folder: Path, photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.png").write_bytes(with_chunks(file_of(Image.fromarray(photo)), gama(100_000)))
    assert main(["encode", "a.png"]) == 0
    assert info("a.semc").color_space == "linear, sRGB primaries"
    assert main(["info", "a.semc"]) == 0
    assert "colours   linear, sRGB primaries" in capsys.readouterr().out
    assert main(["encode", "a.png", "-f", "--convert-colour"]) == 0
    assert info("a.semc").color_space == "sRGB" and not info("a.semc").has_icc
    assert main(["decode", "a.semc", "-o", "b.png"]) == 0
    expected = 255 * (1.055 * (photo / 255) ** (1 / 2.4) - 0.055)
    with Image.open("b.png") as image:
        assert np.abs(np.asarray(image) - expected)[photo.min(axis=2) > 60].mean() < 6


def test_keep_hidden_colour(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    noise[:, :, 3] = 0
    Image.fromarray(noise).save("a.png")
    assert main(["encode", "a.png", "-o", "blank.semc"]) == 0
    assert main(["encode", "a.png", "-o", "kept.semc", "--keep-hidden-colour"]) == 0
    assert 2 * info("blank.semc").bytes < info("kept.semc").bytes


def test_high_dynamic_range_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.png").write_bytes(png(np.zeros((8, 8, 3)), bits=8, color_type=2, extra=[cicp(9, 16)]))
    assert main(["encode", "a.png"]) == 1
    assert "high dynamic range (PQ, transfer code 16)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["png", "webp", "tiff", "jpg", "avif"])
def test_every_record_goes_through(folder: Path, photo: NDArray[np.uint8], name: str) -> None:
    Image.fromarray(photo).save("a.jpg", exif=EXIF, xmp=XMP, icc_profile=b"profile")
    assert main(["encode", "a.jpg"]) == 0
    facts = info("a.semc")
    assert facts.has_exif and facts.has_xmp and facts.has_icc
    assert main(["decode", "a.semc", "-o", f"b.{name}"]) == 0
    with Image.open(f"b.{name}") as image:
        assert (image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()) == XMP
        assert image.info["icc_profile"] == b"profile" and image.getexif()[0x010F] == "Maker"
    assert main(["encode", "a.jpg", "-f", "--strip"]) == 0
    facts = info("a.semc")
    assert not (facts.has_exif or facts.has_xmp or facts.has_icc)


def test_a_format_without_metadata_says_so(
    folder: Path, photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photo).save("a.jpg", xmp=XMP)
    assert main(["encode", "a.jpg"]) == 0
    assert main(["decode", "a.semc", "-o", "b.bmp"]) == 0
    assert "bmp holds no XMP packet: left out" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--strip"]])
def test_a_photo_is_turned_although_a_tag_is_unwritable(folder: Path, options: list[str]) -> None:
    unwritable = b"\x01\x02\0\4\0\0\0\1\xff\xff\xff\xff"
    record = b"MM\0*\0\0\0\x08\0\2" + b"\x01\x12\0\3\0\0\0\1\0\6\0\0" + unwritable + bytes(4)
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :16] = 255
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    stored.save("a.jpg", exif=b"Exif\0\0" + record, quality=95)
    assert main(["encode", "a.jpg", "-q", "95", *options]) == 0
    assert main(["decode", "a.semc"]) == 0
    with Image.open("a.png") as image:
        assert image.size == (64, 48) and np.asarray(image.convert("L"))[:12, :12].min() > 200
        assert image.info.get("exif", b"").endswith(unwritable + bytes(4)) != bool(options)
