"""Thumbnails as codes: every beginning decodes, hostile bytes do no harm, shape and alpha are kept."""

from __future__ import annotations

import base64
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import semcomp
from semcomp.errors import FormatError, ModelError, TargetError
from semcomp.imaging.metrics import psnr_db, ssim
from semcomp.thumbs import header
from semcomp.thumbs.bitcoder import BitDecoder, BitEncoder, Exhausted
from semcomp.thumbs.pixels import PixelTables, repair, shape
from semcomp.thumbs.tables import FILE, parse, released
from semcomp.thumbs.text import data_uri, from_text, to_text
from semcomp.thumbs.thumb import canvas, decode_canvas, thumb, thumb_image
from tests.thumbs.golden import made_up_network
from train.thumbs_pixels import Blocks

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "photo.png"
GOLDEN = ROOT / "tests" / "golden" / "thumbs.json"


@pytest.fixture(scope="module")
def small() -> NDArray[np.uint8]:
    """The sample photo as a canvas, (32, 32, 3)."""
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))


def test_every_prefix_decodes_and_longer_ones_are_better(small: NDArray[np.uint8]) -> None:
    code = thumb(small, 600)
    errors = []
    for length in [*range(0, 40), 64, 128, 300, 600]:
        pixels, ratio = decode_canvas(code[:length])
        assert pixels.shape == (32, 32, 3) and ratio == (1, 1)
        errors.append(psnr_db(small, pixels))
    assert errors[-1] > 32 and errors[40] > errors[10] > errors[3]
    assert min(b - a for a, b in itertools.pairwise(errors)) > -1.5


def test_codes_of_one_grade_begin_alike(small: NDArray[np.uint8]) -> None:
    ends = [0, *released().grades[:, 0].tolist(), 900]
    for least, most in itertools.pairwise(ends):
        whole = thumb(small, most)
        assert [thumb(small, n) == whole[:n] for n in (least + 1, (least + most) // 2)] == [True] * 2


def test_a_short_code_looks_better_than_the_beginning_of_a_long_one() -> None:
    with Image.open(PHOTO) as opened:
        photo = opened.convert("RGB")
    corners = [(x, y, x + photo.width // 2, y + photo.height // 2) for x in (0, 200) for y in (0, 100)]
    pictures = [np.asarray(photo.resize((32, 32), Image.Resampling.BILINEAR, box=box)) for box in corners]
    for size in (24, 48, 64):
        gains = [
            ssim(picture, decode_canvas(thumb(picture, size))[0])
            - ssim(picture, decode_canvas(thumb(picture, 2048)[:size])[0])
            for picture in pictures
        ]
        assert np.mean(gains) > 0.01, (size, gains)


def test_the_whole_code_is_nearly_exact(small: NDArray[np.uint8]) -> None:
    code = thumb(small, 4096)
    pixels, _ = decode_canvas(code)
    assert len(code) < 2600
    assert psnr_db(small, pixels) > 50 and ssim(small, pixels) > 0.999
    assert thumb_image(code + b"more", 32).tobytes() == thumb_image(code, 32).tobytes()


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (1600, 900), (500, 53), (1, 1), (1, 900), (33, 32)])
def test_the_aspect_ratio_is_kept(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 80).convert("RGB")
    shown = thumb_image(thumb(image, 24), 200)
    assert max(shown.size) == 200
    wanted = min(max(size[0] / size[1], 1 / 8), 8)
    assert abs(np.log(shown.size[0] / shown.size[1] / wanted)) < 0.06


def test_alpha_is_kept_and_transparent_colours_do_not_leak() -> None:
    pixels = np.zeros((96, 96, 4), np.uint8)
    pixels[..., :3] = (0, 0, 255)  # invisible blue
    pixels[24:72, 24:72] = (230, 120, 20, 255)
    shown = thumb_image(thumb(Image.fromarray(pixels), 64), 32)
    assert shown.mode == "RGBA"
    values = np.asarray(shown).astype(int)
    assert values[16, 16, 3] > 200 and values[2, 2, 3] < 60 and values[29, 29, 3] < 60
    assert values[16, 16, 0] > 180 and values[16, 16, 2] < 90
    opaque = Image.fromarray(np.concatenate([pixels[..., :3], np.full((96, 96, 1), 255, np.uint8)], -1))
    assert thumb_image(thumb(opaque, 32)).mode == "RGB"


def test_a_fully_transparent_image_decodes() -> None:
    shown = np.asarray(thumb_image(thumb(Image.new("RGBA", (40, 20), (9, 9, 9, 0)), 48)))
    assert shown.shape == (16, 32, 4) and shown[..., 3].max() < 60


@settings(max_examples=60)
@given(st.binary(max_size=700))
def test_hostile_bytes_give_a_picture_or_one_sentence(data: bytes) -> None:
    try:
        image = thumb_image(data, 20)
    except FormatError as error:
        assert "byte 0x" in str(error)
    else:
        assert max(image.size) == 20


@given(st.text(max_size=80))
def test_hostile_text_gives_a_picture_or_one_sentence(text: str) -> None:
    try:
        assert max(thumb_image(text, 8).size) == 8
    except FormatError as error:
        assert str(error)[-1].isalpha() and len(str(error)) > 40


@given(st.binary(max_size=60), st.integers(0, 80))
def test_cut_text_is_cut_code(code: bytes, length: int) -> None:
    text = to_text(code)
    assert from_text(text) == code
    assert code.startswith(from_text(text[:length])[: max(0, length * 3 // 4)])


def test_a_data_uri_is_a_png(small: NDArray[np.uint8]) -> None:
    uri = data_uri(thumb_image(thumb(small, 32), 24))
    kind, _, body = uri.partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (24, 24)


def test_errors_are_sentences(small: NDArray[np.uint8]) -> None:
    with pytest.raises(TargetError, match="at least 1 byte, not 0: raise max_bytes"):
        thumb(small, 0)
    with pytest.raises(TargetError, match="1 to 4,096 pixels, not 0"):
        thumb_image(b"", 0)
    with pytest.raises(TargetError, match="1 to 4,096 pixels, not 4097"):
        thumb_image(b"", 4097)
    with pytest.raises(FormatError, match="'!' at character 3"):
        thumb_image("ab!c")
    with pytest.raises(FormatError, match="'!' at character 7"):
        thumb_image("  a b\n!c")
    with pytest.raises(FormatError, match="begins with byte 0xbf"):
        thumb_image(b"\xbfabc")
    with pytest.raises(ModelError, match="install semcomp again"):
        parse(b"junk")
    with pytest.raises(ModelError, match="its format is another one"):
        parse(FILE.read_bytes().replace(b"semcomp-thumbs-1", b"semcomp-thumbs-7"))


def test_the_shorter_side_is_rounded() -> None:
    assert [header.size_within(ratio, 100) for ratio in ((3, 2), (2, 3), (7, 5), (8, 1))] == [
        (100, 67),
        (67, 100),
        (100, 71),
        (100, 12),
    ]
    assert header.size_within((8, 1), 1) == (1, 1)
    for wide, tall, longest, *size in json.loads(GOLDEN.read_text(encoding="utf-8"))["sizes"]:
        assert header.size_within((wide, tall), longest) == tuple(size), "the browser draws this size too"


def test_every_header_byte_is_a_shape_or_refused() -> None:
    for first in range(256):
        if first & 0x3F == 63:
            with pytest.raises(FormatError):
                header.unpack(first)
        else:
            head = header.unpack(first)
            assert header.pack(*head.ratio, alpha=head.alpha, short=head.short) == first


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(24, 65512)), max_size=300), st.integers(0, 40))
def test_the_decoder_returns_a_true_prefix_of_the_decisions(steps: list[tuple[int, int]], cut: int) -> None:
    encoder = BitEncoder(10_000)
    for bit, probability in steps:
        encoder.code(bit, probability)
    data = encoder.finish()
    for code, everything in ((data, True), (data[:cut], False)):
        decoder = BitDecoder(code)
        seen = []
        try:
            for _, probability in steps:
                seen.append(decoder.code(0, probability))
        except Exhausted:
            assert not everything
        assert seen == [bit for bit, _ in steps][: len(seen)]


def test_carries_run_through_bytes_of_255() -> None:
    """Zeros of probability 24 / 65536 push the code to the top of its range; a late 1 lets it carry."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        steps = [(int(rng.random() < 0.02), int(rng.choice([24, 3, 65512]))) for _ in range(400)]
        encoder = BitEncoder(10_000)
        for bit, probability in steps:
            encoder.code(bit, probability)
        decoder = BitDecoder(encoder.finish())
        assert [decoder.code(0, probability) for _, probability in steps] == [bit for bit, _ in steps]


def test_golden_codes_show_the_same_pixels() -> None:
    """The codes were written when the weights were released; every later version shows the same pixels."""
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))["rows"]
    assert len(rows) > 20
    for row in rows:
        pixels, ratio = decode_canvas(base64.b64decode(row["code"]))
        assert list(ratio) == row["ratio"]
        assert pixels.tobytes() == base64.b64decode(row["pixels"])


def test_a_network_repairs_the_same_pixels_as_everywhere() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    tables = replace(released(), short=replace(released().short, repair=made_up_network()))
    codes = [row["code"] for row in golden["rows"] if row["picture"] == 0]
    assert len(codes) == len(golden["repaired"]) > 4
    for code, wanted in zip(codes, golden["repaired"], strict=True):
        assert decode_canvas(base64.b64decode(code), tables)[0].tobytes() == base64.b64decode(wanted)


def test_the_integer_networks_follow_the_trained_ones() -> None:
    torch.manual_seed(3)
    network = Blocks(8, 3, 26)
    torch.nn.init.normal_(cast(Tensor, network.convolutions[-1].weight), std=0.05)
    arrays = network.rounded("it")
    tables = PixelTables(
        layers=tuple((arrays[f"it{n}.weight"].astype(float), arrays[f"it{n}.bias"].astype(float)) for n in range(3))
    )
    drawn = np.random.default_rng(1).normal(0, 40, (32, 32, 3))
    x = torch.from_numpy(drawn).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        wanted = (x + network(x, torch.tensor([0])))[0].permute(1, 2, 0).numpy() + 128
    assert np.abs(repair(tables, drawn, 0) - wanted.clip(0, 255)).max() < 2
    assert np.abs(shape(tables, drawn + 128, 0) - wanted).max() < 2
    assert np.abs(wanted - drawn - 128).mean() > 2


def test_golden_pictures_give_the_same_codes() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for row in golden["rows"]:
        if row["picture"] is not None:
            image = Image.open(io.BytesIO(base64.b64decode(golden["pictures"][row["picture"]])))
            assert thumb(image, row["bytes"]) == base64.b64decode(row["code"])


def test_thumbnails_are_far_better_than_their_mean_colour(small: NDArray[np.uint8]) -> None:
    flat = np.broadcast_to(small.mean((0, 1)).round().astype(np.uint8), small.shape)
    shown, _ = decode_canvas(thumb(small, 24))
    assert psnr_db(small, shown) > psnr_db(small, flat) + 4


def test_the_package_offers_both_calls() -> None:
    assert semcomp.thumb is thumb and semcomp.thumb_image is thumb_image


def test_the_canvas_of_an_opaque_picture_has_no_alpha(small: NDArray[np.uint8]) -> None:
    from semcomp.imaging.picture import as_picture

    pixels, alpha = canvas(as_picture(small))
    assert alpha is None and np.array_equal(pixels, small)
