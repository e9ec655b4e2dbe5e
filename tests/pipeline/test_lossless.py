"""Files with exact pixels: every mode comes back exactly, alone and beside latents, whole and in part."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import semcomp
from semcomp.bitstream.container import NO_ID, Chunk, ChunkKind, Container, read, read_header, write
from semcomp.bitstream.header import ColorMode
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning, TargetError
from semcomp.imaging.deep import deep_png
from tests.lossless.conftest import photo as small_photo

pytestmark = pytest.mark.usefixtures("embedded_lossless")


def pictures() -> dict[str, NDArray[Any]]:
    rgb, rng = small_photo(37, 30), np.random.default_rng(1)
    deep = rgb.astype(np.uint16) * 256 + rng.integers(0, 256, rgb.shape).astype(np.uint16)
    alpha = rng.integers(0, 3, (37, 30, 1)).astype(np.uint8) * 127
    return {
        "rgb": rgb,
        "grey": np.ascontiguousarray(rgb[..., 0]),
        "rgba": np.concatenate([rgb, alpha], 2),
        "grey and alpha": np.concatenate([rgb[..., :1], alpha], 2),
        "rgb 16": deep,
        "grey 16": np.ascontiguousarray(deep[..., 1]),
        "grey in rgb": np.repeat(rgb[..., :1], 3, 2),
        "one pixel": rgb[:1, :1],
    }


@pytest.mark.parametrize("name", pictures())
def test_every_mode_comes_back_exactly_at_every_scale(codec: Codec, name: str, tmp_path: Path) -> None:
    pixels = pictures()[name]
    data = codec.encode(pixels, lossless=True)
    (tmp_path / "a.semc").write_bytes(data)
    for scale in (1, 2, 4, 8):
        for source in (data, io.BytesIO(data), tmp_path / "a.semc"):
            decoded = codec.decode_pixels(source, scale=scale)
            assert decoded.dtype == pixels.dtype
            assert np.array_equal(decoded, pixels[::scale, ::scale]), (name, scale)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pil_images_of_every_mode_show_what_they_showed(codec: Codec, mode: str) -> None:
    image = Image.fromarray(pictures()["rgba"]).convert("RGB" if mode == "P" else "L" if mode == "I;16" else mode)
    image = image.quantize(20) if mode == "P" else image
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    decoded = codec.decode(codec.encode(image, lossless=True))
    if mode == "I;16":
        assert decoded.mode == "I;16"
        assert np.array_equal(np.asarray(decoded), np.asarray(image))
    else:
        assert decoded.mode == {"1": "L", "P": "RGB"}.get(mode, mode)
        assert np.array_equal(np.asarray(decoded.convert("RGBA")), np.asarray(image.convert("RGBA")))


def test_latents_beside_the_pixels_are_those_of_a_lossy_file(codec: Codec) -> None:
    pixels = pictures()["rgb"]
    data = codec.encode_exact(pixels, with_latents=40)
    assert np.array_equal(codec.decode_pixels(data), pixels)
    lossy = codec.encode(pixels, quality=40)
    assert np.array_equal(codec.latents(data).y_hat, codec.latents(lossy).y_hat)
    facts = semcomp.info(data)
    assert (facts.quality, facts.entropy_id) == (40, codec.entropy_id.hex())
    assert facts.lossless is not None
    assert (facts.lossless.bits, facts.lossless.near, facts.lossless.drawn) == (8, 0, False)


def test_a_file_without_latents_says_so_to_heads(codec: Codec) -> None:
    data = codec.encode(pictures()["rgb"], lossless=True)
    assert read(data).header.entropy_id == NO_ID
    with pytest.raises(ImageError, match="no latents"):
        codec.latents(data)


@pytest.mark.parametrize("near", [1, 3, 8])
def test_near_keeps_its_promise_in_files(codec: Codec, near: int) -> None:
    pixels = pictures()["rgb"]
    data = codec.encode_exact(pixels, near=near)
    off = np.abs(codec.decode_pixels(data).astype(int) - pixels)
    assert 0 < off.max() <= near
    facts = semcomp.info(data).lossless
    assert facts is not None
    assert facts.near == near


def test_a_reduced_picture_reads_only_the_bytes_that_it_needs(codec: Codec, tmp_path: Path) -> None:
    pixels = small_photo(120, 100)
    data = codec.encode(pixels, lossless=True)

    class Counting(io.BytesIO):
        furthest = 0

        def read(self, count: int | None = -1) -> bytes:
            data = super().read(count)
            self.furthest = max(self.furthest, self.tell())
            return data

    furthest = []
    for scale in (8, 4, 2):
        stream = Counting(data)
        assert np.array_equal(codec.decode_pixels(stream, scale=scale), pixels[::scale, ::scale])
        furthest.append(stream.furthest)
    assert furthest[0] <= 1024  # the head of the file, which is read at once
    assert furthest[1] < furthest[2] < len(data) / 2
    cut = tmp_path / "cut.semc"
    cut.write_bytes(data[: furthest[2]])
    assert np.array_equal(codec.decode_pixels(cut, scale=2), pixels[::2, ::2])
    cut.write_bytes(data[: furthest[2] - 4])
    with pytest.raises(FormatError):
        codec.decode_pixels(cut, scale=2)
    assert np.array_equal(codec.decode_pixels(cut, scale=4), pixels[::4, ::4])


def test_a_lossy_file_is_decoded_at_a_scale_too(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo)
    assert codec.decode(data, scale=4).size == (33, 23)
    with pytest.raises(TargetError, match="1, 2, 4, 8"):
        codec.decode(data, scale=3)


def test_auto_keeps_photos_lossy_and_drawings_exact(codec: Codec, photo: NDArray[np.uint8]) -> None:
    drawing = np.full((64, 64, 3), 255, np.uint8)
    drawing[10:20, 5:60], drawing[::8, :, 1] = (200, 0, 0), 0
    assert semcomp.info(codec.encode(photo, lossless="auto")).lossless is None
    data = codec.encode(drawing, lossless="auto")
    assert np.array_equal(codec.decode_pixels(data), drawing)
    assert semcomp.info(codec.encode(pictures()["grey 16"], lossless="auto")).lossless is not None


def test_auto_takes_the_smaller_file_where_neither_loses_much(codec: Codec) -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    lines = flat.copy()
    lines[::8], lines[:, ::16] = 100, 150
    for pixels, quality, exact_is_smaller in ((flat, 50, False), (lines, 100, True)):
        lossy, exact = codec.encode(pixels, quality=quality), codec.encode(pixels, lossless=True)
        assert (len(exact) < len(lossy)) is exact_is_smaller
        assert codec.encode(pixels, quality=quality, lossless="auto") == (exact if exact_is_smaller else lossy)


def test_exact_pixels_of_another_mode_than_the_header_says_are_refused(codec: Codec) -> None:
    container = read(codec.encode(pictures()["rgb"], lossless=True))
    grey = write(Container(replace(container.header, mode=ColorMode.L), container.chunks))
    with pytest.raises(FormatError, match="the header asks for L"):
        codec.decode(grey)


def test_a_jpeg_is_taken_with_a_warning(codec: Codec) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pictures()["rgb"]).save(buffer, "JPEG")
    with pytest.warns(SemcompWarning, match="keep the JPEG"):
        data = codec.encode(buffer.getvalue(), lossless=True)
    assert np.array_equal(codec.decode_pixels(data), np.asarray(Image.open(buffer)))
    assert len(data) > len(buffer.getvalue())


def test_16_bit_files_are_read_exactly(codec: Codec) -> None:
    for name in ("rgb 16", "grey 16"):
        pixels = pictures()[name]
        data = codec.encode(deep_png(pixels, xmp=b"<x/>"), lossless=True)
        assert np.array_equal(codec.decode_pixels(data), pixels)
        assert semcomp.info(data).has_xmp


def test_requests_that_make_no_sense_are_refused_in_words(codec: Codec) -> None:
    pixels = pictures()["rgb"]
    with pytest.raises(TargetError, match="0 to 8"):
        codec.encode_exact(pixels, near=9)
    with pytest.raises(TargetError, match="16 bits"):
        codec.encode_exact(pictures()["rgb 16"], near=1)
    with pytest.raises(TargetError, match="1 to 100"):
        codec.encode_exact(pixels, with_latents=0)
    with pytest.raises(TargetError, match="convert would change"):
        codec.encode(pixels, lossless=True, convert=True)
    with pytest.raises(TargetError, match="auto"):
        codec.encode(pixels, lossless="yes")  # type: ignore[arg-type]
    with pytest.raises(TargetError, match="not 1"):
        codec.encode(pixels, lossless=1)  # type: ignore[arg-type]
    with pytest.raises(TargetError, match="effort would change"):
        codec.encode(pixels, lossless=True, effort=1)
    for preview in (2.5, True, 0, 4097):
        with pytest.raises(TargetError, match="1 to 4,096 bytes"):
            codec.encode(pixels, preview=preview)  # type: ignore[arg-type]


def test_exact_pixels_are_not_given_to_a_generator(codec: Codec) -> None:
    data = codec.encode(pictures()["rgb"], lossless=True)
    assert codec.decode(data, generator="faithful").mode == "RGB"
    with pytest.raises(ImageError, match="decode it without generator"):
        codec.decode(data, generator="photos")
    with pytest.raises(ImageError, match="decode it without relabel"):
        codec.decode(data, relabel={"car": "tree"})


def test_without_weights_a_sentence_says_what_to_do(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(pictures()["rgb"], lossless=True)
    monkeypatch.setattr("semcomp.lossless.weights.EMBEDDED", Path("nowhere.safetensors"))
    for call in (lambda: codec.encode(pictures()["rgb"], lossless=True), lambda: codec.decode(data)):
        with pytest.raises(ModelError, match="lossless_weights=FILE"):
            call()


def test_every_cut_and_every_changed_byte_of_a_file_is_noticed(codec: Codec) -> None:
    pixels = pictures()["rgb"][:9, :7]
    data, rng = codec.encode(pixels, lossless=True), np.random.default_rng(2)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            codec.decode_pixels(data[:length])
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with pytest.raises(FormatError):
            codec.decode_pixels(bytes(damaged))


def test_large_flat_pictures_are_padded_to_the_least_size(codec: Codec) -> None:
    pixels = np.zeros((1200, 1100), np.uint8)
    data = codec.encode(pixels, lossless=True)
    assert np.array_equal(codec.decode_pixels(data), pixels)
    assert {entry.name for entry in read_header(data)[1]} >= {"LOSSLESS"}


def damaged(data: bytes, kind: str) -> bytes:
    """A file with one changed byte in the body of a chunk."""
    entry = next(entry for entry in read_header(data)[1] if entry.name == kind)
    changed = bytearray(data)
    changed[entry.offset + entry.length // 2] ^= 1
    return bytes(changed)


def test_checksums_of_what_is_beside_the_pixels_count_at_every_scale(codec: Codec, tmp_path: Path) -> None:
    image = Image.fromarray(pictures()["rgba"])
    image.info["xmp"] = b"<x/>"
    data, path = codec.encode(image, lossless=True), tmp_path / "a.semc"
    for scale in (1, 2):
        path.write_bytes(damaged(data, "XMP"))
        with pytest.warns(SemcompWarning, match="XMP is lost: its checksum"):
            assert "xmp" not in codec.decode(path, scale=scale).info
        path.write_bytes(damaged(data, "ALPHA"))
        with pytest.raises(FormatError, match="ALPHA is damaged: its checksum"):
            codec.decode(path, scale=scale)


def test_an_array_of_a_lossy_file_needs_no_more_of_it_than_an_image(codec: Codec, photo: NDArray[np.uint8]) -> None:
    data = codec.encode(photo, preview=40)
    with pytest.warns(SemcompWarning, match="PREVIEW is lost"):
        pixels = codec.decode_pixels(damaged(data, "PREVIEW"))
    assert np.array_equal(pixels, codec.decode_pixels(data))
    container = read(data)
    padded = write(Container(container.header, (*container.chunks, Chunk(ChunkKind.PADDING, bytes(60)))))
    with pytest.warns(SemcompWarning, match="PADDING is lost"):
        assert np.array_equal(codec.decode_pixels(damaged(padded, "PADDING")), pixels)


def test_a_stream_that_cannot_seek_is_read_whole(codec: Codec) -> None:
    class Pipe:
        def __init__(self, data: bytes) -> None:
            self.read = io.BytesIO(data).read

    pixels = pictures()["rgb"]
    pipe: Any = Pipe(codec.encode(pixels, lossless=True))
    assert np.array_equal(codec.decode_pixels(pipe, scale=2), pixels[::2, ::2])


def test_more_outliers_than_are_read_at_first(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = (np.random.default_rng(4).integers(0, 8, (40, 31)) // 7 * 65535 ^ 1).astype(np.uint16)
    data = codec.encode_exact(jumps)
    monkeypatch.setattr("semcomp.pipeline.lossless._FIRST_READ", 90)
    assert np.array_equal(codec.decode_pixels(io.BytesIO(data), scale=4), jumps[::4, ::4])
