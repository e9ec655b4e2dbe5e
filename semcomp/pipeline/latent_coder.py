"""Latents to symbols to bytes and back, around the networks of any backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.frequency_tables import Tables
from semcomp.bitstream.symbol_stream import SymbolReader, encode_symbols
from semcomp.errors import FormatError
from semcomp.pipeline.passes import FOUR, put_quarter, quarter
from semcomp.pipeline.refined_tables import RefinedTables
from semcomp.types import STRIDE_Z, Z_LIMIT, A, Symbols, grid, rate_node


class SymbolCoder(ABC, Generic[A]):
    """The tables of a codec, and the paths from latents to symbols to bytes and back. `A` is the array type."""

    def __init__(self, *, tables_z: Tables, tables_y: Tables, hyper: int, nodes: int, refines: bool):
        """Take what every backend has.

        Args:
            tables_z: The tables of z.
            tables_y: The tables of y.
            hyper: Number of channels of z.
            nodes: Number of rate nodes.
            refines: Whether the integers of a pass refine the tables of the next.
        """
        self.tables_z, self.tables_y, self.hyper, self.nodes = tables_z, tables_y, hyper, nodes
        self.refines = refines

    @abstractmethod
    def table_numbers(self, z: NDArray[Any], *, height: int, width: int, quality: int) -> NDArray[np.int8]:
        """The table numbers that z leads to, as in `Symbols.index`, where everything is coded. Integers decide them.

        Coders that refine take `refined_tables` instead.
        """

    @abstractmethod
    def refined_tables(
        self, z: NDArray[Any], *, height: int, width: int, quality: int, keep: NDArray[np.bool_] | None
    ) -> RefinedTables:
        """The table numbers by passes, before the first. Only coders that refine have them."""

    @abstractmethod
    def quantize(
        self,
        y: A,
        *,
        height: int,
        width: int,
        quality: int,
        optimise: bool = True,
        precise: bool = True,
        keep: NDArray[np.bool_] | None = None,
    ) -> tuple[Symbols, A]:
        """Choose the symbols of an analysis.

        Args:
            y: The analysis (1, M, 4a, 4b).
            height: Height of the picture in pixels.
            width: Width of the picture in pixels.
            quality: 1..100.
            optimise: Weigh bits against error (rdo.py). Otherwise symbols are the nearest integers.
            precise: Run the mean path in float32. Files need that; a head may do with less.
            keep: bool (rows, columns): positions that are coded. Elsewhere y is zero before the hyper analysis, no
                symbol is coded, and y_hat is zero in both passes.

        Returns:
            The symbols, and the y_hat that `dequantize` makes of them.
        """

    @abstractmethod
    def dequantize(self, symbols: Symbols, *, quality: int, precise: bool = True) -> A:
        """y_hat (1, M, rows, columns) of symbols, float32. `precise` and the symbols' keep act as in `quantize`."""

    def write(self, symbols: Symbols, *, quality: int) -> bytes:
        """The body of the chunk SYMBOLS."""
        return encode_symbols(self.streamed(symbols, quality=quality))

    def streamed(self, symbols: Symbols, *, quality: int) -> list[tuple[NDArray[Any], NDArray[Any], Tables]]:
        """Symbols as `encode_symbols` takes them, in the order of the stream: z, then every pass of y."""
        planes = [(symbols.y, symbols.index)]
        if self.refines:
            planes = [(quarter(symbols.y, n), quarter(symbols.index, n, fill=-1)) for n in range(FOUR)]
        z = (symbols.z.ravel(), self.z_index(symbols.z.shape, quality=quality), self.tables_z)
        return [z, *((y.ravel(), index.ravel(), self.tables_y) for y, index in planes)]

    def read_y(
        self,
        reader: SymbolReader,
        z: NDArray[np.int16],
        *,
        height: int,
        width: int,
        quality: int,
        keep: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        """Symbols and table numbers of y, (M, rows, columns), from the reader after z. One pass decides the next."""
        if self.refines:
            tables = self.refined_tables(z, height=height, width=width, quality=quality, keep=keep)
            y = np.empty(tables.plane.shape, np.int16)
            for number in range(FOUR):
                index = tables.index()
                symbols = reader.read(index.ravel(), self.tables_y).astype(np.int16).reshape(index.shape)
                tables.add(symbols)
                put_quarter(y, number, symbols)
            return y, tables.plane
        index = self.table_numbers(z, height=height, width=width, quality=quality)
        if keep is not None:
            index = np.where(keep, index, np.int8(-1))
        return reader.read(index.ravel(), self.tables_y).astype(np.int16).reshape(index.shape), index

    def read(
        self,
        data: bytes,
        *,
        height: int,
        width: int,
        quality: int,
        plain: bool = False,
        keep: NDArray[np.bool_] | None = None,
        verify_z: Callable[[NDArray[np.int16]], None] = lambda z: None,
    ) -> Symbols:
        """Read the body of the chunk SYMBOLS.

        Args:
            data: The body.
            height: Height of the picture in pixels.
            width: Width of the picture in pixels.
            quality: 1..100.
            plain: Use the coder in pure Python.
            keep: The positions that are coded, as `quantize` was given them.
            verify_z: Is called with z before anything is computed from it, and may raise.

        Returns:
            The symbols.

        Raises:
            FormatError: No encoder writes such a stream for a picture of this size.
        """
        reader = SymbolReader(data, plain=plain)
        z = self.read_z(reader, height=height, width=width, quality=quality)
        verify_z(z)
        y, index = self.read_y(reader, z, height=height, width=width, quality=quality, keep=keep)
        reader.finish()
        return Symbols(z=z, y=y, index=index, keep=keep)

    def read_z(self, reader: SymbolReader, *, height: int, width: int, quality: int) -> NDArray[np.int16]:
        """Symbols of z (Z, a, b), which come first in the stream. FormatError for values that no encoder writes."""
        shape = (self.hyper, *grid(height, width, STRIDE_Z))
        flat = reader.read(self.z_index(shape, quality=quality), self.tables_z)
        if np.abs(flat).max() > Z_LIMIT:
            raise FormatError(f"z holds {np.abs(flat).max()}, at most {Z_LIMIT} is allowed; encode the picture again")
        return flat.astype(np.int16).reshape(shape)

    def z_index(self, shape: tuple[int, ...], *, quality: int) -> NDArray[np.int16]:
        """Table number of every element of z (Z, a, b), flat. It depends on the rate node and on the channel."""
        node = int(rate_node(quality, self.nodes))
        return np.repeat(np.arange(self.hyper, dtype=np.int16) + node * self.hyper, shape[1] * shape[2])
