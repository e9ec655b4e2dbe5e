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
from semcomp.errors import FormatError, ImageError, TargetError
from semcomp.imaging.color_space import ADOBE_RGB
from tests.imaging.files import png

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x0f\0\2\0\0\0\6\0\0\0\x1a\0\0\0\0Maker\0"


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
    opened = Image.open(stream, formats=["SEMC"])  # other plug-ins, which are asked first, may read more
    assert opened.size == (131 * 8, 90 * 8)
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


def test_records_are_in_info_at_open_without_decoding(
    plugin: Any, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Image.fromarray(photo)
    source.info |= {"icc_profile": b"profile", "exif": EXIF, "xmp": b"<x:xmpmeta/>"}
    data = plugin.encode(source)
    monkeypatch.setattr(plugin, "decode", lambda data: pytest.fail("decoded too early"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == b"profile" and image.info["xmp"] == b"<x:xmpmeta/>"
        assert image.info["exif"] == EXIF and image.getexif()[0x010F] == "Maker"


def test_saving_elsewhere_keeps_the_profile(plugin: Any, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "a.semc", icc_profile=b"profile")
    image = Image.open(tmp_path / "a.semc")
    image.save(tmp_path / "b.png", icc_profile=image.info.get("icc_profile"))
    with Image.open(tmp_path / "b.png") as saved:
        assert saved.info["icc_profile"] == b"profile"


def test_a_damaged_record_is_left_out_at_open(plugin: Any, photo: NDArray[np.uint8]) -> None:
    source = Image.fromarray(photo)
    source.info["icc_profile"] = b"profile"
    data = plugin.encode(source)
    assert data.endswith(b"profile")
    assert "icc_profile" not in Image.open(io.BytesIO(data[:-1] + b"E")).info


def test_a_grey_picture_with_a_profile_of_rgb_opens_as_rgb(plugin: Any, photo: NDArray[np.uint8]) -> None:
    source = Image.fromarray(photo).convert("L").convert("RGB")
    source.info["icc_profile"] = ADOBE_RGB.profile(grey=False)
    image = Image.open(io.BytesIO(plugin.encode(source)))
    assert image.mode == "RGB"
    image.load()
    assert image.mode == "RGB" and np.asarray(image).shape == (90, 131, 3)


def test_depth_is_noticed_when_a_record_is_passed_too(plugin: Any, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(png(deep, bits=16, color_type=2))
    with pytest.raises(ImageError, match="16 bits a channel"):
        Image.open(tmp_path / "deep.png").save(tmp_path / "a.semc")
    with pytest.raises(ImageError, match="16 bits a channel"):
        Image.open(tmp_path / "deep.png").save(tmp_path / "a.semc", icc_profile=b"profile")
    Image.open(tmp_path / "deep.png").save(tmp_path / "a.semc", convert=True, icc_profile=b"profile")
    with Image.open(tmp_path / "a.semc") as image:
        assert image.info["icc_profile"] == b"profile"


def test_options_of_reading(plugin: Any, photo: NDArray[np.uint8]) -> None:
    source = Image.fromarray(photo)
    buffer = io.BytesIO()
    source.save(buffer, "SEMC", icc_profile=ADOBE_RGB.profile(grey=False), convert_colour=True)
    assert "icc_profile" not in Image.open(buffer).info


@pytest.mark.parametrize("exact", [{"lossless": True}, {"near": 2}, {"with_latents": 30}])
@pytest.mark.parametrize("change", [{"bpp": 1}, {"max_bytes": 900}, {"psnr": 40}, {"convert": True}])
def test_exact_pixels_are_never_saved_with_a_loss(
    plugin: Any, photo: NDArray[np.uint8], exact: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(TargetError, match=f"lossless keeps every sample, and {next(iter(change))} would change some"):
        Image.fromarray(photo).save(io.BytesIO(), "SEMC", **exact, **change)


def test_a_quality_and_a_target_contradict_each_other(plugin: Any, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(TargetError, match="either quality or bpp"):
        Image.fromarray(photo).save(io.BytesIO(), "SEMC", quality=80, bpp=1)


def test_a_stored_thumbnail_of_16_bits_is_as_bright_as_its_picture(
    codec: Codec, embedded_lossless: Path, photo: NDArray[np.uint8]
) -> None:
    deep = photo[:32, :32, 0].astype(np.uint16) * np.uint16(257)
    data = codec.encode_exact(deep, preview=48)
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((8, 8))
        assert image.mode == "I;16" and abs(float(np.mean(np.asarray(image))) - deep.mean()) < 0.1 * deep.mean()
