"""One step of an image: what the networks' outputs say about a pixel, on numpy and on torch alike (features.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from semcomp.lossless.features import Known, Place, Windows, chroma_step, luma_step
from semcomp.lossless.fits import LumaFit

SCALES = 64
"""Scales of a prediction, six to an octave of the standard deviation."""
PHASES = 8
"""Where between two integers the mean is, in eighths."""
STEPS_PER_OCTAVE = 6
FIRST_SCALE = 12
"""The scale of an output of 0 at activity 0."""
COARSER = (0, 10, 14, 17, 19, 21, 22, 23, 25)
"""Scales to go down where symbols count steps of 1, 3, 5, ... 17: six times the binary logarithm, rounded."""
MAX_NEAR = len(COARSER) - 1
MEAN_LIMIT = 4096
"""Means of 8-bit images are at most this far from the initial prediction, in eighths."""
OUTPUT_LIMIT = 8191
"""Larger means of a network are taken for this one, so that their shift by k stays below 2^31."""
WEIGHT_LIMIT = 127
"""So are larger weights of an error."""


class Networks(Protocol):
    """The networks of a backend, on its arrays."""

    @property
    def xp(self) -> Any:
        """numpy or torch"""

    @property
    def windows(self) -> dict[str, Windows]:
        """The windows of every pass."""

    def run(self, name: str, features: Any) -> Any:
        """Outputs of one network for features (F, N): (2, N) of "luma11", (5, N) of "chroma11", and so on."""


@dataclass(frozen=True)
class Prediction:
    """What is expected of pixels: the integers that symbols are counted from, and table numbers, (N,) int32 each."""

    mean: Any
    table: Any
    """scale * PHASES + phase. Scales of 8-bit images are 0..63, those of 16-bit images 0..111."""


def predicted(xp: Any, initial: Any, eighths: Any, scale: Any, k: Any, bits: int) -> Prediction:
    """The mean lies ``eighths`` of a pixel from the initial prediction; the network's scale is in quarters."""
    limit = MEAN_LIMIT << (bits - 8)
    eighths = xp.clip(eighths, -limit, limit) + 4
    last = SCALES - 1 + STEPS_PER_OCTAVE * (bits - 8)
    scale = xp.clip((scale + 4 * (STEPS_PER_OCTAVE * k + FIRST_SCALE) + 2) >> 2, 0, last)
    return Prediction(initial + (eighths >> 3), scale * PHASES + (eighths & 7))


def without_low_bits(tables: Any) -> tuple[Any, Any]:
    """Tables of scales 0..63 for the high bits of symbols, and how many low bits of each symbol are stored as they are.

    A scale beyond 63 means a distribution that is flat over some low bits. The high bits are rounded down, which moves
    their mean by half of their unit: phase 0 says so.
    """
    scale, phase = tables // PHASES, tables % PHASES
    low = ((scale - SCALES + STEPS_PER_OCTAVE) // STEPS_PER_OCTAVE).clip(0)
    return (scale - STEPS_PER_OCTAVE * low) * PHASES + phase * (low == 0), low


def coarser_tables(tables: Any, near: int) -> Any:
    """Table numbers for symbols that count steps of 2 near + 1: a smaller scale, and a phase nearer to the middle."""
    step = 2 * near + 1
    scale, phase = tables // PHASES, tables % PHASES
    scale = (scale - COARSER[near]).clip(0, SCALES - 1)
    return scale * PHASES + (2 * (phase - PHASES // 2) + step) // (2 * step) + PHASES // 2


def in_eighths(xp: Any, output: Any, k: Any) -> Any:
    """A network's mean, which is in the unit of its features, in eighths of a pixel."""
    return ((xp.clip(output, -OUTPUT_LIMIT, OUTPUT_LIMIT) << k) + 4) >> 3


def luma_prediction(
    networks: Networks, known: Known, fit: LumaFit, target: str, *, place: Place, rows: slice
) -> Prediction:
    """The prediction of luma on lattice ``target`` in some rows of cells."""
    xp = networks.xp
    features, initial, k = luma_step(xp, known, networks.windows[target], fit, place=place, rows=rows)
    output = networks.run("luma" + target, features)
    return predicted(xp, initial, in_eighths(xp, output[0], k), output[1], k, place.bits)


@dataclass(frozen=True, kw_only=True)
class ChromaOutputs:
    """The predictions of both colour differences. The second waits for the first."""

    xp: Any
    initial: tuple[Any, Any]
    k: Any
    output: Any
    """(5, N): mean and scale of the first, mean and scale of the second, and the weight of the first one's error"""
    cells: slice
    """Where these cells are among those of the step."""
    bits: int

    def first(self) -> Prediction:
        """The prediction of the first colour difference."""
        mean = in_eighths(self.xp, self.output[0], self.k)
        return predicted(self.xp, self.initial[0], mean, self.output[1], self.k, self.bits)

    def second(self, error: Any) -> Prediction:
        """The prediction of the second one, given the first one's errors (N,)."""
        weight = self.xp.clip(self.output[4], -WEIGHT_LIMIT, WEIGHT_LIMIT)
        moved = in_eighths(self.xp, self.output[2], self.k) + ((weight * error + 8) >> 4)
        return predicted(self.xp, self.initial[1], moved, self.output[3], self.k, self.bits)


def chroma_outputs(
    networks: Networks, known: Known, target: str, luma: Any, error: Any, *, place: Place, rows: slice, columns: int
) -> ChromaOutputs:
    """Run the chroma network of lattice ``target``; ``luma`` and its ``error`` (N,) are those of the whole step."""
    cells = slice(rows.start * columns, rows.stop * columns)
    windows = networks.windows[target]
    features, *initial, k = chroma_step(networks.xp, known, windows, luma[cells], error[cells], place=place, rows=rows)
    output = networks.run("chroma" + target, features)
    return ChromaOutputs(
        xp=networks.xp, initial=(initial[0], initial[1]), k=k, output=output, cells=cells, bits=place.bits
    )
