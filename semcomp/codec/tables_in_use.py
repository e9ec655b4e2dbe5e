"""The integer tables of a picture while its latents move: which elements every pass codes, and with which tables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semcomp.codec.annealing import Costs, flat, plane
from semcomp.codec.release import Release
from semcomp.codec.table_prices import prices, refinement, signed_surprises
from semcomp.networks.model import CodecModel
from semcomp.networks.refine import IntegerRefiner, surprise
from semcomp.networks.sigma import index_of

RENEWED = 4
"""Tables that depend on earlier symbols are chosen again in every fourth step."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What decides the bits of y."""

    network: CodecModel
    refiner: IntegerRefiner | None
    """Its integers in float32."""
    skip: int
    """Elements with a smaller table number are not coded."""
    bits: Tensor
    """Cost of the symbols -W..W under each table, (64, 2W + 1)."""

    @classmethod
    def of(cls, release: Release, network: CodecModel, device: torch.device) -> Coding:
        """The coding of a release."""
        refiner = release.refiner
        if refiner is not None:
            refiner = IntegerRefiner(**{name: value.to(device, torch.float32) for name, value in vars(refiner).items()})
        bits = torch.from_numpy(release.tables_y.bits()).to(device)
        return cls(network=network, refiner=refiner, skip=release.skip_below, bits=bits)

    def costs(self, quality: int) -> Costs:
        """What symbols cost and decode to at a quality."""
        widest, shifts, centroid = self.bits.shape[1] // 2, None, self.network.centroid
        if centroid is not None:
            symbols = torch.arange(-widest, widest + 1.0, device=self.bits.device).expand_as(self.bits)
            index = torch.arange(float(len(symbols)), device=symbols.device)[:, None].expand_as(symbols)
            points = centroid(symbols[None, None], index[None, None], torch.tensor([quality], device=symbols.device))
            shifts = points[0, 0] - symbols
        surprises = None if self.refiner is None else signed_surprises(self.refiner, widest)
        return Costs.of(self.bits, surprises=surprises, shifts=shifts)


class RefinedNumbers:
    """The table numbers of all passes as whole planes, while symbols become known: FORMAT.md in exact float32.

    It computes what semcomp/pipeline/refined_tables.py computes, on the device of its tensors.
    """

    def __init__(self, coding: Coding, sums: Tensor, usable: Tensor, *, quality: int):
        """Start before the first pass, from what `TablesInUse` takes."""
        assert coding.refiner is not None
        self.refiner, self.sums, self.usable, self.quality, self.skip = (
            coding.refiner,
            sums,
            usable,
            quality,
            coding.skip,
        )
        self.order = coding.network.order(sums.shape, device=sums.device)
        self.index, self.symbols = index_of(sums), torch.zeros_like(sums)

    @property
    def coded(self) -> Tensor:
        """Elements that are coded, bool, as far as their pass has begun."""
        return self.usable & (self.index >= self.skip)

    def numbers(self, number: int) -> tuple[Tensor, Tensor]:
        """Table numbers (1, M, h, w) as they are in pass `number`, and which of its elements are coded."""
        mine = self.order == number
        if number:
            earlier = self.order < number
            coded = (self.coded & earlier).float()
            seen = surprise(self.symbols, self.index, coded, earlier.float(), self.refiner.table)
            moved = refinement(seen, self.refiner, self.quality, number, exact=True)
            self.index = torch.where(mine, index_of(self.sums + moved), self.index)
        return self.index, self.coded & mine

    def add(self, symbols: Tensor) -> None:
        """Take the symbols of a pass, zero elsewhere."""
        self.symbols = self.symbols + symbols


class TablesInUse:
    """The tables of every pass.

    Where z alone decides the tables they are found once. Else the integer path refines them from the nearest integers,
    again every RENEWED-th step. The passes of a step are walked between `begin` and `end`.
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
        self.costs = coding.costs(quality)
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
        self.known = []
        self.refined = RefinedNumbers(coding, self.sums, self.usable, quality=self.quality)

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
            r = self.refined
            found = prices(r.symbols, r.index, r.coded, r.order, r.refiner, self.coding.bits, quality=r.quality)
            self.prices = flat(found)
