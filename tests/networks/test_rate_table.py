"""Rounding, rates, and the bounded clamp."""

import pytest
import torch

from semcomp.networks.rate_table import QUALITIES, RateRows, RateTable, lmbda_of, prior_node
from semcomp.networks.rounding import bound, floor, round_half_even


def test_rounding_is_the_same_with_and_without_gradients() -> None:
    value = torch.randn(1000) * 50
    for function, reference in ((round_half_even, torch.round), (floor, torch.floor)):
        assert torch.equal(function(value), reference(value))
        assert torch.equal(function(value.clone().requires_grad_()).detach(), reference(value))


def test_rounding_passes_the_gradient() -> None:
    value = torch.tensor([0.4, 1.7], requires_grad=True)
    (round_half_even(value) * torch.tensor([2.0, 3.0])).sum().backward()
    assert value.grad is not None and value.grad.tolist() == [2.0, 3.0]


def test_bound_lets_values_come_back() -> None:
    value = torch.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    (-bound(value, 0, 1)).sum().backward()  # descent raises every value
    assert value.grad is not None and value.grad.tolist() == [-1.0, -1.0, 0.0]


def test_every_prior_node_is_used_in_order() -> None:
    nodes = prior_node(torch.arange(1, QUALITIES + 1), 12)
    assert nodes[0] == 0 and nodes[-1] == 11
    assert set(nodes.tolist()) == set(range(12)) and (nodes.diff() >= 0).all()


def test_lmbda_is_log_spaced_between_its_ends() -> None:
    lmbda = lmbda_of(torch.tensor([1, 50, 51, 100]), 0.001, 0.1)
    assert lmbda[0].item() == pytest.approx(0.001) and lmbda[3].item() == pytest.approx(0.1, rel=1e-5)
    assert (lmbda[2] / lmbda[1]).item() == pytest.approx(100 ** (1 / 99), rel=1e-5)


def test_rate_table_meets_its_nodes_and_is_linear_between() -> None:
    table = RateTable(4, 2, init=torch.tensor([0.0, 1.0, 4.0, 9.0])[:, None])
    at = table(torch.tensor([1, 34, 67, 100]))[:, 0, 0, 0]
    assert torch.allclose(at, torch.tensor([0.0, 1.0, 4.0, 9.0]), atol=1e-6)
    between = table(torch.tensor([50, 51]))[:, 0, 0, 0]
    assert between.diff().item() == pytest.approx(3 * 3 / 99, rel=1e-4)


def test_rows_hold_what_the_table_gives() -> None:
    torch.manual_seed(0)
    table = RateTable(12, 37, init=torch.randn(12, 37))
    rows = RateRows(table, device=torch.device("cpu"))
    every = torch.arange(1, QUALITIES + 1)
    assert torch.equal(rows(every), table(every))
    for quality in (1, 50, 99, 100):
        assert torch.equal(rows(torch.tensor([quality])), table(torch.tensor([quality])))
    assert not rows.state_dict() and not rows.rows.requires_grad
