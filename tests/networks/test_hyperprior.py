"""The mean path of four passes by quarters: what `CodecModel.two_passes` computes over whole planes."""

import pytest
import torch
from torch import Tensor

from semcomp.networks.checkerboard import quarters
from semcomp.networks.hyperprior import QuarterMeans, by_group, read_quarters
from semcomp.networks.model import CodecConfig, CodecModel
from semcomp.networks.precision import fast_pixels, stored_exactly, stored_fast
from tests.releases import SMALL

CPU, QUALITY = torch.device("cpu"), torch.tensor([70])


def model(latents: int, *, kernel16: int = 3) -> CodecModel:
    torch.manual_seed(latents)
    network = CodecModel(CodecConfig(**{**SMALL, "latents": latents, "passes": 4, "kernel16": kernel16})).eval()
    assert network.mean_path.step is not None
    for layer in (network.mean_path.head1, network.mean_path.head2, *network.mean_path.later):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.normal_(network.mean_path.step)
    return network


def scene(latents: int) -> tuple[Tensor, Tensor]:
    """z_hat and residuals of 8 x 12 positions."""
    return torch.randn(1, 8, 2, 3).round(), torch.randn(1, latents, 8, 12).round()


@torch.inference_mode()
def by_quarters(network: CodecModel, path: QuarterMeans, z_hat: Tensor, points: Tensor, keep: Tensor | None) -> Tensor:
    gains = network.gain(QUALITY), network.inverse_gain(QUALITY)
    y_hat: Tensor = path(z_hat, QUALITY, read_quarters(points[0]), keep, gains=gains)
    return y_hat


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("latents", "kernel16"), [(24, 3), (22, 5), (3, 3)])
def test_quarters_give_the_latents_of_whole_planes(latents: int, kernel16: int, kept: bool) -> None:
    network = model(latents, kernel16=kernel16)
    z_hat, points = scene(latents)
    keep = torch.rand(1, 1, 8, 12) < 0.5 if kept else None
    with torch.inference_mode():
        expected = network.two_passes(z_hat, QUALITY, lambda mean, mask: points, keep)
    for path in (QuarterMeans(network.mean_path), stored_exactly(QuarterMeans(network.mean_path), CPU)):
        found = by_quarters(network, path, z_hat, points, keep)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)
    with fast_pixels(CPU):
        rough = by_quarters(network, stored_fast(QuarterMeans(network.mean_path), CPU), z_hat, points, keep)
    assert rough.dtype == torch.float32 and (rough - expected).abs().max() < 0.05 * expected.abs().max()


def test_residuals_hear_the_means_of_their_pass_and_come_back_in_its_place() -> None:
    """An encoder that takes the mean away is left with zeros, and each pass sees every element of its own once."""
    network, heard = model(22), []
    path, gains = QuarterMeans(network.mean_path), (network.gain(QUALITY), network.inverse_gain(QUALITY))

    def opposite(mean: Tensor, number: int) -> Tensor:
        heard.append((number, tuple(mean.shape)))
        return -mean

    with torch.inference_mode():
        assert not path(scene(22)[0], QUALITY, opposite, gains=gains).any()
    assert heard == [(number, (4, 4, 6, 6)) for number in range(4)]


def test_a_pass_ignores_what_is_decoded_after_it() -> None:
    network = model(24)
    z_hat, points = scene(24)
    order, path = quarters(points.shape, device=CPU), QuarterMeans(network.mean_path)
    plain = by_quarters(network, path, z_hat, points, None)
    for number in range(1, 4):
        other = by_quarters(network, path, z_hat, torch.where(order < number, points, points + 5), None)
        assert torch.equal(plain[order < number], other[order < number])
        assert not torch.isclose(plain[order >= number], other[order >= number]).any()


def test_groups_take_every_fourth_channel() -> None:
    values = torch.arange(1, 7)
    assert by_group(values).tolist() == [[1, 5], [2, 6], [3, 0], [4, 0]]
