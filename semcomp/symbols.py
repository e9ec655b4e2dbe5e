"""The integers of a file, and the latents that they stand for: what every client of the format shares.

No network is in here, and no torch: a client brings the integer path that names the tables (`table_numbers`) and the
mean path (`quantize`, `dequantize`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from semcomp.coder import SymbolReader, encode_symbols
from semcomp.errors import FormatError
from semcomp.tables import Tables

QUALITIES = 100
"""Qualities are the integers 1..100."""
STRIDE_Y, STRIDE_Z = 16, 64
Z_LIMIT = 127
"""z-hat lies in -Z_LIMIT..Z_LIMIT."""


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What heads and generators read: the decoded latents of one file."""

    y_hat: Any
    """float32 (1, M, ceil(height / 16), ceil(width / 16)), after the inverse gain: a tensor, or semcomp.edge's array"""
    width: int
    height: int
    quality: int
    entropy_id: bytes
    model_id: bytes
    keep: np.ndarray | None = None
    """bool (rows, columns) of y_hat: false where nothing was coded and y_hat is 0; None for a whole picture"""


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """The integers of one file, in C, H, W order."""

    z: np.ndarray
    """int16 (Z, ceil(h/64), ceil(w/64))"""
    y: np.ndarray
    """int16 (M, ceil(h/16), ceil(w/16))"""
    index: np.ndarray
    """int8 of the same shape: table numbers, -1 where nothing is coded"""
    keep: np.ndarray | None = None
    """bool (ceil(h/16), ceil(w/16)): positions that are coded at all, see `Latents`"""


def grid(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the positions that an image has at a stride."""
    return -(-height // stride), -(-width // stride)


def rate_node(quality: Any, nodes: int) -> Any:
    """Number of the prior of z that a quality (an integer, or integers) uses: it selects tables."""
    return ((quality - 1) * (nodes - 1) * 2 + (QUALITIES - 1)) // (2 * (QUALITIES - 1))


class SymbolCoder(ABC):
    """Tables, and the paths beside them: latents to symbols to bytes, and back."""

    def __init__(self, *, tables_z: Tables, tables_y: Tables, hyper: int, nodes: int):
        self.tables_z, self.tables_y, self.hyper, self.nodes = tables_z, tables_y, hyper, nodes

    @abstractmethod
    def table_numbers(self, z: np.ndarray, *, height: int, width: int, quality: int) -> np.ndarray:
        """The `index` of Symbols that z leads to where everything is kept. Integers alone decide it."""

    @abstractmethod
    def quantize(
        self, y: Any, *, height: int, width: int, quality: int, optimise: bool = True, precise: bool = True,
        keep: np.ndarray | None = None,
    ) -> tuple[Symbols, Any]:  # fmt: skip
        """Symbols of an analysis y (1, M, 4a, 4b) of an image, and the y_hat that `dequantize` makes of them.

        `optimise` weighs bits against error (rounding.py). Without `precise` the mean path may run in lower
        precision: near enough for a head, not for a file. Where `keep`, bool (rows, columns), is false, y is zero
        before the hyper analysis, no element of it is coded, and y_hat is zero for both passes.
        """

    @abstractmethod
    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> Any:
        """y_hat (1, M, rows, columns) of an image's positions, float32. `precise` and the symbols' keep as above."""

    def write(self, symbols: Symbols, *, quality: int) -> bytes:
        """The body of the chunk SYMBOLS."""
        z_index = self.z_index(symbols.z.shape, quality=quality)
        return encode_symbols([
            (symbols.z.ravel(), z_index, self.tables_z),
            (symbols.y.ravel(), symbols.index.ravel(), self.tables_y),
        ])  # fmt: skip

    def read(
        self, data: bytes, *, height: int, width: int, quality: int, plain: bool = False,
        keep: np.ndarray | None = None, verify_z: Callable[[np.ndarray], None] = lambda z: None,
    ) -> Symbols:  # fmt: skip
        """The symbols of an image of that size. FormatError for a stream that no encoder writes.

        `keep` is what `quantize` was given. `verify_z` sees z before anything is made from it, and may raise.
        """
        reader = SymbolReader(data, plain=plain)
        shape = (self.hyper, *grid(height, width, STRIDE_Z))
        flat = reader.read(self.z_index(shape, quality=quality), self.tables_z)
        if np.abs(flat).max() > Z_LIMIT:
            raise FormatError(f"z holds {np.abs(flat).max()}, at most {Z_LIMIT} is allowed; encode the picture again")
        z = flat.astype(np.int16).reshape(shape)
        verify_z(z)
        index = self.table_numbers(z, height=height, width=width, quality=quality)
        if keep is not None:
            index = np.where(keep, index, np.int8(-1))
        y = reader.read(index.ravel(), self.tables_y)
        reader.finish()
        return Symbols(z=z, y=y.astype(np.int16).reshape(index.shape), index=index, keep=keep)

    def z_index(self, shape: tuple[int, ...], *, quality: int) -> np.ndarray:
        """Table of every element of z (Z, a, b), flat: its rate node's, its channel's."""
        node = int(rate_node(quality, self.nodes))
        return np.repeat(np.arange(self.hyper, dtype=np.int16) + node * self.hyper, shape[1] * shape[2])
