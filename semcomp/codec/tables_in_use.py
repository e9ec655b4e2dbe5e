"""The integer tables of a picture while its latents move: which elements every pass codes, and with which tables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semcomp.codec.annealing import Costs, flat, plane
from semcomp.codec.release import Release
from semcomp.codec.table_prices import prices, signed_surprises
from semcomp.networks.model import CodecModel
from semcomp.networks.refine import IntegerRefiner, RefinedNumbers
from semcomp.networks.sigma import index_of

RENEWED = 4
"""Tables that depend on earlier symbols are chosen anew in every fourth step."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What decides the bits of y."""

    network: CodecModel
    refiner: IntegerRefiner | None
    skip: int
    """Elements with a smaller table number are not coded."""
    bits: Tensor
    """Cost of the symbols -W..W under each table, (64, 2W + 1)."""
    costs: Costs

    @classmethod
    def of(cls, release: Release, network: CodecModel, device: torch.device) -> Coding:
        """The coding of a release."""
        bits = torch.from_numpy(release.tables_y.bits()).to(device)
        refiner = None if release.refiner is None else release.refiner.to(device)
        known = None if refiner is None else signed_surprises(refiner, bits.shape[1] // 2)
        return cls(network=network, refiner=refiner, skip=release.skip_below, bits=bits, costs=Costs.of(bits, known))


class TablesInUse:
    """The tables of every pass.

    Where z alone decides the tables they are found once. Else the integer path refines them from the nearest integers,
    anew every RENEWED-th step. The passes of a step are walked between `begin` and `end`.
    """

    def __init__(self, coding: Coding, value: Tensor, sums: Tensor, usable: Tensor, *, quality: int):
        """Take what moves, and what z decides.

        Args:
            coding: The coding.
            value: What is coded, (1, M, h, w), in steps of the quantizer. It may change between steps.
            sums: Sums of the sigma path, (1, M, h, w).
            usable: bool (1, M, h, w): elements that may be coded.
            quality: 1..100.
        """
        self.coding, self.value, self.sums, self.usable, self.quality = coding, value, sums, usable, quality
        index = index_of(sums)
        self.plain = index, usable & (index >= coding.skip)
        self.known: list[tuple[Tensor, Tensor]] = []
        self.refined: RefinedNumbers | None = None
        self.prices: Tensor | None = None

    def begin(self, step: int) -> None:
        """Start the passes of a step."""
        self.refined, coding = None, self.coding
        if coding.refiner is None or step % RENEWED:
            return
        order = coding.network.order(self.value.shape, device=self.value.device)
        self.known = []
        self.refined = RefinedNumbers(
            coding.refiner, self.sums, order, self.usable, quality=self.quality, skip=coding.skip
        )

    def of(self, number: int, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (`annealing.flat`) of the elements that a pass codes, and their table numbers, (N,)."""
        if number == len(self.known):
            index, coded = self.plain[0], self.plain[1] & mask
            if self.refined is not None:
                index, coded = self.refined.numbers(number)
            places = flat(coded).nonzero()[:, 0]
            self.known.append((places, flat(index)[places].long()))
        return self.known[number]

    def price(self, number: int) -> Tensor | None:
        """Later bits for a unit of surprise of the elements of a pass, as they were when tables were last chosen."""
        return None if self.prices is None else self.prices[self.known[number][0]]

    @torch.no_grad()
    def add(self, mean: Tensor) -> None:
        """Take the mean of the pass that `of` was asked for last."""
        if self.refined is not None:
            places, _ = self.known[-1]
            symbols = torch.zeros(mean.numel(), device=mean.device)
            symbols[places] = (flat(self.value)[places] - flat(mean)[places]).round_()
            self.refined.add(plane(symbols, mean.shape))

    def end(self) -> None:
        """End the passes of a step."""
        if self.refined is not None:
            self.prices = flat(prices(self.refined, self.coding.bits, passes=len(self.known)))
