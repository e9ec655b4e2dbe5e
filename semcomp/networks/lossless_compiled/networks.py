"""Networks for 8-bit images whose products are torch's, and everything around the products is compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, Protocol, TypeVar

import numpy as np

from semcomp.lossless.coding import Coding
from semcomp.lossless.features import Windows
from semcomp.lossless.known import Place
from semcomp.lossless.level import Level, Networks
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.network import BLOCK_SHIFT, INPUT_SHIFT
from semcomp.networks.lossless_compiled import Bytes, Int16, Int32, Sums
from semcomp.networks.lossless_compiled.amx import has_tiles
from semcomp.networks.lossless_compiled.cells import join, predictions, write_cells
from semcomp.networks.lossless_compiled.jit import is_kept
from semcomp.networks.lossless_compiled.level import CompiledLevel, pixels_of
from semcomp.networks.lossless_compiled.symbols import CompiledBank, CompiledStack
from semcomp.networks.lossless_compiled.tiles import run, tile_network

T = TypeVar("T")
R = TypeVar("R")
_LOG = logging.getLogger(__name__)
_SHIFTS = np.array([INPUT_SHIFT, BLOCK_SHIFT], np.int32)
_WORD = 8
"""Bytes that are moved at a time."""
_KEPT = 30 << 20
"""Bytes of a block that is freed once. From then on the C library of Linux keeps twice as many that are free.

Otherwise it gives the memory of a band back when the band is done. To get it again takes as long as the products.
"""


class Products(Networks, Protocol):
    """Networks that multiply bytes."""

    @property
    def windows(self) -> dict[str, Windows]:
        """The windows of every pass."""

    def byte_order(self, features: int) -> Any:
        """The feature of every byte of a cell, int64 (I,)."""

    def cells_for(self, features: int, cells: int) -> tuple[int, int]:
        """M and I: how many cells are multiplied, and their bytes."""

    def sums(self, name: str, cells: Bytes, join: Callable[[Bytes, Bytes], Bytes]) -> Sums:
        """The last sums of a network, and the bias of its outputs, for bytes of cells (M, I)."""


class CompiledNetworks:
    """Networks for `semcomp.lossless.walk.Walk`. Arrays are numpy's."""

    xp: ModuleType = np
    coding = Coding(stack=CompiledStack, bank=CompiledBank)
    few_cells = 0
    band_cells = 1 << 13

    def __init__(self, products: Products, model: LosslessModel, *, tiles: bool | None = None):
        """`tiles` computes networks in the processor's tiles of bytes; None does where it has any."""
        tiles = has_tiles() if tiles is None else tiles
        if not is_kept(run if tiles else predictions):
            _LOG.info("compiling the coder of exact pixels, once on this machine: it takes up to half a minute")
        self._products = products
        self._passes = {target: pixels_of(target, windows) for target, windows in products.windows.items()}
        self._tiles = {name: tile_network(one) for name, one in model.networks.items()} if tiles else {}
        self._orders = {count: products.byte_order(count) for each in self._passes.values() for count in each.count}
        np.empty(_KEPT, np.uint8)  # and at once freed

    def suited(self, *, pixels: int, bits: int) -> Networks:
        """These networks, and for 16-bit images those that multiply."""
        return self if bits == 8 else self._products

    def level(self, place: Place, rows: int, columns: int) -> Level:
        """A level without known lattices."""
        return CompiledLevel(place, rows, columns, self._passes, self._predict)

    @property
    def uses_tiles(self) -> bool:
        """Whether whole networks run in the processor's tiles."""
        return bool(self._tiles)

    @property
    def at_once(self) -> int:
        """How many items `each` works on at a time."""
        return self._products.at_once

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """The results of ``work`` on every item, on as many items at once as there are threads."""
        return self._products.each(work, items)

    def _predict(self, name: str, small: Bytes, means: Int16, mean: Int32, table: Int32) -> None:
        """Fill means and tables, see `CompiledLevel`."""
        if self._tiles:
            run(small, _SHIFTS, self._tiles[name], means, mean, table)
            return
        cells = np.empty(self._products.cells_for(len(small), len(mean)), np.uint8)
        write_cells(small, len(mean), self._orders[len(small)], cells.view(np.uint64))
        predictions(*self._products.sums(name, cells, _side_by_side), means, mean, table)


def _side_by_side(one: Bytes, other: Bytes) -> Bytes:
    """Bytes of cells (M, I) and (M, J) as (M, I + J)."""
    if one.shape[1] % _WORD or other.shape[1] % _WORD:
        return np.concatenate([one, other], 1)
    both = np.empty((len(one), one.shape[1] + other.shape[1]), np.uint8)
    join(one.view(np.uint64), other.view(np.uint64), both.view(np.uint64))
    return both
