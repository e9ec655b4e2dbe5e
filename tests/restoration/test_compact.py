"""JPEG files that were made for the restorer: standard files, on target, and better than Pillow's of their size."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import semcomp
from semcomp.errors import ImageError, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.jpeg.reader import read_jpeg
from semcomp.jpeg.records import restorer_mark
from semcomp.restoration.compact import CompactConfig, encode_compact
from semcomp.restoration.network import Restorer, RestorerConfig
from semcomp.restoration.rate_model import RateModel, worthwhile
from semcomp.restoration.restorer_file import TrainedRestorer
from tests.jpeg.files import jpeg, photo

FAST = CompactConfig(iterations=3, searches=8)


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


def test_what_no_file_can_meet_is_refused_in_words(timid: TrainedRestorer) -> None:
    picture = from_array(np.asarray(photo(96, 120)))
    with pytest.raises(TargetError, match="no JPEG file of this picture meets 20 bytes"):
        encode_compact(picture, timid, max_bytes=20, config=FAST)
    with pytest.raises(TargetError, match="meets 90 dB"):
        encode_compact(picture, timid, psnr=90, config=FAST)
    with pytest.raises(TargetError, match="exactly one"):
        encode_compact(picture, timid, config=FAST)
    transparent = from_array(np.dstack([np.asarray(photo(32, 32)), np.full((32, 32), 9, np.uint8)]))
    with pytest.raises(ImageError, match="transparent"):
        encode_compact(transparent, timid, psnr=30, config=FAST)


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
