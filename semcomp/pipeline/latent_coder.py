"""Symbols to bytes and back, around the networks of any backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from semcomp.bitstream.frequency_tables import Tables
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Z, Z_LIMIT, Symbols, grid, rate_node


class SymbolCoder(ABC):
    """Tables, and the paths beside them: latents to symbols to bytes, and back."""

    def __init__(self, *, tables_z: Tables, tables_y: Tables, hyper: int, nodes: int):
        self.tables_z, self.tables_y, self.hyper, self.nodes = tables_z, tables_y, hyper, nodes

    @abstractmethod
    def table_numbers(self, z: np.ndarray, *, height: int, width: int, quality: int) -> np.ndarray:
        """The `index` of Symbols that z leads to where everything is kept. Integers alone decide it."""

    @abstractmethod
    def quantize(
        self,
        y: Any,
        *,
        height: int,
        width: int,
        quality: int,
        optimise: bool = True,
        precise: bool = True,
        keep: np.ndarray | None = None,
    ) -> tuple[Symbols, Any]:
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
        return encode_symbols(
            [(symbols.z.ravel(), z_index, self.tables_z), (symbols.y.ravel(), symbols.index.ravel(), self.tables_y)]
        )

    def read(
        self,
        data: bytes,
        *,
        height: int,
        width: int,
        quality: int,
        plain: bool = False,
        keep: np.ndarray | None = None,
        verify_z: Callable[[np.ndarray], None] = lambda z: None,
    ) -> Symbols:
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
