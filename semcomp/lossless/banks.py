"""Frequency tables of the symbols, and how a file's own symbols change them.

There are 512 tables for luma and 512 for each colour difference, one for every scale and phase of a prediction. A file
starts from the model's tables. After every step the symbols that were coded are counted, and the next step of the same
channel mixes the counts with the model's tables. Encoder and decoder count the same symbols in the same integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import PRECISION, TOTAL, Tables
from semcomp.lossless.step import PHASES, SCALES

Int32 = NDArray[np.int32]

CHANNELS = 3
TABLES = SCALES * PHASES
PRIOR_WEIGHT = 400
"""The model's table weighs as much as this many counted symbols."""
REBUILD = 2048
"""Counts change the tables once they have grown by this many symbols."""

AT_ONCE = 1 << 18
"""Symbols that are counted together, so that a large image needs no large arrays."""


class AdaptiveBank:
    """The tables of one channel of one file, as they follow its symbols."""

    def __init__(self, prior: Tables) -> None:
        self.tables = prior
        """The tables of the next step."""
        self._prior = prior
        self._counts = np.zeros(len(prior.flat), np.int64)
        self._frequencies = np.zeros(len(prior.flat), np.int64)
        self._changed = np.ones(len(prior), bool)
        self._waiting = 0

    def count(self, tables: Int32, symbols: Int32) -> None:
        """Count the symbols of a step under the numbers of their tables; sometimes the tables change."""
        self._count(tables, symbols)
        self._waiting += len(symbols)
        if self._waiting >= REBUILD:
            self._waiting = 0
            self._mix()
            self.tables = Tables.from_arrays(self._prior.bounds, self._frequencies)

    def _count(self, tables: Int32, symbols: Int32) -> None:
        limits, starts = self._prior.bounds.astype(np.int64), self._prior.offsets
        for first in range(0, len(symbols), AT_ONCE):
            part, numbers = symbols[first : first + AT_ONCE], tables[first : first + AT_ONCE]
            bounds = limits[numbers]
            category = np.where(np.abs(part) > bounds, 2 * bounds + 1, part + bounds)
            self._changed[numbers] = True
            self._counts += np.bincount(starts[numbers] + category, minlength=len(self._counts))

    def _mix(self) -> None:
        """Mix the prior and the counts in tables with new counts.

        Every frequency is at least 1, and the most frequent one takes the rest.
        """
        changed = np.flatnonzero(self._changed)
        self._changed[:] = False
        offsets = self._prior.offsets[changed]
        sizes = self._prior.offsets[changed + 1] - offsets
        starts = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(offsets - starts, sizes)
        counts, weighted = self._counts[places], self._prior.flat[places].astype(np.int64) * PRIOR_WEIGHT
        seen = np.add.reduceat(counts, starts)
        share = (weighted + (counts << PRECISION)) // np.repeat(seen + PRIOR_WEIGHT, sizes)
        frequencies = 1 + (share * np.repeat(TOTAL - sizes, sizes) >> PRECISION)
        missing = TOTAL - np.add.reduceat(frequencies, starts)
        largest = np.repeat(np.maximum.reduceat(frequencies, starts), sizes) == frequencies
        first = np.flatnonzero(largest)
        _, at = np.unique(np.searchsorted(starts, first, side="right"), return_index=True)
        frequencies[first[at]] += missing
        self._frequencies[places] = frequencies
