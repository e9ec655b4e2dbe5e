"""Prices of symbols for later tables: the first-order change of the bits that the integer path pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("train.export", reason="needs pip install 'semcomp[train]'", exc_type=ImportError)

from semcomp.codec.codec import Codec
from semcomp.codec.table_prices import prices, signed_surprises
from semcomp.networks.refine import RefinedNumbers
from semcomp.networks.sigma import scale_table
from tests.codec.test_effort import cost
from tests.codec.test_refined import untrained


@pytest.fixture(scope="module", params=[2, 4])
def refined(request: pytest.FixtureRequest) -> Codec:
    return Codec(untrained(request.param))


def walked(codec: Codec, symbols: torch.Tensor, quality: int) -> RefinedNumbers:
    """All passes over given symbols."""
    release, network = codec.release, codec.network
    assert release.refiner is not None
    z = torch.zeros(1, release.config.hyper, symbols.shape[2] // 4, symbols.shape[3] // 4)
    order = network.order(symbols.shape, device=symbols.device)
    usable = torch.ones_like(symbols, dtype=torch.bool)
    numbers = RefinedNumbers(
        release.refiner, release.sigma.sums(z, quality), order, usable, quality=quality, skip=release.skip_below
    )
    for number in range(release.config.passes):
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
    draft = walked(codec, torch.zeros(shape), 80)
    symbols = torch.randn(shape, generator=generator).mul_(scale_table()[draft.index.long()]).round_()
    before = walked(codec, symbols, 80)
    price = prices(before, torch.from_numpy(release.tables_y.bits()), passes=release.config.passes)
    assert not price[before.order == release.config.passes - 1].any() and not price[~before.coded].any()
    first, table = (before.order == 0) & before.coded, before.refiner.table.float()
    foretold, paid = [], []
    for _ in range(60):
        step = torch.randint(-1, 2, shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.2)
        moved = torch.where(first, symbols + step, symbols)
        surprises = [table[before.index.long(), value.abs().long()] for value in (symbols, moved)]
        foretold.append(float((price * (surprises[1] - surprises[0]))[first].sum()))
        after = walked(codec, moved, 80)
        paid.append(float((bits_of(codec, after) - bits_of(codec, before))[before.order > 0].sum()))
    assert np.corrcoef(foretold, paid)[0, 1] > 0.3
    assert 0.5 < np.polyfit(foretold, paid, 1)[0] < 2


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
