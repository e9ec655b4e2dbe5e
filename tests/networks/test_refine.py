"""The second pass' scale: integers from integers, no look ahead, and a surprise that is fair."""

import numpy as np
import pytest
import torch
from torch import Tensor

from semcomp.networks.checkerboard import checkerboard, quarters
from semcomp.networks.refine import ScaleRefiner, surprise, surprise_numpy, surprise_table
from semcomp.networks.sigma import BIAS_LIMIT, WEIGHT_LIMIT, index_of, scale_table
from semcomp.pipeline.refined_tables import SURPRISE_LIMIT

SHAPE = torch.Size((1, 12, 6, 8))
CPU = torch.device("cpu")


def scene(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Symbols, table numbers, even elements, sums."""
    generator = torch.Generator().manual_seed(seed)
    symbols = (torch.randn(SHAPE, generator=generator) * 5).round()
    sums = torch.randint(0, 64 << 10, SHAPE, generator=generator).float()
    return symbols, index_of(sums), checkerboard(SHAPE, device=CPU).float(), sums


def refiner(seed: int, passes: int = 2) -> ScaleRefiner:
    torch.manual_seed(seed)
    layer = ScaleRefiner(latents=SHAPE[1], hidden=16, nodes=3, passes=passes)
    torch.nn.init.normal_(layer.weight2, std=0.2)
    return layer


def test_surprise_is_fair_under_its_own_table() -> None:
    """Symbols that follow their table say on average that the table is right."""
    table, sigma = surprise_table().double(), scale_table().double()
    size = torch.arange(-1023, 1024, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    for number in range(0, 55):
        mass = normal.cdf((size + 0.5) / sigma[number]) - normal.cdf((size - 0.5) / sigma[number])
        expected = (mass * table[number, size.abs().long()]).sum()
        assert -5 < expected < 0.1  # of a unit of 32; the logarithm of large scores takes a little away
    assert (table.diff(dim=1) >= 0).all()  # a larger symbol never speaks for a narrower table
    assert table.abs().max() <= SURPRISE_LIMIT and torch.equal(table, table.round())


def test_everything_is_an_integer_and_stays_exact() -> None:
    symbols, index, even, sums = scene(0)
    seen = surprise(symbols, index, even, even)
    assert torch.equal(seen, seen.round()) and seen.abs().max() <= SURPRISE_LIMIT
    layer = refiner(0)
    with torch.no_grad():
        refined = layer(sums, seen, torch.tensor([37]))
        assert torch.equal(refined, refined.round())
        weight1, bias1, weight2, own = (value.double() for value in layer.integers(torch.tensor([37]), 1))
        first = torch.einsum("kc,bchw->bkhw", weight1, seen.double()) + bias1
        hidden = torch.floor(first / 16).clamp(0, 255)
        expected = sums.double() + torch.einsum("ck,bkhw->bchw", weight2, hidden) + own * seen.double()
    assert torch.equal(refined.double(), expected)
    widest = SHAPE[1] * WEIGHT_LIMIT * SURPRISE_LIMIT + BIAS_LIMIT
    assert widest < 1 << 24
    with pytest.raises(AssertionError, match="not be exact"):
        ScaleRefiner(latents=1100, hidden=16, nodes=3)
    with pytest.raises(AssertionError, match="refined sum would not be exact"):
        ScaleRefiner(latents=12, hidden=256, nodes=3, sigma_hidden=256)


def test_symbols_that_come_later_change_nothing() -> None:
    symbols, index, even, _ = scene(1)
    other = torch.where(even.bool(), symbols, symbols + 9)
    assert torch.equal(surprise(symbols, index, even, even), surprise(other, index, even, even))
    assert not torch.equal(
        surprise(symbols, index, even, even),
        surprise(torch.where(even.bool(), symbols + 9, symbols), index, even, even),
    )


def test_neighbours_decide_the_surprise_of_an_odd_element() -> None:
    symbols, index = torch.zeros(1, 1, 5, 5), torch.full((1, 1, 5, 5), 20.0)
    even = checkerboard(symbols.shape, device=CPU).float()
    symbols[0, 0, 1, 1] = 30  # an even element
    table = surprise_table()
    seen = surprise(symbols, index, even, even)[0, 0]
    quiet, loud = table[20, 0].item(), table[20, 30].item()
    assert seen[1, 1] == loud and seen[2, 2] == quiet
    assert seen[1, 2] == np.floor((loud + 3 * quiet) / 4)
    assert seen[3, 2] == quiet and seen[0, 1] == np.floor((loud + 2 * quiet) / 4)
    silent = surprise(symbols, index, torch.zeros_like(even), even)  # nothing was coded, so nothing is said
    assert not silent.any()


def test_large_symbols_around_widen_the_table_after_training() -> None:
    """A few steps of descent on symbols whose scale varies from place to place."""
    torch.manual_seed(2)
    layer = ScaleRefiner(latents=SHAPE[1], hidden=16, nodes=3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    even, quality = checkerboard(SHAPE, device=CPU).float(), torch.tensor([50])
    base = torch.full(SHAPE, 20.5 * 1024)
    losses = []
    for _ in range(60):
        truth = torch.randint(10, 31, (1, 1, 1, 1)).float().expand(SHAPE)
        symbols = (scale_table()[truth.long()] * torch.randn(SHAPE)).round()
        seen = surprise(symbols, index_of(base), even, even)
        loss = ((index_of(layer(base, seen, quality)) - truth).square() * (1 - even)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-15:]) < 0.6 * np.mean(losses[:15])


def test_four_passes_cover_every_element_once() -> None:
    number = quarters(SHAPE, device=CPU)
    assert number.shape == (1, *SHAPE[1:]) and [int((number == n).sum()) for n in range(4)] == [144] * 4
    first = number[0, 0]
    row, column = (int(v) for v in (first == 1).nonzero()[0])
    assert first[row - 1 if row else row + 1, column - 1 if column else column + 1] == 0
    assert (number[0, :4, 0, 0].sort().values == torch.arange(4)).all()


@pytest.mark.parametrize("passes", [2, 4])
@pytest.mark.parametrize("quality", [1, 58, 100])
def test_training_and_numpy_agree_to_the_bit(passes: int, quality: int) -> None:
    layer = refiner(quality, passes)
    if layer.step is not None:
        torch.nn.init.normal_(layer.step)
    released = layer.released()
    assert released.bound_of_sums((64 << 10) + BIAS_LIMIT) < 1 << 24
    symbols, index, even, sums = scene(quality)
    order = quarters(SHAPE, device=CPU) if passes == 4 else 1 - even
    found = set()
    for number in range(1, passes):
        earlier = (order < number).float()
        coded = earlier * (index >= 4)
        seen = surprise(symbols, index, coded, earlier, released.table)
        with torch.no_grad():
            trained = index_of(layer(sums, seen, torch.tensor([quality]), number))
        plain = surprise_numpy(
            symbols[0].long().numpy(),
            index[0].long().numpy(),
            coded[0].bool().numpy(),
            earlier[0].bool().numpy(),
            released.table.numpy(),
        )
        assert np.array_equal(plain, seen[0].long().numpy())
        again = released.index_numpy(sums[0].long().numpy(), plain, quality, number)
        assert np.array_equal(again, trained[0].long().numpy())
        found.add(again.tobytes())
    assert len(found) == passes - 1  # every pass refines in its own way
