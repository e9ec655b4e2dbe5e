"""Every orientation of every format is applied, and the records say so, whatever else is wrong with them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semcomp.errors import SemcompWarning
from semcomp.imaging.exif import is_adobe_rgb, orientation_in
from semcomp.imaging.picture import Picture, as_picture, open_picture, to_pil
from tests.imaging.files import file_of, with_chunks

UPRIGHT = Image.new("RGB", (48, 32))
UPRIGHT.paste("white", (0, 0, 16, 16))
UPRIGHT.paste("red", (32, 0, 48, 16))
BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
TURNS = [None, None, *(Image.Transpose(value) for value in (0, 3, 1, 5, 4, 6, 2))]
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
    b'tiff:Orientation="%d" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
)


def stored(orientation: int) -> Image.Image:
    """The pixels as a camera stores them."""
    turn = TURNS[BACK[orientation]]
    return UPRIGHT if turn is None else UPRIGHT.transpose(turn)


def record(orientation: int, *more: bytes, order: str = "<", type: int = 3) -> bytes:
    """The TIFF block of an EXIF record with an orientation and further 12-byte entries, which may make no sense."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[type], orientation)
    entry = struct.pack(order + "HHI", 0x0112, type, 1) + value
    return mark + struct.pack(order + "IH", 8, 1 + len(more)) + entry + b"".join(more) + bytes(4) + b"rest"


UNWRITABLE = struct.pack("<HHI4s", 0x0102, 4, 1, bytes.fromhex("ffffffff"))  # BitsPerSample as a LONG above a SHORT
UNREADABLE = struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF0)  # an Exif directory outside the record
OF_NO_TYPE = struct.pack("<HHII", 0x9999, 99, 7, 12345)
BEYOND = struct.pack("<HHII", 0x010F, 2, 40_000, 5)
MORE = {"plain": (), "unwritable": (UNWRITABLE,), "unreadable": (UNREADABLE,), "both": (UNWRITABLE, UNREADABLE)}
MORE |= {"no type": (OF_NO_TYPE,), "beyond the record": (BEYOND,)}


def assert_upright(picture: Picture) -> None:
    assert (picture.width, picture.height) == (48, 32)
    pixels = picture.pixels.astype(int)
    assert pixels[2:14, 2:14].min() > 200
    assert pixels[2:14, 34:46, 0].min() > 200 and pixels[2:14, 34:46, 1:].max() < 60
    assert pixels[18:].max() < 60 and pixels[:, 18:30].max() < 60


@pytest.mark.filterwarnings(
    "ignore:the metadata of the image is damaged", "ignore:Tag data larger", "ignore:Corrupt EXIF"
)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_other_tags_do_not_matter(orientation: int, what: str, format: str, tmp_path: Path) -> None:
    block = record(orientation, *MORE[what])
    data = file_of(stored(orientation), format, exif=b"Exif\0\0" + block, quality=95)
    (tmp_path / "a").write_bytes(data)
    for source in (data, tmp_path / "a", Image.open(tmp_path / "a")):
        picture = as_picture(source)
        assert_upright(picture)
        if what == "plain":
            assert picture.exif is None or orientation_in(picture.exif) == 1
            continue
        changed = bytearray(block)
        changed[18] = 1
        assert picture.exif == bytes(changed), "the other tags are kept to the byte"


@pytest.mark.parametrize(("order", "type"), [("<", 3), (">", 3), ("<", 4), (">", 4), ("<", 1), (">", 1)])
def test_every_way_to_write_the_number(order: str, type: int) -> None:
    tag = struct.pack(order + "HHI4s", 0x0131, 2, 3, b"me\0\0")
    picture = open_picture(
        file_of(stored(6), "JPEG", exif=b"Exif\0\0" + record(6, tag, order=order, type=type), quality=95)
    )
    assert_upright(picture)
    assert orientation_in(picture.exif) == 1
    assert to_pil(picture).getexif()[0x0131] == "me"


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    assert_upright(open_picture(file_of(UPRIGHT, "JPEG", exif=b"Exif\0\0" + record(orientation), quality=95)))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_tiff(orientation: int) -> None:
    data = file_of(stored(orientation), "TIFF", tiffinfo={274: orientation, 271: "Maker"})
    picture = open_picture(data)
    assert_upright(picture)
    exif = to_pil(picture).getexif()
    assert exif[271] == "Maker" and exif.get(274, 1) == 1
    image = Image.open(io.BytesIO(data))
    assert_upright(as_picture(image))
    image.load()
    assert_upright(as_picture(image))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("own", [None, 1, 6])
def test_the_boxes_of_avif_rule(orientation: int, own: int | None) -> None:
    """Pillow turns the orientation of the EXIF record into irot and imir boxes when it writes."""
    data = file_of(stored(orientation), "AVIF", exif=b"Exif\0\0" + record(orientation), quality=95)
    assert b"irot" in data or b"imir" in data
    assert_upright(open_picture(data))
    assert_upright(as_picture(Image.open(io.BytesIO(data))))


def test_avif_with_an_exif_tag_that_cannot_be_written() -> None:
    plain = record(6, struct.pack("<HHI4s", 0x0102, 3, 1, b"\xff\0\0\0"))
    data = file_of(stored(6), "AVIF", exif=b"Exif\0\0" + plain, quality=95)
    at = data.index(b"\x02\x01\x03\x00\x01")
    data = data[:at] + UNWRITABLE + data[at + 12 :]
    picture = open_picture(data)
    assert_upright(picture)
    assert picture.exif is not None and UNWRITABLE in picture.exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic(orientation: int) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    block = record(orientation, struct.pack("<HHI4s", 0x0131, 2, 3, b"me\0\0"))
    data = file_of(stored(orientation), "HEIF", exif=b"Exif\0\0" + block, quality=95)
    picture = open_picture(data)
    assert_upright(picture)
    assert to_pil(picture).getexif()[0x0131] == "me"
    assert orientation_in(picture.exif) in (None, 1)


WITH_XMP: dict[str, Callable[[Image.Image, bytes], bytes]] = {
    "JPEG": lambda image, xmp: file_of(image, "JPEG", xmp=xmp, quality=95),
    "WEBP": lambda image, xmp: file_of(image, "WEBP", xmp=xmp, lossless=True),
    "PNG": lambda image, xmp: with_chunks(file_of(image), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
    "TIFF": lambda image, xmp: file_of(image, "TIFF", tiffinfo={700: xmp}),
}


@pytest.mark.parametrize("format", WITH_XMP)
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_xmp_is_kept_and_its_orientation_is_applied(format: str, orientation: int) -> None:
    data = WITH_XMP[format](stored(orientation), XMP % orientation)
    for source in (data, Image.open(io.BytesIO(data))):
        picture = as_picture(source)
        assert_upright(picture)
        assert picture.xmp == XMP % 1


def test_extended_xmp_is_left_out_in_words() -> None:
    packet = b'<x:xmpmeta xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"/>'
    with pytest.warns(SemcompWarning, match="extended XMP .* is left out"):
        assert open_picture(file_of(UPRIGHT, "JPEG", xmp=packet)).xmp == packet


def test_exif_before_xmp() -> None:
    data = file_of(stored(6), "JPEG", exif=b"Exif\0\0" + record(6, UNWRITABLE), xmp=XMP % 3, quality=95)
    picture = open_picture(data)
    assert_upright(picture)
    assert picture.xmp == XMP % 1 and orientation_in(picture.exif) == 1


def test_a_pil_image_whose_exif_was_changed_in_memory() -> None:
    image = stored(8).copy()
    image.getexif()[0x0112] = 8
    assert_upright(as_picture(image))
    opened = Image.open(io.BytesIO(file_of(stored(6), "JPEG", exif=b"Exif\0\0" + record(6), quality=95)))
    opened.getexif()[0x0112] = 1
    assert as_picture(opened).width == 32, "the caller says that it is upright"


def test_texts_of_tiff_that_are_not_ascii_keep_their_bytes() -> None:
    name = "J\u00f6rg".encode()
    data = file_of(UPRIGHT, "TIFF", tiffinfo={0x13B: name, 0x10E: "\u00e4".encode("latin-1")})
    exif = open_picture(data).exif
    assert exif is not None and name + b"\0" in exif and b"\xe4\0" in exif


def test_a_directory_inside_a_directory_of_tiff_is_kept() -> None:
    tags = {0x8769: {0xA001: 0xFFFF, 0xA005: {1: "R03"}}}
    assert is_adobe_rgb(open_picture(file_of(UPRIGHT, "TIFF", tiffinfo=tags)).exif)


def test_tags_of_tiff_that_cannot_be_written_are_named() -> None:
    image = Image.open(io.BytesIO(file_of(UPRIGHT, "TIFF", tiffinfo={271: "Maker"})))
    image.getexif()[0x010E] = object()
    with pytest.warns(SemcompWarning, match="0x010e .*cannot be written"):
        picture = as_picture(image)
    assert to_pil(picture).getexif()[271] == "Maker"


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_cut_records_raise_nothing(length: int) -> None:
    picture = Picture(pixels=np.zeros((2, 2, 3), np.uint8), exif=record(6, UNWRITABLE, UNREADABLE)[:length])
    assert orientation_in(picture.exif) in (None, 6)
