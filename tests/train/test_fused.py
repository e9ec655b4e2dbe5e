"""Rate and distortion with hand-written gradients equal the plain formulas."""

import pytest
import torch
from torch import Tensor

pytest.importorskip("train.objective", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from compressai.entropy_models import GaussianConditional

from semcomp.networks.sigma import LOG_STEP, SCALE_MIN, scale_table
from train.fused import gaussian_bits, squared_error

SHAPE = (3, 5, 4, 6)


def test_bits_and_their_gradients_are_those_of_compressai() -> None:
    torch.manual_seed(0)
    index = torch.randint(0, 64, SHAPE).float()
    residual = torch.randn(SHAPE) * scale_table()[index.long()] * 2
    gaussian = GaussianConditional(scale_table().tolist())
    weights = torch.tensor([1.0, 2.0, 0.5])

    def plain(residual: Tensor, index: Tensor) -> Tensor:
        likelihood = gaussian._likelihood(residual, SCALE_MIN * torch.exp(LOG_STEP * index))
        bits: Tensor = -torch.log2(likelihood.clamp_min(1e-9)).sum((1, 2, 3))
        return bits

    found = []
    for function in (gaussian_bits, plain):
        inputs = residual.clone().requires_grad_(), index.clone().requires_grad_()
        bits = function(*inputs)
        (bits * weights).sum().backward()
        found.append((bits.detach(), inputs[0].grad, inputs[1].grad))
    for mine, theirs in zip(*found, strict=True):
        assert mine is not None and theirs is not None
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3)


def test_a_symbol_far_out_costs_the_floor_and_has_a_finite_gradient() -> None:
    residual, index = torch.full(SHAPE, 500.0, requires_grad=True), torch.zeros(SHAPE, requires_grad=True)
    bits = gaussian_bits(residual, index)
    bits.sum().backward()
    assert bits[0].item() == pytest.approx(29.9 * 120, rel=0.01)
    assert residual.grad is not None and torch.isfinite(residual.grad).all()


def test_the_squared_error_and_its_gradient() -> None:
    torch.manual_seed(1)
    value, target = torch.rand(SHAPE, requires_grad=True), torch.rand(SHAPE)
    error = squared_error(value, target)
    expected = 255**2 * (value - target).square().mean((1, 2, 3))
    torch.testing.assert_close(error, expected)
    (mine,) = torch.autograd.grad(error.sum(), value)
    (plain,) = torch.autograd.grad(expected.sum(), value)
    torch.testing.assert_close(mine, plain)
