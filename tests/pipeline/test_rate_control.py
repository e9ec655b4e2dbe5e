"""The search for a target on pictures whose size and PSNR go up and down with the quality."""

from __future__ import annotations

import math
from collections.abc import Callable
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from semcomp import SemcompWarning, TargetError
from semcomp.codec.codec import Codec
from semcomp.pipeline.rate_control import SCANNED_PIXELS, TRIES, Encoded, Target, search, search_refined


def attempts(sizes: list[int], db: list[float]) -> Callable[[int], Encoded]:
    tried: set[int] = set()

    def attempt(quality: int) -> Encoded:
        assert quality not in tried, "a quality is encoded once"
        tried.add(quality)
        return Encoded(data=bytes(sizes[quality - 1]), quality=quality, bpp=1.0, psnr_db=db[quality - 1])

    return attempt


@given(st.lists(st.integers(-40, 40), min_size=100, max_size=100), st.floats(25, 75))
@settings(max_examples=60, deadline=None)
def test_a_file_that_is_found_meets_the_target(noise: list[int], psnr: float) -> None:
    db = [25 + 0.4 * quality + 0.1 * wave for quality, wave in enumerate(noise)]
    try:
        found = search(attempts(list(range(100, 200)), db), Target(psnr_db=psnr), pixels=64)
    except TargetError:
        assert max(db) < psnr + 8  # noise of up to 8 dB may hide one quality from a search that stops early
        return
    assert found.psnr_db is not None and found.psnr_db >= psnr


def test_growing_curves_are_bisected() -> None:
    sizes, db = list(range(100, 300, 2)), [20 + 0.3 * quality for quality in range(100)]
    for pixels in (64, SCANNED_PIXELS + 1):
        attempt = Mock(side_effect=attempts(sizes, db))
        assert search(attempt, Target(psnr_db=35.0), pixels=pixels).quality == 51
        assert attempt.call_count <= 7
        assert search(attempts(sizes, db), Target(max_bytes=199.5), pixels=pixels).quality == 50
        assert search(attempts(sizes, db), Target(max_bytes=205), pixels=pixels).quality == 53


@pytest.mark.parametrize("pixels", [64, SCANNED_PIXELS + 1])
def test_a_single_quality_that_reaches_the_target_is_found(pixels: int) -> None:
    db = [20 + 0.2 * quality for quality in range(100)]
    db[95] = 41.0  # quality 96 alone; bisection goes to 100 and sees it fail
    best = search(attempts(list(range(100, 200)), db), Target(psnr_db=40.5), pixels=pixels)
    assert best.quality == 96


@pytest.mark.parametrize("first", [83, 86])
def test_a_large_picture_is_searched_on_both_sides_of_the_best_coarse_quality(first: int) -> None:
    db = [20 + 0.1 * quality if quality < first else 22.0 for quality in range(1, 101)]
    db[first - 1 : first + 3] = [41.0] * 4  # 86 is the one coarse quality among them
    for sizes, best in ((range(100, 200), first), (range(200, 100, -1), first + 3)):
        target = Target(psnr_db=40.0)
        assert search(attempts(list(sizes), db), target, pixels=SCANNED_PIXELS + 1).quality == best


def test_a_miss_names_the_nearest_file() -> None:
    sizes = [70, 60, *range(80, 178)]
    with pytest.raises(TargetError, match=r"no quality reaches 55 bytes: quality 2 gives 60 bytes"):
        search(attempts(sizes, [30.0] * 100), Target(max_bytes=55), pixels=64)
    db = [30.0] * 100
    db[70] = 39.0
    with pytest.raises(TargetError, match=r"no quality reaches 40 dB: the best is 39.00 dB, quality 71"):
        search(attempts(list(range(100, 200)), db), Target(psnr_db=40.0), pixels=64)


def test_what_is_far_out_of_reach_is_not_scanned() -> None:
    attempt = Mock(side_effect=attempts(list(range(1000, 1100)), [20 + 0.2 * quality for quality in range(100)]))
    with pytest.raises(TargetError):
        search(attempt, Target(psnr_db=70.0), pixels=SCANNED_PIXELS)
    assert attempt.call_count <= 7


FLAT = {
    "one pixel": np.full((1, 1, 3), (255, 0, 0), np.uint8),
    "flat red": np.full((16, 16, 3), (255, 0, 0), np.uint8),
    "grey ramp": np.tile(np.arange(32, dtype=np.uint8), (16, 1)),
}


def _scan(codec: Codec, image: NDArray[np.uint8]) -> list[Encoded]:
    from semcomp.imaging.metrics import psnr_db
    from semcomp.imaging.picture import as_picture

    picture, made = as_picture(image), []
    for quality in range(1, 101):
        data = codec.encode(image, quality=quality)
        decoded = np.asarray(codec.decode(data).convert("RGB"))
        made.append(Encoded(data=data, quality=quality, bpp=0.0, psnr_db=psnr_db(picture.pixels, decoded)))
    return made


@pytest.mark.filterwarnings("ignore::semcomp.SemcompWarning")
@pytest.mark.parametrize("name", FLAT)
def test_flat_and_tiny_pictures_reach_what_any_quality_reaches(codec: Codec, name: str) -> None:
    image = FLAT[name]
    made = _scan(codec, image)
    reached = [encoded.psnr_db for encoded in made if encoded.psnr_db is not None]
    best = max(reached)
    if math.isfinite(best):
        found = codec.encode_to(image, psnr=best - 1e-6)
        assert found.psnr_db is not None and found.psnr_db >= best - 1e-6
        with pytest.raises(TargetError, match="the best is"):
            codec.encode_to(image, psnr=best + 0.5)
    smallest = min(len(encoded.data) for encoded in made)
    assert len(codec.encode_to(image, max_bytes=smallest).data) <= smallest
    with pytest.raises(TargetError, match="no quality reaches"):
        codec.encode_to(image, max_bytes=smallest - 1)


def test_a_checkerboard_says_what_it_can_reach(codec: Codec) -> None:
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    with pytest.raises(TargetError, match=r"no quality reaches 30 dB: the best is 6\.\d\d dB"):
        codec.encode_to(board, psnr=30)
    with pytest.warns(SemcompWarning, match="losslessly"):
        assert len(codec.encode_to(board, max_bytes=400).data) <= 400


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "exactly one of bpp, max_bytes, psnr, not none"),
        ({"bpp": 1, "psnr": 30}, "not bpp and psnr"),
        ({"bpp": 0}, "bpp is a number above 0, not 0"),
        ({"psnr": float("nan")}, "psnr is a number above 0, not nan"),
        ({"psnr": float("inf")}, "not inf"),
        ({"max_bytes": "9000"}, "max_bytes is a number above 0, not '9000'"),
        ({"max_bytes": True}, "not True"),
    ],
)
def test_targets_that_make_no_sense_are_refused(codec: Codec, targets: dict[str, float], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        codec.encode_to(np.zeros((8, 8, 3), np.uint8), **targets)  # type: ignore[arg-type]


def fitted(sizes: list[int], db: list[float]) -> Mock:
    """Files of a high effort: 10 % larger, and 1 dB better."""
    return Mock(side_effect=attempts([size * 11 // 10 for size in sizes], [value + 1 for value in db]))


def test_a_high_effort_moves_to_the_quality_whose_fitted_file_meets_the_target() -> None:
    sizes, db = [100 + 4 * quality for quality in range(100)], [20 + 0.1 * quality for quality in range(100)]
    slow = fitted(sizes, db)
    best = search_refined(attempts(sizes, db), slow, Target(max_bytes=300.0), pixels=1 << 20)
    assert best.quality == 44 and len(best.data) == 299 and slow.call_count <= TRIES  # plain: quality 51
    best = search_refined(attempts(sizes, db), fitted(sizes, db), Target(psnr_db=25.0), pixels=1 << 20)
    assert best.quality == 41 and len(best.data) == 286  # plain: quality 51 and 300 bytes


def test_a_high_effort_keeps_the_plain_file_where_no_fitted_one_is_better() -> None:
    sizes, db = [100 + 4 * quality for quality in range(100)], [20 + 0.1 * quality for quality in range(100)]
    worse = attempts([2 * size for size in sizes], db)
    best = search_refined(attempts(sizes, db), worse, Target(psnr_db=25.0), pixels=1 << 20)
    assert best.quality == 51 and len(best.data) == 300
