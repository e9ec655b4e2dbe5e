"""The order in which coefficients are told, written once for encoder and decoder.

Planes fall from 2^12 to 1. On each plane the context model estimates the scale of every coefficient in the zone;
those likely to reach the plane are asked about first, the most likely one first, then the known ones are refined,
then the less likely ones follow after a second estimate. Unlikely ones wait for a later plane.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semcomp.thumbs.bitcoder import HALF, Exhausted
from semcomp.thumbs.context import TOP, ContextTables, scales

HOPELESS = 48
"""A coefficient whose prior is this far below the plane (3 octaves) waits, whatever its neighbours say."""
BINS = 64
"""Entries of a probability table: the bin of a scale is (scale - 16 plane + 128) / 4."""


@dataclass(frozen=True, kw_only=True)
class CodeTables:
    """Constants of the code; all integers, read from the weights file."""

    context: ContextTables
    zones: NDArray[Any]
    """Side of the coded zone on each plane, shape (13,)."""
    reach: NDArray[Any]
    """P(magnitude >= 2^p | < 2^h) of 65,536, by h - p = 1, 2, more and bin: shape (3, BINS)."""
    beyond: NDArray[Any]
    """P(magnitude >= 2^(j+1) | >= 2^j, < 2^h) where h > j + 1: shape (BINS,)."""
    refine: NDArray[Any]
    """P(next bit is 1), by how many bits are known (1, 2, more) and bin: shape (3, BINS)."""
    first: int
    """Least probability that is asked about in a plane's first pass."""
    second: int
    """Least probability that is asked about in a plane's second pass."""
    centre: NDArray[Any]
    """Where in its interval a magnitude is shown, of 256, by known bits (1, 2, more) and bin: shape (3, BINS)."""


class BitCoder(Protocol):
    """What the walk needs of a coder: `bit` is what an encoder writes and what a decoder ignores."""

    def code(self, bit: int, probability: int) -> int: ...

    def codes(self, bits: list[int], probabilities: list[int]) -> list[int]: ...


def _lengths(values: NDArray[Any]) -> NDArray[Any]:
    """Bits of positive integers, as int.bit_length counts them."""
    return np.asarray(np.frexp(values)[1])


def bins(scale: NDArray[Any], plane: int | NDArray[Any]) -> NDArray[Any]:
    """Index into a probability table, for scales of any shape."""
    return np.clip((scale - 16 * plane + 128) >> 2, 0, BINS - 1)


class Walk:
    """State of a thumbnail's coefficients while they are written or read, each array of shape (C, 32, 32)."""

    def __init__(self, tables: CodeTables, channels: int, values: NDArray[Any] | None = None):
        shape = (channels, 32, 32)
        self.tables = tables
        self.high = np.full(shape, TOP)
        self.low = np.zeros(shape, dtype=np.int64)
        self.width = np.zeros(shape, dtype=np.int64)
        self.sign = np.ones(shape, dtype=np.int64)
        self.level = 0
        """How far the walk came: 2 (12 - plane), and one more in a plane's second pass."""
        self.plane = TOP
        self._values = np.zeros(shape, dtype=np.int64) if values is None else values
        self._scale = np.zeros(shape, dtype=np.int64)
        self._flat_low, self._flat_width, self._flat_sign = (a.reshape(-1) for a in (self.low, self.width, self.sign))

    def run(self, coder: BitCoder) -> None:
        """Code planes until the coder is exhausted or everything is known."""
        try:
            for self.plane in range(TOP - 1, -1, -1):
                self._plane(coder, int(self.tables.zones[self.plane]))
        except Exhausted:
            return

    def _plane(self, coder: BitCoder, zone: int) -> None:
        plane = self.plane
        self.level = 2 * (TOP - 1 - plane)
        cut = np.s_[:, :zone, :zone]
        known = (self.low[cut] > 0).ravel()
        index = np.arange(self.low.size).reshape(self.low.shape)[cut].ravel()
        unrefined = known & (self.width[cut].ravel() > 1 << plane)
        places, probabilities = self._likely(zone, self.tables.first, np.zeros_like(known), unrefined)
        self._ask(coder, index[places], probabilities)
        visited = known.copy()
        visited[places] = True
        self._halve(coder, index[unrefined])
        self.level += 1
        least = self.tables.second if plane else 0
        places, probabilities = self._likely(zone, least, visited, np.zeros_like(known))
        self._ask(coder, index[places], probabilities)

    def _estimate(self, zone: int, wanted: NDArray[Any] | None = None) -> NDArray[Any]:
        """Scales of the zone, (C, zone, zone); 0 where they are not wanted."""
        cut = np.s_[None, :, :zone, :zone]
        high, middle = self.high[cut[1:]][None], (2 * self.low[cut[1:]] + self.width[cut[1:]])[None]
        mask = None if wanted is None else wanted.reshape(high.shape)
        estimate: NDArray[np.int64] = scales(self.tables.context, high, middle, self.plane, mask)[0]
        return estimate

    def _likely(
        self, zone: int, least: int, visited: NDArray[Any], besides: NDArray[Any]
    ) -> tuple[NDArray[Any], list[int]]:
        """Flat places in the zone that are to be asked about, the likeliest first, and their probabilities.

        The estimated scales stay in `_scale`. The places in `besides` have theirs estimated too.
        """
        high = self.high[:, :zone, :zone].ravel()
        prior = self.tables.context.prior[: len(self.low), :zone, :zone].ravel()
        near = (prior >= 16 * self.plane - HOPELESS) | (self.plane == 0)
        open_ = (self.low[:, :zone, :zone].ravel() == 0) & ~visited & near & (high > self.plane)
        scale = self._estimate(zone, open_ | besides).ravel()
        candidates = np.flatnonzero(open_)
        above = np.clip(high[candidates] - self.plane, 1, 3) - 1
        chance = self.tables.reach[above, bins(scale[candidates], self.plane)]
        enough = chance >= least
        candidates, chance = candidates[enough], chance[enough]
        order = np.argsort(-chance, kind="stable")
        self._scale = np.zeros(self.low.shape, dtype=np.int64)
        self._scale[:, :zone, :zone] = scale.reshape(-1, zone, zone)
        return candidates[order], chance[order].tolist()

    def _ask(self, coder: BitCoder, index: NDArray[Any], probabilities: list[int]) -> None:
        """Tell of each coefficient whether it reaches the plane, and if so how far and its sign."""
        plane, code = self.plane, coder.code
        threshold = 1 << plane
        values = self._values.reshape(-1)[index].tolist()
        places, tops = index.tolist(), self.high.reshape(-1)[index].tolist()
        below: list[int] = []
        try:
            for place, probability, value, top in zip(places, probabilities, values, tops, strict=True):
                if code(value >= threshold or value <= -threshold, probability):
                    self._arrive(coder, place, value, top)
                else:
                    below.append(place)
        finally:
            self.high.reshape(-1)[below] = plane

    def _arrive(self, coder: BitCoder, place: int, value: int, top: int) -> None:
        """Tell sign and exponent of a coefficient that has become significant."""
        low, width, exponent = self._flat_low, self._flat_width, self.plane
        if coder.code(value < 0, HALF):
            self._flat_sign[place] = -1
        low[place] = width[place] = 1 << exponent
        if exponent + 1 == top:
            return
        scale = int(self._scale.reshape(-1)[place])
        while exponent + 1 < top:
            slot = min(max((scale - 16 * exponent + 128) >> 2, 0), BINS - 1)  # bins() takes longer for one number
            if not coder.code(abs(value) >= 2 << exponent, int(self.tables.beyond[slot])):
                break
            exponent += 1
            low[place] = width[place] = 1 << exponent
        while width[place] > 1 << self.plane:
            self._halve(coder, np.array([place]))

    def _halve(self, coder: BitCoder, index: NDArray[Any]) -> None:
        """Tell of known coefficients in which half of its interval each is. Raises Exhausted where the code ends."""
        low, width = self._flat_low, self._flat_width
        bottom, half = low[index], width[index] >> 1
        known = np.minimum(_lengths(bottom) - _lengths(half), 3) - 1
        chances = self.tables.refine[known, bins(self._scale.reshape(-1)[index], self.plane)]
        upper = np.abs(self._values.reshape(-1)[index]) >= bottom + half
        told = coder.codes(upper.tolist(), chances.tolist())
        done = len(told)
        low[index[:done]] += half[:done] * np.array(told, dtype=np.int64)
        width[index[:done]] = half[:done]
        if done < len(index):
            raise Exhausted("the code ends here")

    def shown(self) -> NDArray[Any]:
        """Most likely value of every coefficient times 256, int64 (C, 32, 32)."""
        scale = self._estimate(32)
        floor = np.maximum(self.low, 1)
        known = np.clip(np.floor(np.log2(floor)) - np.floor(np.log2(np.maximum(self.width, 1))) + 1, 1, 3)
        exponent = np.floor(np.log2(np.maximum(self.width, 1))).astype(np.int64)
        share = self.tables.centre[known.astype(np.int64) - 1, bins(scale, exponent)]
        magnitude = 256 * self.low + share * np.maximum(self.width - 1, 0)
        return np.asarray(np.where(self.low > 0, self.sign * magnitude, 0))
