"""ThumbHash, BlurHash and the byte counts of photo codecs, as the benchmark of thumbnails uses them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.thumbs_peers import blurhash, ladder, thumbhash, within


def gradient(height: int = 32, width: int = 32) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    planes = [255 * x // width, 255 * y // height, np.full_like(x, 60)]
    pixels: NDArray[np.uint8] = np.stack(planes, -1).astype(np.uint8)
    return pixels


def test_thumbhash_has_its_published_length() -> None:
    """Square opaque images take 5 + ceil(37 / 2) bytes; a landscape tells fewer rows."""
    assert thumbhash(gradient())[1] == 24
    assert thumbhash(gradient(18, 32))[1] < 24


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 40, 90), (10, 120, 250)])
def test_flat_images_stay_flat(colour: tuple[int, int, int]) -> None:
    flat = np.full((32, 32, 3), colour, np.uint8)
    shown = thumbhash(flat)[0].astype(int)
    assert np.abs(shown - flat).max() <= 12
    row = blurhash(flat, 28)
    assert row is not None and np.abs(row[0].astype(int) - flat).max() <= 2


def test_gradients_are_recognisable() -> None:
    image = gradient().astype(int)
    assert np.abs(thumbhash(gradient())[0] - image).mean() < 16
    row = blurhash(gradient(), 28)
    assert row is not None and row[1] == 28 and np.abs(row[0] - image).mean() < 20
    assert blurhash(gradient(), 5) is None


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_photo_codecs_count_bytes_without_headers(name: str) -> None:
    steps = ladder(name, gradient())
    sizes = [size for _, size in steps]
    assert min(sizes) > 0 and sizes[-1] > sizes[0]
    chosen = within(steps, 200)
    assert chosen is not None and chosen[1] <= 200
    assert within(steps, 0) is None
