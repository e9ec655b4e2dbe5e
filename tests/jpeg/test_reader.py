"""The reader finds the very coefficients that Pillow's decoder shows, of every kind of file, and survives damage."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semcomp.errors import ImageError
from semcomp.jpeg.reader import JpegPlane, read_jpeg
from tests.jpeg.files import KINDS, beyond_16_bits, jpeg, photo, pixels_of, without

SIZES = [(64, 96), (83, 61), (8, 8), (1, 1), (17, 200)]


def plane_of(plane: JpegPlane) -> NDArray[np.float64]:
    """Pixels of a component by the definition of the DCT, not rounded."""
    place = np.arange(8)
    waves = np.cos((2 * place + 1) * place[:, None] * (np.pi / 16)) / 2
    waves[0] /= np.sqrt(2)
    blocks = (plane.coefficients * plane.steps.astype(np.float64)).reshape(*plane.coefficients.shape[:2], 8, 8)
    pixels = np.einsum("ur,abuv,vc->arbc", waves, blocks, waves)
    rows, _, columns, _ = pixels.shape
    flat: NDArray[np.float64] = pixels.reshape(8 * rows, 8 * columns) + 128
    return flat


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_luma_is_what_pillow_shows(kind: str, size: tuple[int, int]) -> None:
    data = jpeg(photo(*size), **KINDS[kind])
    file = read_jpeg(data)
    assert (file.height, file.width, file.damage) == (*size, "")
    shown = pixels_of(data)[..., 0].astype(float)
    ours = np.clip(plane_of(file.planes[0]), 0, 255)[: size[0], : size[1]]
    assert np.abs(ours - shown).max() <= 2  # libjpeg's DCT works with integers


@pytest.mark.parametrize("kind", ["baseline", "progressive", "4:2:2", "4:4:4 progressive", "restart markers"])
def test_chroma_is_what_pillow_shows(kind: str) -> None:
    data = jpeg(photo(64, 96), **KINDS[kind])
    file = read_jpeg(data)
    shown = pixels_of(data).astype(float)
    for number in (1, 2):
        plane = file.planes[number]
        down, across = file.factors[0] // plane.vertical, file.factors[1] // plane.horizontal
        ours = np.clip(plane_of(plane), 0, 255)
        means = shown[..., number].reshape(64 // down, down, 96 // across, across).mean((1, 3))
        assert np.abs(ours - means).mean() < (1 if down * across == 1 else 6)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_grey_files(options: dict[str, Any]) -> None:
    data = jpeg(photo(51, 70, grey=True), quality=75, **options)
    (plane,) = read_jpeg(data).planes
    assert np.abs(np.clip(plane_of(plane), 0, 255)[:51, :70] - pixels_of(data)).max() <= 2


@pytest.mark.parametrize("kind", ["baseline", "4:2:2", "4:4:4"])
def test_the_three_forms_of_a_file_hold_equal_coefficients(kind: str) -> None:
    forms = [jpeg(photo(83, 61), **KINDS[kind], **form) for form in ({}, {"optimize": True}, {"progressive": True})]
    files = [read_jpeg(form) for form in forms]
    for file in files[1:]:
        for one, other in zip(files[0].planes, file.planes, strict=True):
            rows, columns = -(-83 // 8 // file.factors[0]), -(-61 // 8 // file.factors[1])
            assert np.array_equal(one.coefficients[:rows, :columns], other.coefficients[:rows, :columns])
            assert np.array_equal(one.steps, other.steps)


@pytest.mark.parametrize("kind", ["baseline", "progressive", "restart markers"])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9, 0.99])
def test_of_a_cut_file_the_beginning_is_read(kind: str, share: float) -> None:
    data = jpeg(photo(160, 160), **KINDS[kind])
    whole, cut = read_jpeg(data), read_jpeg(data[: int(share * len(data))])
    assert "ends early" in cut.damage
    first_rows = np.array_equal(whole.planes[0].coefficients[:1, :4, 0], cut.planes[0].coefficients[:1, :4, 0])
    assert first_rows if kind != "progressive" else cut.planes[0].coefficients.any()


def test_damage_says_how_much_shows_and_how_the_rest_looks() -> None:
    def damage(kind: str, *, share: float = 1.0, less: int = 0, first_scan: float = 0) -> str:
        data = jpeg(photo(160, 160), **KINDS[kind])
        if first_scan:
            begin, end = [m.start() for m in re.finditer(b"\xff\xda", data)][:2]
            return read_jpeg(data[: begin + int(first_scan * (end - begin))]).damage
        return read_jpeg(data[: int(share * len(data)) - less]).damage

    assert damage("baseline", less=2) == "all of its blocks can be read, and it ends early"
    assert damage("progressive", less=2) == "all of its blocks can be read, and it ends early"
    late = damage("progressive", share=0.6)
    assert late == "all of its blocks can be read, and it ends early; what lacks detail is blurred"
    assert re.fullmatch(
        r"\d+ % of its blocks can be read, and it ends early; what is missing is grey", damage("baseline", share=0.6)
    )
    both = r"\d+ % of its blocks can be read, and it ends early; what is missing is grey; what lacks detail is blurred"
    assert re.fullmatch(both, damage("progressive", first_scan=0.5))


def test_a_progressive_file_cut_between_its_scans_is_blurred() -> None:
    data = jpeg(photo(64, 64), **KINDS["progressive"])
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    assert "all of its blocks" in read_jpeg(data[:second]).damage and "blurred" in read_jpeg(data[:second]).damage


@pytest.mark.parametrize("grey", [False, True])
def test_files_without_codes_have_those_of_the_standard(grey: bool) -> None:
    data = jpeg(photo(83, 61, grey=grey), quality=60)
    bare = without(data, 0xC4)
    assert len(bare) < len(data) - 200 and np.array_equal(pixels_of(bare), pixels_of(data))
    for one, other in zip(read_jpeg(data).planes, read_jpeg(bare).planes, strict=True):
        assert np.array_equal(one.coefficients, other.coefficients)


def test_progressive_files_have_no_codes_but_their_own() -> None:
    with pytest.raises(ImageError, match="Huffman code 0 is missing"):
        read_jpeg(without(jpeg(photo(64, 64), **KINDS["progressive"]), 0xC4))


def test_a_second_word_on_the_height_and_a_strange_band_of_a_baseline_file_change_nothing() -> None:
    data = jpeg(photo(83, 61), quality=60)
    told = data[:-2] + b"\xff\xdc\x00\x04\x00\x53" + data[-2:]
    scan = data.index(b"\xff\xda")
    strange = data[: scan + 11] + b"\x05\x00\x7f" + data[scan + 14 :]
    for changed in (told, strange):
        assert Image.open(io.BytesIO(changed)).size == (61, 83)
        file = read_jpeg(changed)
        assert file.damage == ""
        assert np.array_equal(file.planes[0].coefficients, read_jpeg(data).planes[0].coefficients)


@pytest.mark.parametrize(
    ("place", "values", "words"),
    [
        (0, b"\x00\x3f\x01", "band 0 to 63"),
        (1, b"\x06\x05\x02", "band 6 to 5"),
        (1, b"\x01\x40\x02", "band 1 to 64"),
        (1, b"\x01\x05\x0e", "from bit 0 to bit 14"),
        (5, b"\x01\x3f\xfe", "from bit 15 to bit 14"),
        (5, b"\x01\x3f\x31", "from bit 3 to bit 1"),
        (0, b"\x01\x05\x02", "AC coefficients has 3 components"),
    ],
)
def test_progressive_scans_that_the_standard_forbids(place: int, values: bytes, words: str) -> None:
    data = jpeg(photo(64, 64), **KINDS["progressive"])
    at = [m.start() for m in re.finditer(b"\xff\xda", data)][place]
    behind = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    with pytest.raises(ImageError, match=f"damaged: its segment 0xda makes no sense .*{words}"):
        read_jpeg(data[: behind - 3] + values + data[behind:])


def test_a_broken_interval_spoils_no_other() -> None:
    data = bytearray(jpeg(photo(160, 160), quality=60, restart_marker_rows=1))
    marks = [at for at in range(len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    whole = read_jpeg(bytes(data))
    for at in range(marks[1] + 4, marks[1] + 40):
        data[at] = 0x55
    broken = read_jpeg(bytes(data))
    assert np.array_equal(whole.planes[0].coefficients[:4], broken.planes[0].coefficients[:4])
    assert np.array_equal(whole.planes[0].coefficients[6:], broken.planes[0].coefficients[6:])


def test_a_lost_restart_marker_loses_its_interval_alone() -> None:
    data = jpeg(photo(160, 160), quality=60, restart_marker_rows=1)
    marks = [at for at in range(len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    whole, shorter = read_jpeg(data), read_jpeg(data[: marks[2]] + data[marks[3] :])
    assert shorter.damage
    assert np.array_equal(whole.planes[0].coefficients[10:], shorter.planes[0].coefficients[10:])


@pytest.mark.parametrize("progressive", [False, True])
def test_coefficients_keep_their_lowest_16_bits_as_in_libjpeg(progressive: bool) -> None:
    data, sums = beyond_16_bits(progressive=progressive)
    (plane,) = read_jpeg(data).planes
    assert np.array_equal(plane.coefficients[..., 0].ravel(), sums.astype(np.int16)) and sums.max() > 60000
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", (8, 8))  # libjpeg takes DC alone, and looks its pixel up by the lowest 10 bits
        shown = np.asarray(image).ravel()
    index = (sums.astype(np.int16).astype(int) + 4 >> 3) & 1023
    expected = np.select([index < 128, index < 512, index < 896], [index + 128, 255, 0], index - 896)
    assert np.array_equal(shown, expected)


def test_a_code_of_dc_names_at_most_15_bits() -> None:
    data = jpeg(photo(16, 16, grey=True), quality=60)
    at = data.index(b"\xff\xc4\x00\x1f\x00") + 21
    wide = data[:at] + bytes(16 if symbol < 12 else symbol for symbol in data[at : at + 12]) + data[at + 12 :]
    with pytest.raises(ImageError, match="no block of it can be read"):
        read_jpeg(wide)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["optimised", "progressive"])
def test_flipped_bytes_never_raise_anything_else(kind: str, seed: int) -> None:
    data = bytearray(jpeg(photo(64, 64), **KINDS[kind]))
    rng = np.random.default_rng(seed)
    for at in rng.integers(2, len(data), 3):
        data[at] = rng.integers(256)
    try:
        read_jpeg(bytes(data))
    except ImageError as error:
        assert "JPEG" in str(error)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n", "not a JPEG file"),
        (b"", "not a JPEG file"),
        (b"\xff\xd8\xff\xd9", "no picture"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00", "pixels"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x0c\x00\x08\x00\x08\x01\x01\x11\x00", "12 bits"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00", "lossless"),
        (b"\xff\xd8\xff\xc9\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00", "arithmetic"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x08\x01\x01\x11\x00", "height only at its end"),
        (b"\xff\xd8\xff\xc4\x00\x13\x00\xff" + bytes(15), "no sense"),
        (b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00", "no sense"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read_jpeg(data)


def test_a_tiny_file_cannot_claim_a_huge_picture() -> None:
    data = bytearray(jpeg(photo(16, 16, grey=True)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\x3f\xff\x3f\xff"
    with pytest.raises(ImageError, match="claims 16383x16383 pixels, and"):
        read_jpeg(bytes(data))


def test_what_follows_the_picture_is_left_alone() -> None:
    data = jpeg(photo(40, 40))
    assert read_jpeg(data + b"\xff\xd8 another picture").damage == ""


def test_pillow_reads_what_was_made_for_this_test() -> None:
    assert Image.open(io.BytesIO(jpeg(photo(20, 30)))).size == (30, 20)
