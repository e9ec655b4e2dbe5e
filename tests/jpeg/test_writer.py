"""Files that the writer makes open everywhere, and hold the coefficients that were given."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from semcomp.errors import ImageError
from semcomp.jpeg.huffman import lookup
from semcomp.jpeg.reader import read_jpeg
from semcomp.jpeg.records import APP1, exif_block, icc_profile, is_rgb, records_of, restorer_mark, xmp_packet
from semcomp.jpeg.segments import HuffmanCode
from semcomp.jpeg.writer import Symbols, best_code, code_words, entropy_bytes, write_jpeg
from tests.jpeg.files import KINDS, jpeg, photo, pixels_of


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (83, 61), (1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_written_files_hold_what_was_read(kind: str, size: tuple[int, int], progressive: bool) -> None:
    data = jpeg(photo(*size), **KINDS[kind])
    file = read_jpeg(data)
    written = write_jpeg(file, progressive=progressive)
    again = read_jpeg(written)
    assert again.progressive is progressive and again.damage == ""
    assert np.array_equal(pixels_of(written), pixels_of(data))
    for one, other in zip(file.planes, again.planes, strict=True):
        assert np.array_equal(one.steps, other.steps) and np.array_equal(one.coefficients, other.coefficients)


def test_the_smaller_form_is_written_and_is_no_larger_than_pillows() -> None:
    for image in (photo(128, 160), photo(128, 160, grey=True)):
        file = read_jpeg(jpeg(image, quality=75))
        sizes = [len(write_jpeg(file, progressive=form)) for form in (False, True)]
        assert len(write_jpeg(file)) == min(sizes)
        # As many bits as libjpeg's codes need; which bytes are 255, and cost a byte more, is chance.
        assert sizes[0] <= 1.004 * len(jpeg(image, quality=75, optimize=True))


def test_long_runs_of_finished_blocks() -> None:
    pixels = np.full((1200, 2400), 77, np.uint8)
    pixels[-8:, -8:] = np.arange(64).reshape(8, 8)  # what follows a run shows that a reader counted it right
    data = jpeg(Image.fromarray(pixels), quality=50)
    file = read_jpeg(data)
    written = write_jpeg(file, progressive=True)
    assert len(file.planes[0].coefficients.reshape(-1, 64)) > 32768
    assert np.array_equal(pixels_of(written), pixels_of(data))
    assert np.array_equal(read_jpeg(written).planes[0].coefficients, file.planes[0].coefficients)


def test_records_are_kept() -> None:
    icc, exif, xmp = bytes(range(256)) * 600, b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"<x:xmpmeta/>"
    file = replace(read_jpeg(jpeg(photo(20, 20))), records=records_of(icc=icc, exif=exif, xmp=xmp, mark=b"12345678"))
    again = read_jpeg(write_jpeg(file))
    assert (icc_profile(again), exif_block(again), xmp_packet(again)) == (icc, exif, xmp)
    assert restorer_mark(again) == b"12345678" and not is_rgb(again)
    image = Image.open(io.BytesIO(write_jpeg(file)))
    assert image.info["icc_profile"] == icc
    pieces = [record for record in again.records if record[1].startswith(b"ICC_PROFILE")]
    assert len(pieces) == 3
    for piece in pieces:
        assert icc_profile(replace(again, records=tuple(r for r in again.records if r != piece))) is None


def test_rgb_files_are_known_by_adobes_record() -> None:
    assert is_rgb(read_jpeg(jpeg(photo(20, 20), quality=70, keep_rgb=True)))
    assert not is_rgb(read_jpeg(jpeg(photo(20, 20), quality=70)))


def test_codes_of_skewed_counts_keep_to_16_bits() -> None:
    counts = np.zeros(256, np.int64)
    counts[:40] = [1, 1] + [2**number for number in range(38)]
    code = best_code(counts)
    assert sum(code.counts) == 40 and sorted(code.symbols) == list(range(40))
    table = lookup(code)
    assert {symbol & 255 for symbol in table[table > 0].tolist()} == set(range(40))
    assert table[-1] == 0, "the code of all ones is forbidden"


def test_one_symbol_alone_has_a_code() -> None:
    counts = np.zeros(256, np.int64)
    counts[7] = 5
    assert best_code(counts) == HuffmanCode(counts=bytes([1, *[0] * 15]), symbols=b"\x07")


def test_what_the_format_cannot_hold_is_refused() -> None:
    file = read_jpeg(jpeg(photo(20, 20)))
    plane = replace(file.planes[0], coefficients=np.full_like(file.planes[0].coefficients, 1500))
    with pytest.raises(ImageError, match="1023"):
        write_jpeg(replace(file, planes=(plane, *file.planes[1:])))
    for first, refused in ((-1024, False), (-1025, True)):  # from 1023, differences of 2047 and 2048
        coefficients = np.zeros_like(file.planes[0].coefficients)
        coefficients[..., 0] = np.where(np.arange(coefficients.shape[1]) % 2, 1023, first)
        wide = replace(file, planes=(replace(file.planes[0], coefficients=coefficients), *file.planes[1:]))
        for progressive in (False, True):
            if refused:
                with pytest.raises(ImageError, match="differ by 2,048"):
                    write_jpeg(wide, progressive=progressive)
            else:
                again = read_jpeg(write_jpeg(wide, progressive=progressive))
                assert np.array_equal(again.planes[0].coefficients, coefficients)
    for steps in (0, 256):
        plane = replace(file.planes[0], steps=np.full(64, steps))
        with pytest.raises(ImageError, match="1 to 255"):
            write_jpeg(replace(file, planes=(plane, *file.planes[1:])))
    with pytest.raises(ImageError, match="sides of 1 to 65,535 pixels, not 65536x20"):
        write_jpeg(replace(file, width=65536))
    with pytest.raises(ImageError, match="at most 65,533 bytes, not 65,534"):
        write_jpeg(replace(file, records=((APP1, bytes(65534)),)))


def test_bits_are_packed_in_little_memory() -> None:
    rng = np.random.default_rng(2)
    count = 300_000
    sizes = rng.integers(0, 11, count)
    coded = Symbols(
        tables=np.zeros(count, np.int64),
        symbols=sizes,
        sizes=sizes,
        extra=rng.integers(0, 1 << 20, count) % (1 << sizes),
    )
    code = best_code(np.bincount(sizes, minlength=256))
    tracemalloc.start()
    data = entropy_bytes(coded, {0: code})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * len(data)
    words, lengths = code_words(code)
    text = "".join(
        f"{words[size]:0{lengths[size]}b}" + (f"{extra:0{size}b}" if size else "")
        for size, extra in zip(sizes.tolist(), coded.extra.tolist(), strict=True)
    )
    text += "1" * (-len(text) % 8)
    assert data.replace(b"\xff\0", b"\xff") == int(text, 2).to_bytes(len(text) // 8, "big")
