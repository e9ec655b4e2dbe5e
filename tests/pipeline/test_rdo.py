"""The encoder's choice between two symbols."""

import torch

from semcomp.pipeline.rdo import choose_symbols, price_at


def bits_of(costs: list[float]) -> torch.Tensor:
    return torch.tensor([costs])


def test_without_costs_it_is_the_nearest_integer() -> None:
    value = torch.tensor([0.4, 0.6, -1.6, 7.2])
    coded = torch.tensor([True, True, True, False])
    assert choose_symbols(value, torch.zeros(4), coded, None, price=price_at(50)).tolist() == [0, 1, -2, 0]


def test_a_dear_symbol_gives_way_when_the_error_hardly_grows() -> None:
    bits = bits_of([9.0, 6.0, 0.1, 6.0, 9.0])  # of -2..2
    value = torch.tensor(
        [0.55, 0.99, -0.55, -0.99, 0.2]
    )  # 0.55: 5.9 bits saved for 1.7 of error and a toll of 3, 0.99: 16.9
    chosen = choose_symbols(value, torch.zeros(5), torch.ones(5, dtype=torch.bool), bits, price=price_at(50))
    assert chosen.tolist() == [0, 1, 0, -1, 0]


def test_equal_costs_change_nothing_and_far_symbols_are_left() -> None:
    bits = bits_of([3.0] * 5)
    value = torch.tensor([0.51, 1.9, -40.6])
    assert choose_symbols(
        value, torch.zeros(3), torch.ones(3, dtype=torch.bool), bits, price=price_at(50)
    ).tolist() == [1, 2, -41]


def test_the_largest_symbol_of_a_table_may_give_way_too() -> None:
    bits = bits_of([20.0, 1.0, 0.0, 1.0, 20.0])
    value = torch.tensor([1.6, -1.6, 2.6])
    assert choose_symbols(
        value, torch.zeros(3), torch.ones(3, dtype=torch.bool), bits, price=price_at(50)
    ).tolist() == [1, -1, 3]


def test_the_toll_falls_with_quality_from_50_on() -> None:
    bits = bits_of([9.0, 6.0, 1.5, 6.0, 9.0])  # 4.5 bits saved for 1.7 of error and the toll
    value = torch.tensor([0.55])
    chosen = {
        q: choose_symbols(value, torch.zeros(1), value > 0, bits, price=price_at(q)).item() for q in (1, 50, 60, 100)
    }
    assert chosen == {1: 1, 50: 1, 60: 0, 100: 0}
    assert [price_at(q).toll for q in (1, 50, 75, 100)] == [3, 3, 2, 1]
