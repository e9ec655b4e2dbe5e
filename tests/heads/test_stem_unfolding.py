"""What a stem learns of latents, and the crops that it sees while it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heads.datasets import DataConfig
from heads.find_dataset import find_dataset
from heads.latent_cache import open_cache, to_network
from heads.layers import LatentStem, PixelStem
from heads.stem_unfolding import pixels_from_latents, unfolding
from heads.warp import MOVED, draw, warped
from semcomp.codec.codec import Codec


@pytest.fixture(scope="module")
def few_crops(codec: Codec, class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = DataConfig(folder=str(class_folders), side=64, copies=3, recolour=0.1, qualities=(60, 90))
    dataset = find_dataset("classify", config)
    folder = tmp_path_factory.mktemp("cache")
    return open_cache(codec, dataset, config, source="latents", folder=folder, quiet=True)


@pytest.mark.parametrize(("companded", "limit"), [(True, 0.2), (False, 0.02)])
def test_a_linear_map_finds_the_picture_in_the_latents(
    codec: Codec, few_crops: Any, companded: bool, limit: float
) -> None:
    stem = LatentStem(320, 16, widths=(8, 12), companded=companded)
    pixels, mean, _ = pixels_from_latents(codec, few_crops, stem)
    assert pixels.shape == (3, 16, 16, 320)
    y_hat = to_network(few_crops.value[:8])
    seen = torch.einsum("cijm,bmrs->bcijrs", pixels, stem.prepared(y_hat)).flatten(1, 3)
    picture = torch.nn.functional.pixel_shuffle(seen, 16)
    with torch.no_grad():
        wanted = codec.network.synthesis(y_hat, torch.from_numpy(few_crops.quality[:8].astype(np.int64)))
    assert (picture + mean[:, None, None] - wanted).mean((0, 2, 3)).abs().max() < 0.02
    detail = wanted - wanted.mean((2, 3), keepdim=True)
    error = (picture - picture.mean((2, 3), keepdim=True) - detail).square().mean() / detail.square().mean()
    assert error < limit


@pytest.mark.parametrize(
    ("widths", "companded", "rank"),
    [((8, 12), True, None), ((12,), True, None), ((8, 12), False, None), ((8, 12), False, 128)],
)
def test_an_unfolding_that_learned_is_one_matrix(
    codec: Codec, few_crops: Any, widths: tuple[int, ...], companded: bool, rank: int | None
) -> None:
    torch.manual_seed(0)
    stem = LatentStem(320, 16, widths=widths, companded=companded, rank=rank).eval()
    names, y_hat, quality = set(stem.state_dict()), to_network(few_crops.value[:2]), torch.tensor([60, 60])
    with unfolding(stem, codec, few_crops, start=None):
        stem(y_hat, quality).square().sum().backward()
        learned: Any = stem.unfold
        assert learned.filters.weight.grad.abs().sum() > 0
        expected = stem(y_hat, quality).detach()
    assert set(stem.state_dict()) == names
    assert torch.allclose(stem(y_hat, quality), expected, rtol=1e-3, atol=1e-4)
    with unfolding(stem, codec, few_crops, start=stem):
        assert torch.allclose(stem(y_hat, quality), expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max()))


def test_a_rank_that_no_product_has_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 128, not 129"):
        LatentStem(320, 16, widths=(8, 12), rank=129)


def test_an_unfolding_of_low_rank_keeps_what_latents_make_most_of(codec: Codec, few_crops: Any) -> None:
    torch.manual_seed(0)
    stem = LatentStem(320, 16, widths=(8, 12), companded=False, rank=24).eval()
    y_hat = stem.prepared(to_network(few_crops.value[:])).detach()
    with unfolding(stem, codec, few_crops, start=None):
        product: Any = stem.unfold
        full = product.product().detach()
    narrow = (stem.get_parameter("unfold.conv.weight") @ stem.get_parameter("reduce.weight")).detach()
    left, sizes, right = torch.linalg.svd(full)
    truncated = (left[:, :24] * sizes[:24]) @ right[:24]

    def error(matrix: torch.Tensor) -> float:
        wanted, made = (torch.einsum("om,bmhw->bohw", m, y_hat) for m in (full, matrix))
        return float((wanted - made).square().mean() / wanted.square().mean())

    assert error(narrow) < min(0.2, 0.8 * error(truncated))


@pytest.mark.parametrize(("rank", "limit"), [(None, 0.02), (64, 0.03)])
def test_a_network_that_sees_pixels_becomes_a_head(
    codec: Codec, few_crops: Any, rank: int | None, limit: float
) -> None:
    """Without learning, a stem on latents answers as the one that its filters are from does on decoded pictures."""
    torch.manual_seed(0)
    pixels = PixelStem(16, widths=(8, 12)).eval()
    stem = LatentStem(320, 16, widths=(8, 12), companded=False, rank=rank).eval()
    stem.descent.load_state_dict(pixels.descent.state_dict())
    with unfolding(stem, codec, few_crops, start=pixels):
        learning: Any = stem.unfold
        narrowed = (learning.product() if rank is None else learning.product() @ learning.reduction()).detach()
        stem(to_network(few_crops.value[:1]), torch.tensor([60])).sum().backward()
        assert rank is None or learning.kept.grad.abs().sum() > 0
    unfolded: torch.Tensor = stem.get_parameter("unfold.conv.weight")
    if rank:
        unfolded = unfolded @ stem.get_parameter("reduce.weight")
    assert torch.allclose(unfolded, narrowed, atol=1e-4 * float(narrowed.abs().max()))  # the end loses nothing more
    y_hat, quality = to_network(few_crops.value[:8]), torch.from_numpy(few_crops.quality[:8].astype(np.int64))
    with torch.no_grad():
        wanted = pixels(codec.network.synthesis(y_hat, quality), quality)
        error = (stem(y_hat, quality) - wanted).square().mean() / wanted.square().mean()
    assert error < limit


@pytest.mark.parametrize("source", ["latents", "pixels"])
def test_mirrored_crops_are_seen_mirrored(codec: Codec, few_crops: Any, source: str) -> None:
    quality = torch.tensor([60, 60])
    places = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]])
    if source == "pixels":
        stem: Any = PixelStem(16, widths=(8, 12)).eval()
        value = torch.rand(2, 3, 32, 48)
        expected = stem(torch.stack([value[0].flip(2), value[1]]), quality)
        assert torch.equal(stem(value, quality, places), expected)
        return
    stem, value = LatentStem(320, 16, widths=(8, 12)).eval(), to_network(few_crops.value[:2])
    with unfolding(stem, codec, few_crops, start=None):
        straight = stem(value, quality)
        with torch.no_grad():  # filters that are mirrored themselves see in a mirrored picture what they did before
            stem.unfold.filters.weight.copy_(stem.unfold.filters.weight.flip(3))
            for block in stem.descent:
                layer = getattr(block, "depthwise", None) or block.conv
                layer.weight.copy_(layer.weight.flip(3))
        answer = stem(value, quality, places)
    assert torch.allclose(answer[0], straight[0].flip(2), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(answer[1], straight[1].flip(2), rtol=1e-3, atol=1e-4)


def test_views_of_a_crop() -> None:
    """Half are mirrored, half changed; sizes keep to their range, and what is seen is where it says."""
    places = draw(4000, 1.5, np.random.default_rng(0))
    sizes = places[:, 1, 1]
    changed = sizes != 1
    assert abs((places[:, 0, 0] < 0).float().mean() - 0.5) < 0.05 and abs(changed.float().mean() - 0.5) < 0.05
    assert torch.equal(places[:, 0, 0].abs(), sizes) and sizes.min() >= 1 / 1.5 and sizes.max() <= 1.5
    assert (places[:, :, 2].abs().amax(1) <= (1 - sizes).abs() + 2 * MOVED + 1e-6).all()
    assert not (draw(50, 1.0, np.random.default_rng(0))[:, 1, 1] != 1).any()

    ramp = torch.arange(32.0).expand(2, 1, 32, 32)
    halved = torch.tensor([[[0.5, 0, 0.25], [0, 0.5, 0]], [[-1, 0, 0], [0, 1, 0]]])
    answer = warped(ramp, halved)
    assert torch.allclose(answer[0, 0, 5], torch.linspace(11.75, 27.25, 32))  # 16 of 32 columns, 4 right of the middle
    assert torch.equal(answer[1], ramp[1].flip(2))
    numbers = warped(ramp.byte(), halved, nearest=True)
    assert numbers.dtype == torch.uint8 and set(numbers[0].unique().tolist()) == set(range(12, 28))
