"""JPEG files that were made for the restorer: standard files, on target, and better than Pillow's of their size."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import semcomp
from semcomp.errors import ImageError, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.jpeg.reader import read_jpeg
from semcomp.jpeg.records import records_of, restorer_mark
from semcomp.jpeg.writer import write_jpeg
from semcomp.restoration import compact, compact_encoder
from semcomp.restoration.compact import encode_compact
from semcomp.restoration.compact_encoder import CompactConfig, PictureEncoder
from semcomp.restoration.network import Restorer, RestorerConfig
from semcomp.restoration.planes import restored_pixels
from semcomp.restoration.rate_model import RateModel, worthwhile
from semcomp.restoration.restorer_file import TrainedRestorer
from tests.jpeg.files import jpeg, photo

FAST = CompactConfig(iterations=3)


@pytest.fixture(scope="module")
def timid() -> TrainedRestorer:
    """A restorer that changes little, as one does that has learned nothing yet."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = Restorer(RestorerConfig(channels=8, blocks=1, condition=8))
    network.trunk.head.weight.data *= 0.1
    return TrainedRestorer(network)


@pytest.mark.parametrize("grey", [False, True])
def test_a_psnr_is_met_closely_and_the_figures_are_true(grey: bool, timid: TrainedRestorer) -> None:
    image = photo(96, 120, grey=grey)
    encoded = encode_compact(from_array(np.asarray(image)), timid, psnr=30, config=FAST)
    assert 30 <= encoded.psnr_db < 31.5
    restored = semcomp.restore(encoded.data, weights=timid)
    shown = Image.open(io.BytesIO(encoded.data))
    assert (shown.size, shown.mode) == (image.size, image.mode)
    for figure, result in ((encoded.psnr_db, restored), (encoded.plain_psnr_db, shown)):
        assert figure == pytest.approx(psnr_db(np.asarray(image), np.asarray(result)), abs=1e-6)
    assert restorer_mark(read_jpeg(encoded.data)) == timid.restorer_id


def test_every_look_of_the_restorer_is_told_and_changes_nothing(timid: TrainedRestorer) -> None:
    picture, steps = from_array(np.asarray(photo(96, 120))), []
    told = encode_compact(picture, timid, scale=1.0, config=FAST, on_step=lambda: steps.append(1))
    assert told.data == encode_compact(picture, timid, scale=1.0, config=FAST).data
    assert len(steps) == FAST.iterations + 1


def test_a_size_is_kept_and_used(timid: TrainedRestorer) -> None:
    picture = from_array(np.asarray(photo(96, 120)))
    encoded = encode_compact(picture, timid, max_bytes=4000, config=FAST)
    assert 3000 < len(encoded.data) <= 4000


def test_plain_viewers_show_more_than_pillows_file_of_this_size(timid: TrainedRestorer) -> None:
    image = photo(128, 160)
    encoded = encode_compact(from_array(np.asarray(image)), timid, max_bytes=6000, config=FAST)
    files = [jpeg(image, quality=quality, optimize=True) for quality in range(1, 96)]
    rival = [file for file in files if len(file) <= len(encoded.data)][-1]
    theirs = psnr_db(np.asarray(image), np.asarray(Image.open(io.BytesIO(rival))))
    assert encoded.plain_psnr_db > theirs


def test_the_gradient_makes_up_for_what_the_restorer_does(restorer: TrainedRestorer) -> None:
    """A restorer with random weights spoils pictures: an encoder that knows it can do better than one that does not."""
    picture = from_array(np.asarray(photo(96, 120)))
    with_it, without = (
        encode_compact(picture, restorer, scale=0.7, config=replace(FAST, iterations=number, plain=0))
        for number in (6, 0)
    )
    assert with_it.psnr_db > without.psnr_db + 0.3
    assert len(with_it.data) < 1.15 * len(without.data)


def test_targets_are_found_where_the_gradient_moves_files_far(restorer: TrainedRestorer) -> None:
    image = Image.new("RGB", (64, 48), "white")
    draw = ImageDraw.Draw(image)
    for row, colour in enumerate(("red", "black", "blue", "green")):
        draw.text((2, 12 * row), "Save file", fill=colour)
    picture = from_array(np.asarray(image))
    known = encode_compact(picture, restorer, scale=0.15, config=FAST)
    small = encode_compact(picture, restorer, psnr=known.psnr_db - 0.01, config=FAST)
    assert small.psnr_db >= known.psnr_db - 0.01 and len(small.data) < 1.06 * len(known.data)
    good = encode_compact(picture, restorer, max_bytes=len(known.data) + 1, config=FAST)
    assert len(good.data) <= len(known.data) + 1 and good.psnr_db > known.psnr_db - 0.5


def test_what_no_file_can_meet_is_refused_with_the_best_that_was_found(timid: TrainedRestorer) -> None:
    picture = from_array(np.asarray(photo(96, 120)))
    with pytest.raises(
        TargetError, match=r"as small as 20 bytes: the smallest that was found has [1-9],?\d+ bytes; enc"
    ):
        encode_compact(picture, timid, max_bytes=20, config=FAST)
    with pytest.raises(TargetError, match=r"as small as 0.01 bpp: .* bytes, 0\.\d+ bpp; encode"):
        encode_compact(picture, timid, bpp=0.01, config=FAST)
    with pytest.raises(TargetError, match=r"reaches 90 dB: the best that was found has \d\d\.\d\d dB"):
        encode_compact(picture, timid, psnr=90, config=FAST)
    profiled = replace(picture, icc=bytes(3144))
    with pytest.raises(TargetError, match="leave out 3,144 bytes of metadata with strip=True, or"):
        encode_compact(profiled, timid, max_bytes=2000, config=FAST)
    with pytest.raises(TargetError, match="exactly one"):
        encode_compact(picture, timid, config=FAST)


def test_chroma_keeps_its_resolution_where_a_psnr_needs_it(timid: TrainedRestorer) -> None:
    colours = np.random.default_rng(5).integers(0, 256, (32, 32, 3), np.uint8)
    encoded = encode_compact(from_array(colours), timid, psnr=31, config=FAST)
    assert encoded.psnr_db >= 31
    assert read_jpeg(encoded.data).factors == (1, 1)


def coloured_text() -> Image.Image:
    """Red and blue words on grey, whose colours 4:2:0 smears."""
    image = Image.new("RGB", (96, 64), (200, 200, 200))
    draw = ImageDraw.Draw(image)
    for row, colour in enumerate(("red", "blue", "red", "blue", "red")):
        draw.text((2, 12 * row), "Save the file", fill=colour)
    return image


@pytest.mark.parametrize("target", [{"psnr": 21.0}, {"max_bytes": 4000}, {"bpp": 5.0}])
def test_chroma_keeps_its_resolution_where_that_is_better(
    target: dict[str, Any], timid: TrainedRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_array(np.asarray(coloured_text()))
    free = encode_compact(picture, timid, **target, config=FAST)
    assert read_jpeg(free.data).factors == (1, 1)
    monkeypatch.setattr(compact, "_CHROMA_SHARE", math.inf)
    halved = encode_compact(picture, timid, **target, config=FAST)
    assert read_jpeg(halved.data).factors == (2, 2)
    ahead = free.psnr_db - halved.psnr_db - 5 * math.log2(len(free.data) / len(halved.data))
    assert ahead > 1


def test_smooth_colours_are_halved_without_a_trial(timid: TrainedRestorer, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[tuple[int, int]] = []

    class Counted(PictureEncoder):
        def __init__(self, *arguments: Any, factors: tuple[int, int], **options: Any) -> None:
            prepared.append(factors)
            super().__init__(*arguments, factors=factors, **options)

    monkeypatch.setattr(compact, "PictureEncoder", Counted)
    tinted = (np.asarray(photo(64, 64, grey=True).convert("RGB")) // np.array([1, 2, 2])).astype(np.uint8)
    encoded = encode_compact(from_array(tinted), timid, psnr=30, config=FAST)
    assert read_jpeg(encoded.data).factors == (2, 2) and prepared == [(2, 2)]
    prepared.clear()
    with pytest.raises(TargetError, match="as small as 300 bytes"):
        encode_compact(from_array(np.asarray(coloured_text())), timid, max_bytes=300, config=FAST)
    assert prepared[0] == (2, 2) and prepared.count((2, 2)) == 1


def test_what_jpeg_cannot_hold_is_refused_before_the_search(timid: TrainedRestorer) -> None:
    picture = from_array(np.asarray(photo(32, 32)))
    transparent = from_array(np.dstack([picture.pixels, np.full((32, 32), 9, np.uint8)]))
    wide = from_array(np.zeros((1, 65501, 3), np.uint8))
    for wrong, words in (
        (transparent, "transparent"),
        (wide, "65501x1, and jpg holds at most 65,500 pixels a side: encode it as .semc"),
        (replace(picture, xmp=bytes(70000)), "XMP packet has 70,000 bytes, and jpg holds at most 65,502: leave it out"),
        (replace(picture, exif=bytes(65530)), "EXIF has 65,536 bytes, and jpg holds at most 65,533: leave it out"),
    ):
        with pytest.raises(ImageError, match=words):
            encode_compact(wrong, timid, psnr=30, config=FAST)
    assert encode_compact(replace(picture, xmp=bytes(70000)), timid, psnr=30, strip=True, config=FAST).psnr_db >= 30


def test_a_size_asks_for_quality_only_of_the_result(timid: TrainedRestorer, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        measured.append(1)
        return restored_pixels(*arguments, **options)

    monkeypatch.setattr(compact_encoder, "restored_pixels", counted)
    encode_compact(from_array(np.asarray(photo(32, 32, grey=True))), timid, max_bytes=2000, config=FAST)
    assert len(measured) == 1
    encode_compact(from_array(np.asarray(photo(32, 32))), timid, max_bytes=2000, config=FAST)
    assert len(measured) <= 4, "one more for each resolution of chroma"


@pytest.mark.parametrize(("grey", "factors"), [(False, (2, 2)), (False, (1, 1)), (True, (1, 1))])
def test_tiles_give_the_gradient_of_the_whole_picture(
    grey: bool, factors: tuple[int, int], restorer: TrainedRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_array(np.asarray(photo(72, 424, grey=grey)))
    encoder = PictureEncoder(picture, restorer, FAST, records=records_of(), factors=factors)
    monkeypatch.setattr(restorer.network, "narrow", False)
    numbers = [(values / 20).round() for values in encoder.coefficients]
    steps = [torch.full((64,), 20.0) for _ in numbers]
    error, slopes = encoder.error_of(numbers, steps)
    seen: list[int] = []
    hook = restorer.network.trunk.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape[-1]))
    monkeypatch.setattr(compact_encoder, "TILE", 16)
    monkeypatch.setattr(compact_encoder, "halo_of", lambda _: 12)
    tiled, tiled_slopes = encoder.error_of(numbers, steps)
    hook.remove()
    assert len(seen) > 1 and max(seen) <= 16 + 2 * 12, "the memory of a tile bounds what a picture takes"
    assert tiled == pytest.approx(error, rel=1e-5)
    for one, other in zip(slopes, tiled_slopes, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()))


def test_costs_are_those_of_the_values_that_occur() -> None:
    values = torch.zeros(1000, 64)
    values[:500, 5], values[:250, 5] = 1, -1
    rates = RateModel(values)
    probe = torch.zeros(2, 64)
    probe[1, 5] = -1
    bits = rates.cost(probe)
    assert bits[0, 5].item() == pytest.approx(1, abs=0.02) and bits[1, 5].item() == pytest.approx(2, abs=0.02)
    assert bits[0, 6].item() < 0.01


def test_values_are_only_moved_towards_0_and_only_where_it_pays() -> None:
    values = torch.randn(400, 64, generator=torch.Generator().manual_seed(1)) * 0.8
    steps = torch.full((64,), 10.0)
    free, dear = (worthwhile(values, steps, lmbda=lmbda) for lmbda in (0.0, 20.0))
    assert torch.equal(free, values.round())
    assert (dear.abs() <= free.abs()).all() and (dear * values >= 0).all()
    assert (dear == 0).float().mean() > (free == 0).float().mean() + 0.02
    assert torch.equal(dear[:, 0], free[:, 0])


def test_what_the_descent_overshoots_is_cut_to_what_the_format_holds(timid: TrainedRestorer) -> None:
    picture = from_array(np.asarray(photo(16, 64, grey=True)))
    encoder = PictureEncoder(picture, timid, FAST, records=(), factors=(1, 1))
    values = torch.zeros_like(encoder.coefficients[0])
    values[..., 0], values[..., 1] = torch.tensor([5000.0, -5000.0]).repeat(4), -5000
    file = encoder._file([values], [torch.ones(64)])
    again = read_jpeg(write_jpeg(file))
    assert np.array_equal(again.planes[0].coefficients, file.planes[0].coefficients)
    assert again.planes[0].coefficients[0, :2, :2].tolist() == [[1023, -1023], [-1024, -1023]]
