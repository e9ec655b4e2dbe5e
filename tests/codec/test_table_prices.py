"""Tables while symbols move: exactly those of the integer path, and prices that foretell what a symbol does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from semcomp.codec.codec import Codec
from semcomp.codec.table_prices import prices, signed_surprises
from semcomp.codec.tables_in_use import Coding, RefinedNumbers
from semcomp.networks.refine import refined_numpy
from semcomp.networks.sigma import scale_table
from semcomp.pipeline.passes import FOUR
from tests.codec.test_effort import cost
from tests.releases import untrained


@pytest.fixture(scope="module", params=[False, True], ids=["middle", "centroid"])
def refined(request: pytest.FixtureRequest) -> Codec:
    return Codec(untrained(centroid=request.param))


def sums_of(codec: Codec, shape: torch.Size, quality: int) -> torch.Tensor:
    z = torch.randint(-3, 4, (1, codec.release.config.hyper, shape[2] // 4, shape[3] // 4))
    return codec.release.sigma.sums(z.float(), quality)


def walked(codec: Codec, symbols: torch.Tensor, sums: torch.Tensor, quality: int) -> RefinedNumbers:
    """All passes over given symbols."""
    coding = Coding.of(codec.release, codec.network, torch.device("cpu"))
    numbers = RefinedNumbers(coding, sums, torch.ones_like(symbols, dtype=torch.bool), quality=quality)
    for number in range(FOUR):
        _, mine = numbers.numbers(number)
        numbers.add(symbols * mine)
    return numbers


def bits_of(codec: Codec, numbers: RefinedNumbers) -> torch.Tensor:
    bits = torch.from_numpy(codec.release.tables_y.bits())
    column = (numbers.symbols.long() + bits.shape[1] // 2).clamp(0, bits.shape[1] - 1)
    cost_of: torch.Tensor = bits[numbers.index.long(), column] * numbers.coded
    return cost_of


def test_prices_foretell_the_bits_of_later_passes(refined: Codec) -> None:
    """A first-order price cannot foretell one rounded table number. Over many changes of symbols it does."""
    release, generator = refined.release, torch.Generator().manual_seed(0)
    assert release.refiner is not None
    quiet = {name: (getattr(release.refiner, name) / 4).round().to(torch.int8) for name in ("weight2", "own")}
    codec = Codec(replace(release, refiner=replace(release.refiner, **quiet)))
    shape = torch.Size((1, release.config.latents, 32, 32))
    sums, bits = sums_of(codec, shape, 80), torch.from_numpy(release.tables_y.bits())
    draft = walked(codec, torch.zeros(shape), sums, 80)
    symbols = torch.randn(shape, generator=generator).mul_(scale_table()[draft.index.long()]).round_()
    before = walked(codec, symbols, sums, 80)
    price = prices(before.symbols, before.index, before.coded, before.order, before.refiner, bits, quality=80)
    assert not price[before.order == FOUR - 1].any() and not price[~before.coded].any()
    first, table = (before.order == 0) & before.coded, before.refiner.table
    foretold, paid = [], []
    for _ in range(60):
        step = torch.randint(-1, 2, shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.2)
        moved = torch.where(first, symbols + step, symbols)
        surprises = [table[before.index.long(), value.abs().long()] for value in (symbols, moved)]
        foretold.append(float((price * (surprises[1] - surprises[0]))[first].sum()))
        after = walked(codec, moved, sums, 80)
        paid.append(float((bits_of(codec, after) - bits_of(codec, before))[before.order > 0].sum()))
    assert np.corrcoef(foretold, paid)[0, 1] > 0.3
    assert 0.5 < np.polyfit(foretold, paid, 1)[0] < 2


def test_planes_of_tables_are_those_of_the_integer_path(refined: Codec) -> None:
    release, shape = refined.release, torch.Size((1, refined.release.config.latents, 12, 16))
    assert release.refiner is not None
    torch.manual_seed(1)
    symbols, sums = torch.randn(shape).mul_(4).round_(), sums_of(refined, shape, 60)
    numbers = walked(refined, symbols, sums, 60)
    expected = refined_numpy(
        release.refiner,
        sums[0].long().numpy(),
        symbols[0].long().numpy(),
        np.ones(shape[1:], np.bool_),
        quality=60,
        skip=release.skip_below,
    )
    assert np.array_equal(torch.where(numbers.coded, numbers.index, -1.0)[0].numpy(), expected)
    assert len(np.unique(expected)) > 10


def test_surprises_are_symmetrical(refined: Codec) -> None:
    assert refined.release.refiner is not None
    table = signed_surprises(refined.release.refiner, 1500)
    assert torch.equal(table, table.flip(1)) and torch.equal(
        table[:, 1500], refined.release.refiner.table[:, 0].float()
    )


def test_a_high_effort_is_never_worse_with_refined_tables(refined: Codec) -> None:
    y, x = np.mgrid[0:70, 0:90].astype(np.float32)
    pixels = np.stack([x * 2, y * 3, 200 - x], axis=2).clip(0, 255).astype(np.uint8)
    for quality in (30, 90):
        plain, fitted = (refined.encode(pixels, quality=quality, effort=level) for level in (5, 7))
        assert cost(refined, pixels, fitted) <= cost(refined, pixels, plain)
        assert refined.decode(fitted).size == (90, 70)
