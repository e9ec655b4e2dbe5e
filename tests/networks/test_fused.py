"""Hand-written gradients and layouts equal the plain formulas."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.networks.blocks import Up
from semcomp.networks.fused import (
    compand_through,
    from_patches,
    residual_around,
    shuffle_order,
    to_patches,
    trains_here,
    wide_linear,
)

SHAPE = (2, 6, 4, 8)


def gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The value, then the gradient of a weighted sum of it in every input that learns."""
    copies = [value.detach().clone().requires_grad_(value.requires_grad) for value in inputs]
    result = function(*copies)
    weights = torch.linspace(-1, 2, result.numel()).view(result.shape)
    (result * weights).sum().backward()
    return [result.detach(), *(value.grad for value in copies if value.grad is not None)]


def assert_same(one: Callable[..., Tensor], other: Callable[..., Tensor], *inputs: Tensor) -> None:
    for mine, plain in zip(gradients(one, *inputs), gradients(other, *inputs), strict=True):
        torch.testing.assert_close(mine, plain)


def test_companding() -> None:
    torch.manual_seed(0)
    value = (torch.randn(SHAPE) * 3).requires_grad_()

    def plain(value: Tensor) -> Tensor:
        scaled = 8.0 * value
        return scaled / (1 + scaled.abs()).sqrt()

    assert_same(lambda value: compand_through(value, 8.0), plain, value)


def test_residuals_round_and_pass_the_gradient() -> None:
    torch.manual_seed(1)
    value, mean = (torch.randn(SHAPE) * 4).requires_grad_(), torch.randn(SHAPE).requires_grad_()
    coded = (torch.rand(SHAPE) < 0.6).float()

    def plain(value: Tensor, mean: Tensor, coded: Tensor) -> Tensor:
        difference = value - mean
        return (difference + (difference.round() - difference).detach()) * coded

    assert_same(residual_around, plain, value, mean, coded)


def test_patches_are_inverse_and_equal_a_pixel_shuffle() -> None:
    torch.manual_seed(2)
    image = torch.randn(2, 3, 32, 48).contiguous(memory_format=torch.channels_last)
    patches = to_patches(image, 16)
    assert patches.shape == (2, 768, 2, 3) and torch.equal(from_patches(patches, 16), image)
    assert from_patches(patches, 16).is_contiguous(memory_format=torch.channels_last)
    channels = torch.randn(2, 5 * 9, 4, 6)
    order = shuffle_order(torch.arange(5 * 9), 3)
    assert torch.equal(from_patches(channels[:, order], 3), F.pixel_shuffle(channels, 3))


def test_wide_linear_is_float32_forward_and_near_it_backward() -> None:
    torch.manual_seed(3)
    value = torch.randn(SHAPE).requires_grad_()
    weight, bias = torch.randn(5, 6).requires_grad_(), torch.randn(5).requires_grad_()

    def plain(value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(value, weight[:, :, None, None], bias)

    assert_same(lambda *inputs: wide_linear(*inputs, narrow=False), plain, value, weight, bias)
    narrow = gradients(lambda *inputs: wide_linear(*inputs, narrow=True), value, weight, bias)
    for number, (mine, exact) in enumerate(zip(narrow, gradients(plain, value, weight, bias), strict=True)):
        limit = 1e-5 if number == 0 else 0.01
        assert (mine - exact).norm() <= limit * exact.norm()
    assert not torch.equal(narrow[2], gradients(plain, value, weight, bias)[2])  # bfloat16 was used


@pytest.mark.parametrize("factor", [2, 4])
def test_refining_the_grid_is_the_same_in_training(factor: int) -> None:
    torch.manual_seed(4)
    layer, value = Up(6, 3, factor), torch.randn(SHAPE)
    trained = layer.train()(value)
    with torch.no_grad():
        torch.testing.assert_close(trained.detach(), layer.eval()(value))
    assert trained.is_contiguous(memory_format=torch.channels_last)


def test_only_what_learns_on_a_cpu_takes_the_short_cuts() -> None:
    layer, value = Up(6, 3, 2), torch.zeros(SHAPE)
    assert trains_here(layer.train(), value) and not trains_here(layer.eval(), value)
    with torch.no_grad():
        assert not trains_here(layer.train(), value)
