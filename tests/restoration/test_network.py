"""The transforms are those of JPEG, and the network's answer keeps to its cells by construction."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from semcomp.jpeg.reader import read_jpeg
from semcomp.pipeline.tiles import Tile, tiles
from semcomp.restoration import planes as planes_module
from semcomp.restoration.network import Restorer, RestorerConfig, StoredPlanes, into_cell
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.transform import (
    enlarge,
    forward_dct,
    inverse_dct,
    planes_to_rgb,
    repeat,
    rgb_to_planes,
    shrink,
    window_dct,
)
from tests.jpeg.files import jpeg, photo
from train.restore_photos import compress, decompress


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 50


def test_the_dct_has_jpegs_scale_and_is_inverted() -> None:
    planes = noise(2, 24, 40)
    blocks = forward_dct(planes)
    assert blocks.shape == (2, 3, 5, 64)
    assert torch.allclose(blocks[0, 0, 0, 0], 8 * planes[0, :8, :8].mean(), atol=1e-3)
    assert torch.allclose(inverse_dct(blocks), planes, atol=1e-3)


def test_a_window_shows_half_a_block_more_on_each_side() -> None:
    planes = torch.zeros(1, 32, 32)
    planes[0, 12, 20] = 1
    seen = window_dct(planes, 16).square().sum(-1)[0]
    expected = torch.zeros(4, 4)
    expected[1:3, 2:4] = 1  # row 12 is in the windows of rows 4 to 19 and 12 to 27, column 20 in 12 to 27 and 20 to 35
    assert torch.allclose(seen, expected, atol=1e-4)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (1, 2), (4, 1)])
def test_means_survive_repetition(factors: tuple[int, int]) -> None:
    planes = noise(1, 8, 16)
    assert torch.allclose(shrink(repeat(planes, factors), factors), planes)
    assert enlarge(planes, factors).shape == repeat(planes, factors).shape


def test_colours_come_back() -> None:
    rgb = noise(1, 3, 8, 8) + 128
    assert torch.allclose(planes_to_rgb(rgb_to_planes(rgb)), rgb, atol=1e-2)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_any_plane_is_moved_into_its_cells(factors: tuple[int, int]) -> None:
    rgb = (noise(1, 3, 32, 32) + 128).clamp(0, 255).round()
    stored = compress(rgb, torch.full((1, 3, 64), 24.0), factors)
    answer = into_cell(noise(1, 32, 32), stored, 1)
    again = (forward_dct(shrink(answer, factors)) / 24).round() * 24
    assert torch.equal(again, stored.coefficients[1])


def test_training_compresses_as_pillow_does() -> None:
    image = photo(64, 96)
    file = read_jpeg(jpeg(image, quality=40))
    (layout,) = layout_of(file).pictures
    rgb = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    ours = compress(rgb, layout.steps, (2, 2))
    for one, other in zip(ours.coefficients, layout.coefficients, strict=True):
        assert ((one - other).abs() > 1e-3).float().mean() < 0.01
    shown = decompress(layout)[0].permute(1, 2, 0).numpy()
    with Image.open(io.BytesIO(jpeg(image, quality=40))) as decoded:
        assert np.abs(shown - np.asarray(decoded)).mean() < 1


def test_a_grey_picture_is_a_picture_without_chroma() -> None:
    network = Restorer(RestorerConfig(channels=8, blocks=1, condition=4)).eval()
    luma = noise(1, 2, 3, 64).round() * 16
    stored = StoredPlanes(coefficients=(luma,), steps=torch.full((1, 1, 64), 16.0))
    assert network(stored).shape == (1, 1, 16, 24)


@pytest.mark.parametrize(("blocks", "kernel"), [(1, 3), (3, 3), (2, 5)])
def test_an_answer_sees_no_farther_than_the_network_reaches(blocks: int, kernel: int) -> None:
    torch.manual_seed(1)
    network = Restorer(RestorerConfig(channels=8, blocks=blocks, kernel=kernel, condition=4)).eval()
    luma, middle = noise(1, 31, 31, 64), 15
    other = luma.clone()
    other[:, middle, middle] += 500
    with torch.inference_mode():
        one, two = (
            network(StoredPlanes(coefficients=(values,), steps=torch.full((1, 1, 64), 64.0)))
            for values in (luma, other)
        )
    apart = (one - two)[0, 0].reshape(31, 8, 31, 8).abs().amax((1, 3))
    seen = (apart > 0).nonzero() - middle
    assert blocks * (kernel // 2) < seen.abs().max() <= network.reach


def test_tiles_overlap_by_the_reach_of_a_deep_network(monkeypatch: pytest.MonkeyPatch) -> None:
    halos: list[int] = []

    def noted(*size: int, tile: int, halo: int) -> Iterator[Tile]:
        halos.append(halo)
        return tiles(*size, tile=tile, halo=halo)

    monkeypatch.setattr(planes_module, "tiles", noted)
    network = Restorer(RestorerConfig(channels=8, blocks=20, condition=4)).eval()
    layout = layout_of(read_jpeg(jpeg(photo(24, 40, grey=True))))
    restored_pixels(network, layout, strength=1.0, device=torch.device("cpu"))
    assert halos[0] >= network.reach > 16 and halos[0] % 4 == 0


@pytest.mark.parametrize("values", [{"channels": 0}, {"kernel": 2}, {"blocks": 0}])
def test_sizes_that_make_no_sense(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be positive and kernel odd"):
        RestorerConfig(**values)
