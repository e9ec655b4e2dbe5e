"""The Pillow plugin: opening reads the header, pixels decode, saving encodes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

import semcomp.pillow
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError


@pytest.fixture
def plugin(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    semcomp.pillow._codec.cache_clear()
    yield stand_in
    semcomp.pillow._codec.cache_clear()


@pytest.fixture
def semc(plugin: Any, photo: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "a.semc"
    Image.fromarray(photo).save(path, quality=90)
    return path


def test_opening_decodes_nothing(semc: Path, plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "decode", lambda data: pytest.fail("decoded too early"))
    with Image.open(semc) as image:
        assert (image.format, image.mode, image.size) == ("SEMC", "RGB", (131, 90))
        assert image.info == {"quality": 90}
        assert image.get_format_mimetype() == "image/x-semc"
        image.getexif()


def test_opening_reads_no_more_than_the_header(plugin: Any, photo: NDArray[np.uint8]) -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    data = plugin.encode(np.tile(photo, (8, 8, 1)), quality=90)
    stream = Counting(data)
    assert Image.open(stream).size == (131 * 8, 90 * 8)
    assert stream.taken < 2000 < len(data)


def test_pixels_are_those_of_the_codec(semc: Path, plugin: Any) -> None:
    with Image.open(semc) as image:
        pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels, np.asarray(image.copy()))
    np.testing.assert_array_equal(pixels, np.asarray(plugin.decode(semc.read_bytes())))
    assert Image.open(semc).resize((10, 10)).size == (10, 10)
    assert Image.open(io.BytesIO(semc.read_bytes())).convert("L").mode == "L"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes(plugin: Any, photo: NDArray[np.uint8], tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    image.save(tmp_path / "a.semc")
    opened = Image.open(tmp_path / "a.semc")
    assert opened.mode == mode
    assert np.asarray(opened).shape == np.asarray(image).shape
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(image)).mean() < 12


def test_metadata_goes_through(plugin: Any, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image = Image.fromarray(photo)
    image.save(tmp_path / "a.semc", exif=exif, icc_profile=b"profile")
    assert "exif" not in image.info
    opened = Image.open(tmp_path / "a.semc")
    assert opened.getexif()[0x010F] == "Maker"
    opened.load()
    assert opened.info["icc_profile"] == b"profile" and opened.getexif()[0x010F] == "Maker"
    opened.save(tmp_path / "b.semc", strip=True)
    again = Image.open(tmp_path / "b.semc")
    again.load()
    assert again.info.keys() == {"quality"}


def test_targets(plugin: Any, photo: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "SEMC", max_bytes=4000)
    assert len(buffer.getvalue()) <= 4000


def test_cut_files(semc: Path) -> None:
    data = semc.read_bytes()
    for length in (5, 20, 40, 60, len(data) // 2, len(data) - 1):
        with pytest.raises(FormatError):
            Image.open(io.BytesIO(data[:length])).load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data[:3]))


def test_verify(semc: Path) -> None:
    Image.open(semc).verify()
    data = bytearray(semc.read_bytes())
    data[-1] ^= 1
    with pytest.raises(FormatError):
        Image.open(io.BytesIO(bytes(data))).verify()


def test_with_the_real_codec(codec: Codec, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    semcomp.pillow._codec.cache_clear()
    Image.fromarray(photo).save(tmp_path / "a.semc", quality=80)
    decoded = np.asarray(Image.open(tmp_path / "a.semc"))
    expected = codec.decode((tmp_path / "a.semc").read_bytes())
    np.testing.assert_array_equal(decoded, np.asarray(expected))
