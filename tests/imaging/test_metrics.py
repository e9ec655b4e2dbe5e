"""PSNR, SSIM, MS-SSIM and BD-rate against cases whose answer is known, and against other packages."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.imaging.metrics import bd_rate, ms_ssim, psnr_db, ssim
from semcomp.torchvision_compat import declare_missing_operators

pytest.importorskip("scipy")
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
BPP, DB = [0.1, 0.2, 0.4, 0.8, 1.6], [26.0, 29.0, 32.0, 35.5, 39.0]


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr_db(black, np.ones_like(black)) == pytest.approx(20 * np.log10(255))
    assert psnr_db(black, black) == float("inf")
    with pytest.raises(ValueError, match="one shape"):
        psnr_db(black, black[:2])
    tall = np.zeros((600, 2, 3), np.uint8)
    last = tall.copy()
    last[-1, -1, -1] = 255
    assert psnr_db(tall, last) == pytest.approx(10 * np.log10(tall.size))


def test_half_the_rate_is_minus_fifty_percent() -> None:
    assert bd_rate(BPP, DB, [value / 2 for value in BPP], DB) == pytest.approx(-50)
    assert bd_rate(BPP, DB, BPP, DB) == pytest.approx(0, abs=1e-9)
    assert bd_rate(BPP, DB, [1.3 * value for value in reversed(BPP)], DB[::-1]) == pytest.approx(30)


def test_only_the_common_range_counts() -> None:
    other = [*BPP[:4], 9 * BPP[4]]  # bad above 35.5 dB only
    assert bd_rate(BPP, DB, other, DB, high_db=29) == pytest.approx(0, abs=1e-6)
    assert bd_rate(BPP, DB, other, DB) > 10


def test_curves_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="do not overlap"):
        bd_rate(BPP, DB, BPP, [value + 20 for value in DB])


@pytest.fixture(params=[(161, 200), (175, 222)], ids=["smallest", "odd"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """A picture with edges, texture and a flat part, and a noisy copy."""
    height, width = request.param
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([x, 255 - y, 128 + 60 * np.sin(x * y / 500)], 2)
    picture[:50, :60] = 255
    rng = np.random.default_rng(0)
    noisy = picture + rng.normal(0, 12, picture.shape) * (x > 80)[..., None]
    return tuple(np.clip(value, 0, 255).astype(np.uint8) for value in (picture, noisy))


def as_tensors(pair: Pair) -> list[torch.Tensor]:
    return [torch.from_numpy(pixels).permute(2, 0, 1)[None].float() for pixels in pair]


def test_ssim_is_scikit_images(pair: Pair) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    theirs = metrics.structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(*pair) == pytest.approx(theirs, abs=1e-4)


def test_psnr_and_ssim_are_torchmetrics(pair: Pair) -> None:
    declare_missing_operators()
    theirs = pytest.importorskip("torchmetrics.functional.image")
    x, y = as_tensors(pair)
    expected = theirs.peak_signal_noise_ratio(y, x, data_range=(0.0, 255.0))
    assert psnr_db(*pair) == pytest.approx(float(expected), abs=1e-4)
    _, everywhere = theirs.structural_similarity_index_measure(y, x, data_range=(0.0, 255.0), return_full_image=True)
    inside = everywhere[..., 5:-5, 5:-5]  # its mean counts windows that reach over the border, too
    assert ssim(*pair) == pytest.approx(float(inside.mean()), abs=1e-4)


def test_ssim_and_ms_ssim_are_pytorch_msssims(pair: Pair) -> None:
    theirs = pytest.importorskip("pytorch_msssim")
    x, y = as_tensors(pair)
    assert ssim(*pair) == pytest.approx(float(theirs.ssim(x, y, data_range=255)), abs=1e-4)
    assert ms_ssim(*pair) == pytest.approx(float(theirs.ms_ssim(x, y, data_range=255)), abs=1e-4)


def test_equal_pictures_are_one_and_small_ones_are_refused(pair: Pair) -> None:
    assert ssim(pair[0], pair[0]) == pytest.approx(1, abs=1e-5)
    assert ms_ssim(pair[0], pair[0]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="at least 161 pixels, not 200x160"):
        ms_ssim(pair[0][:160, :200], pair[1][:160, :200])
    with pytest.raises(ValueError, match="at least 11"):
        ssim(pair[0][:9], pair[1][:9])


@pytest.mark.filterwarnings("ignore")
def test_bd_rate_is_the_bjontegaard_packages() -> None:
    package = pytest.importorskip("bjontegaard")
    for factor, shift in ((0.7, 0.4), (1.4, -1.1)):
        bpp = [value * factor * turn for value, turn in zip(BPP, (1, 1.1, 1, 0.95, 1), strict=True)]
        db = [value + shift for value in DB]
        theirs = package.bd_rate(BPP, DB, bpp, db, method="pchip", min_overlap=0.5)
        assert bd_rate(BPP, DB, bpp, db) == pytest.approx(theirs, abs=1e-3)
