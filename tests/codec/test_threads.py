"""Threads that share a codec get the bytes and pixels that one thread gets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.codec.codec import Codec
from semcomp.imaging.picture import open_picture

PHOTO = Path(__file__).parents[2] / "examples" / "photo.png"
THREADS = 4


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """One thread of torch for everybody, as the main thread has for small pictures. Two sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def crops() -> list[NDArray[np.uint8]]:
    """Six crops of six sizes, so that caches by shape change while other threads read them."""
    pixels = open_picture(PHOTO).pixels
    return [np.ascontiguousarray(pixels[k : k + 96 + 17 * k, 2 * k : 2 * k + 200 - 13 * k]) for k in range(6)]


def round_trip(codec: Codec, crop: NDArray[np.uint8], quality: int) -> tuple[bytes, bytes, bytes]:
    data = codec.encode(crop, quality=quality)
    fast = codec.latents(data).y_hat.contiguous().numpy().tobytes()
    return data, np.asarray(codec.decode(data)).tobytes(), fast


def test_threads_give_what_one_thread_gives(codec: Codec, crops: list[NDArray[np.uint8]]) -> None:
    jobs = [(crop, quality) for quality in (10, 50, 90) for crop in crops] * 2
    expected = [round_trip(codec, crop, quality) for crop, quality in jobs]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda job: round_trip(codec, *job), jobs))
    for wanted, got in zip(expected, found, strict=True):
        assert got == wanted


def test_a_codec_that_is_used_by_threads_from_its_first_call_on(crops: list[NDArray[np.uint8]]) -> None:
    """Whatever is built at the first call is built once, or is equal."""
    import semcomp

    fresh, reference = semcomp.load(), semcomp.load()
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda crop: round_trip(fresh, crop, 40), crops))
    assert found == [round_trip(reference, crop, 40) for crop in crops]
