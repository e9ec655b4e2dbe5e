"""The integer path: what is trained is what is released, and it is exact in every arrangement."""

import numpy as np
import pytest
import torch

from semcomp.codec.self_test import arrangements, control_differs, random_z
from semcomp.networks.rate_table import QUALITIES
from semcomp.networks.sigma import SCALES, Z_LIMIT, IntegerSigma, SigmaPath, scale_table

HYPER, HIDDEN, LATENTS, NODES = 24, 48, 40, 4


def trained(seed: int) -> SigmaPath:
    torch.manual_seed(seed)
    path = SigmaPath(hyper=HYPER, hidden=HIDDEN, latents=LATENTS, nodes=NODES, log_sigma=torch.randn(NODES, LATENTS))
    with torch.no_grad():
        path.weight1.mul_(3)
        path.weight2.mul_(5)
    return path


@pytest.mark.parametrize("quality", [1, 2, 37, 99, 100])
def test_training_computes_the_released_integers(quality: int) -> None:
    path = trained(quality)
    z_hat = random_z(HYPER, seed=quality)
    with torch.no_grad():
        training = path(z_hat, torch.tensor([quality]))
    with_gradient = path(z_hat, torch.tensor([quality]))
    released = path.released().index(z_hat, quality)
    assert torch.equal(training, released)
    assert torch.equal(with_gradient.detach(), released)
    assert len(released.unique()) > SCALES // 4


def test_every_arrangement_equals_int64_arithmetic() -> None:
    sigma = trained(0).released()
    for quality in (1, 50, QUALITIES):
        z_hat = random_z(HYPER, seed=quality, height=9, width=5)
        expected = sigma.index_numpy(z_hat[0].numpy().astype(np.int64), quality)
        for name, index in arrangements(sigma, z_hat, quality):
            np.testing.assert_array_equal(index, expected, err_msg=name)


def test_the_check_can_fail() -> None:
    assert control_differs(trained(0).released())


def test_saturated_weights_and_inputs_stay_exact() -> None:
    generator = torch.Generator().manual_seed(1)

    def extreme(*shape: int) -> torch.Tensor:
        return (torch.randint(0, 2, shape, generator=generator) * 254 - 127).to(torch.int8)

    sigma = IntegerSigma(
        weight1=extreme(192, 9 * 96),
        bias1=torch.zeros(QUALITIES, 192, dtype=torch.int32),
        weight2=extreme(16 * 8, 192),
        bias2=torch.full((QUALITIES, 8), 30 << 10, dtype=torch.int32),
    )
    assert sigma.bound_of_sums() < 1 << 24
    z_hat = (torch.randint(0, 2, (1, 96, 5, 5), generator=generator) * 2 * Z_LIMIT - Z_LIMIT).float()
    expected = sigma.index_numpy(z_hat[0].numpy().astype(np.int64), 1)
    for name, index in arrangements(sigma, z_hat, 1):
        np.testing.assert_array_equal(index, expected, err_msg=name)


def test_gradients_reach_every_parameter() -> None:
    path = trained(3)
    index = path(random_z(HYPER, seed=3).requires_grad_(), torch.tensor([40]))
    index.sum().backward()
    for name, parameter in path.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_scale_table_is_log_spaced() -> None:
    table = scale_table()
    assert len(table) == SCALES
    assert table[0].item() == pytest.approx(0.11) and table[-1].item() == pytest.approx(256, rel=1e-4)
    assert torch.allclose(table[1:] / table[:-1], table[1] / table[0])


def test_released_integers_can_be_trained_on() -> None:
    released = trained(5).released()
    other = trained(6)
    other.load_released(released)
    again = other.released()
    for name in ("weight1", "weight2"):
        assert torch.equal(getattr(again, name), getattr(released, name))
    for name in ("bias1", "bias2"):
        assert (getattr(again, name) - getattr(released, name)).abs().max() <= 1  # rounded once more between nodes
    odd = SigmaPath(hyper=HYPER, hidden=HIDDEN, latents=LATENTS, nodes=5, log_sigma=torch.zeros(5, LATENTS))
    with pytest.raises(ValueError, match="5 nodes"):
        odd.load_released(released)
