"""Training crops: sensor noise and drawn crops are what they claim, and the shares of the mix hold."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("train.codec", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from train.drawn import KINDS, draw_crop
from train.noise import LINEAR, SensorNoise, to_linear, to_srgb
from train.photos import Mix, Photos, area_resized, find_photos

Pixels = NDArray[np.uint8]

SIDE = 192
CAMERA = SensorNoise(shot=1e-3, read=2e-5, chroma=0.5, spread=0.4)


def grey(level: int, side: int = SIDE) -> torch.Tensor:
    return torch.full((side, side, 3), level, dtype=torch.uint8)


def noise_on(level: int, camera: SensorNoise = CAMERA, *, seed: int = 0) -> torch.Tensor:
    """Noise in linear light on a grey plane, (H, W, 3)."""
    return camera.linear(grey(level), torch.Generator().manual_seed(seed)) - LINEAR[level]


def luma_variance(noise: torch.Tensor) -> float:
    """Variance of the mean of the three channels: chroma noise cancels in it."""
    return noise.mean(-1).var().item()


def test_variance_grows_linearly_with_light() -> None:
    levels = [40, 90, 140, 190, 240]
    light = np.array([LINEAR[level].item() for level in levels])
    variance = np.array([luma_variance(noise_on(level, seed=level)) for level in levels])
    slope, floor = np.polyfit(light, variance, 1)
    assert slope == pytest.approx(CAMERA.shot, rel=0.05)
    assert np.allclose(variance, CAMERA.shot * light + CAMERA.read, rtol=0.08)
    assert floor < 0.1 * variance[-1]


def test_the_mean_light_is_preserved_through_srgb_bytes() -> None:
    for level in (60, 128, 200):
        noisy = CAMERA.apply(grey(level, 384), torch.Generator().manual_seed(level))
        assert noisy.dtype == torch.uint8 and noisy.float().std() > 1
        assert LINEAR[noisy.int()].mean().item() == pytest.approx(LINEAR[level].item(), rel=0.01)


def test_noise_is_correlated_as_far_as_its_blur_reaches() -> None:
    spread = CAMERA.spread
    luma = noise_on(128).mean(-1)
    luma = luma - luma.mean()

    def correlation(distance: int) -> float:
        return (luma[:, distance:] * luma[:, : SIDE - distance]).mean().item() / luma.var().item()

    whole = 1 + 2 * spread**2
    assert correlation(1) == pytest.approx(2 * spread / whole, abs=0.03)
    assert correlation(2) == pytest.approx(spread**2 / whole, abs=0.03)
    assert abs(correlation(3)) < 0.03 and abs(correlation(10)) < 0.03
    white = SensorNoise(shot=1e-3, read=0.0, chroma=0.0, spread=0.0)
    luma = noise_on(128, white).mean(-1)
    assert abs(correlation(1)) < 0.03


def test_chroma_noise_has_the_strength_it_is_given() -> None:
    def chroma_to_luma(chroma: float) -> float:
        noise = noise_on(128, SensorNoise(shot=1e-3, read=0.0, chroma=chroma, spread=0.4))
        common = noise.mean(-1, keepdim=True)
        return ((noise - common).square().mean() / common.square().mean()).sqrt().item()

    assert chroma_to_luma(0.0) < 1e-3
    # Taking their mean out leaves two thirds of the variance of three independent channels.
    assert chroma_to_luma(0.5) == pytest.approx(0.5 * (2 / 3) ** 0.5, rel=0.05)
    assert chroma_to_luma(1.0) == pytest.approx((2 / 3) ** 0.5, rel=0.05)


def test_srgb_and_linear_light_are_inverse() -> None:
    values = np.linspace(0, 1, 256)
    assert np.allclose(to_srgb(to_linear(values)), values, atol=1e-6)
    assert to_linear(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)


def test_drawn_cameras_span_two_decades() -> None:
    generator = torch.Generator().manual_seed(0)
    shots = [SensorNoise.draw(generator).shot for _ in range(200)]
    assert min(shots) < 6e-5 and max(shots) > 2.7e-3


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_drawing_is_valid_and_repeats(kind: str) -> None:
    crops = [draw_crop(64, random.Random(seed), kind=kind) for seed in range(12)]
    assert all(crop.shape == (64, 64, 3) and crop.dtype == np.uint8 for crop in crops)
    assert np.array_equal(crops[3], draw_crop(64, random.Random(3), kind=kind))
    assert len({crop.tobytes() for crop in crops}) > 8


def test_drawings_are_what_they_are_called() -> None:
    def colours(kind: str) -> list[int]:
        crops = [draw_crop(128, random.Random(seed), kind=kind) for seed in range(20)]
        return [len(np.unique(crop.reshape(-1, 3), axis=0)) for crop in crops]

    def steps(crop: Pixels) -> float:
        return float(np.abs(np.diff(crop.astype(int), axis=1)).max())

    assert max(colours("flat")) <= 4
    assert np.median(colours("gradient")) > 50
    smooth = [steps(draw_crop(128, random.Random(seed), kind="gradient")) for seed in range(20)]
    sharp = [steps(draw_crop(128, random.Random(seed), kind="text")) for seed in range(20)]
    assert max(smooth) <= 8 and np.median(sharp) > 100
    pages = [draw_crop(256, random.Random(seed), kind="text") for seed in range(20)]
    marked = [(page != np.median(page, (0, 1))).any((1, 2)).astype(int) for page in pages]
    assert np.median([np.count_nonzero(np.diff(rows) == 1) for rows in marked]) >= 5  # lines with clear space between


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """One photo, green, whose red rises by one every four pixels to the right."""
    folder = tmp_path_factory.mktemp("ramps")
    pixels = np.zeros((512, 1020, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(1020)[None] // 4, 120
    Image.fromarray(pixels).save(folder / "ramp.png")
    return Photos(find_photos([str(folder)]), smallest=64, device=torch.device("cpu"), quiet=True)


def slopes(photos: Photos, mix: Mix, count: int) -> NDArray[np.float64]:
    """How much red changes over each crop, relative to the photo's own resolution; nan where the ramp was not seen."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count):
        crop = photos.crop(64, mix=mix, generator=generator).numpy().astype(float)
        across, down = (abs(float(np.polyfit(np.arange(64), crop[..., 0].mean(axis), 1)[0])) for axis in (0, 1))
        found.append(4 * max(across, down) if np.ptp(crop[..., 1]) == 0 and crop[0, 0, 1] == 120 else np.nan)
    return np.array(found)


def test_scales_are_uniform_and_resized_by_area(ramps: Photos) -> None:
    unscaled = slopes(ramps, Mix(halve=0.0), 30)
    assert np.allclose(unscaled, 1, atol=0.06)
    scale = 1 / slopes(ramps, Mix(halve=0.0, rescale=1.0, scales=(0.35, 1.0)), 300)
    assert 0.33 < scale.min() < 0.4 and 0.95 < scale.max() < 1.05
    assert scale.mean() == pytest.approx(0.675, abs=0.03)
    share = np.mean(slopes(ramps, Mix(halve=0.0, rescale=0.5), 300) > 1.1)
    assert share == pytest.approx(0.5 * 0.86, abs=0.08)
    board = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).repeat(32, 32)[..., None].expand(-1, -1, 3)
    assert torch.equal(area_resized(board.contiguous(), 32), torch.full((32, 32, 3), 128, dtype=torch.uint8))


def test_shares_of_the_mix_hold(ramps: Photos) -> None:
    drawn = np.isnan(slopes(ramps, Mix(halve=0.0, drawn=0.2), 300)).mean()
    assert drawn == pytest.approx(0.2, abs=0.06)
    generator = torch.Generator().manual_seed(2)
    crops = [ramps.crop(64, mix=Mix(halve=0.0, noise=0.3), generator=generator) for _ in range(300)]
    noisy = np.mean([len(crop[..., 1].unique()) > 1 for crop in crops])
    assert noisy == pytest.approx(0.3, abs=0.07)


def test_crops_repeat_with_the_seed(ramps: Photos) -> None:
    mix = Mix(halve=0.1, rescale=0.4, noise=0.5, drawn=0.2)
    draws = [ramps.batch(12, 64, mix=mix, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws) and draws[0].shape == (12, 3, 64, 64)
    assert draws[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"halve": 0.6, "rescale": 0.6}, "shares of one whole"), ({"scales": (1.0, 0.3)}, "low <= high")],
)
def test_a_mix_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mix(**values)


def test_find_photos_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photo below"):
        find_photos([str(tmp_path)])
