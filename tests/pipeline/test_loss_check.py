"""Pictures that the codec cannot do are noticed, and photos are not."""

from __future__ import annotations

import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from semcomp import SemcompWarning
from semcomp.codec.codec import Codec
from semcomp.imaging.picture import from_array, open_picture
from semcomp.pipeline.loss_check import lost_a_lot, may_be_unsuited

PHOTO = Path(__file__).parents[2] / "examples" / "photo.png"


def page(*, antialiased: bool) -> NDArray[np.uint8]:
    image = Image.new("L" if antialiased else "1", (192, 128), 255)
    draw = ImageDraw.Draw(image)
    for line in range(9):
        draw.text((4, 4 + 13 * line), "The quick brown fox jumps over it", fill=0)
    return np.asarray(image.convert("L"))


def graphics() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    image = Image.new("RGB", (192, 128), (240, 240, 240))
    draw = ImageDraw.Draw(image)
    for _ in range(20):
        x, y = int(rng.integers(0, 150)), int(rng.integers(0, 110))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        draw.rectangle([x, y, x + int(rng.integers(10, 60)), y + int(rng.integers(8, 30))], fill=colour)
        draw.text((x + 2, y + 2), "Cancel", fill=(0, 0, 0))
    return np.asarray(image)


UNSUITED = {
    "checkerboard": (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8),
    "stripes": np.tile(np.array([[255], [0]], np.uint8), (32, 64)),
    "text": page(antialiased=True),
    "text in one bit": page(antialiased=False),
    "graphics": graphics(),
    "palette": np.random.default_rng(0).integers(0, 2, (64, 64, 3), dtype=np.uint8) * 255,
}


@pytest.mark.parametrize("name", UNSUITED)
def test_the_loss_is_named_in_decibels(codec: Codec, name: str) -> None:
    assert may_be_unsuited(from_array(UNSUITED[name]))
    with pytest.warns(SemcompWarning, match=r"quality 50 keeps only \d+\.\d dB .* about 32 dB of a photo.*losslessly"):
        data = codec.encode(UNSUITED[name], quality=50)
    assert codec.decode(data).size == UNSUITED[name].shape[1::-1]


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (255, 0, 255), (128, 128, 128)])
def test_flat_colours_that_come_back_well_are_not_warned_of(codec: Codec, colour: tuple[int, int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec.encode(np.full((64, 64, 3), colour, np.uint8), quality=50)


@pytest.mark.parametrize(
    ("quality", "levels"),
    [(1, 18), (25, 12), (100, 4)],  # 23.03, 26.55 and 36.09 dB; a level more is 22.56, 25.85 and 34.15 dB
)
def test_a_loss_counts_where_it_is_unusual_and_visible(quality: int, levels: int) -> None:
    picture = from_array(np.full((8, 8, 3), 100, np.uint8))
    lost = [lost_a_lot(picture, picture.pixels + np.uint8(more), quality=quality) for more in (levels, levels + 1)]
    assert lost == [False, True]


def test_hard_edges_are_noticed_in_many_colours() -> None:
    colours = np.random.default_rng(3).integers(0, 90, (64, 64, 3), np.uint8)
    assert not may_be_unsuited(from_array((colours // 2).astype(np.uint8)))
    colours[:, ::2] += 160
    assert may_be_unsuited(from_array(colours))


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (2, 2)])
def test_tiny_pictures_are_looked_at_without_trouble(shape: tuple[int, int]) -> None:
    assert may_be_unsuited(from_array(np.zeros((*shape, 3), np.uint8)))


def test_photos_are_not_decoded_for_it(codec: Codec) -> None:
    picture = open_picture(PHOTO)
    assert not may_be_unsuited(picture)
    with patch.object(Codec, "render", side_effect=AssertionError("a photo was decoded")):
        codec.encode(picture, quality=5)
        codec.encode_to(picture, max_bytes=8000)
