"""The lossless networks on torch: the same integers as semcomp.lossless computes with numpy, many times as fast.

Where the processor sums products of bytes in 32 bits, a layer is one call of oneDNN: product, bias, shift and limits.
Elsewhere the integers are held in float32, whose sums are exact because a model with larger ones is refused.

    features  (F, N)   int16 or int32, -127..127
    cells     (M, I)   uint8: a cell's features plus 128, or its hidden values; M >= N and I are rounded up
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semcomp.lossless.features import Windows
from semcomp.lossless.level import ArrayNetworks, Networks
from semcomp.lossless.model import LosslessModel
from semcomp.lossless.network import (
    BLOCK_SHIFT,
    EXACT,
    HIDDEN_LIMIT,
    INPUT_SHIFT,
    MIDDLE,
    OUTPUT_SHIFT,
    RADIX,
    Int8,
    IntegerNetwork,
    bias_for_bytes,
    byte_halves,
)
from semcomp.networks.lossless_compiled import Bytes, Sums
from semcomp.networks.precision import sums_products_of_bytes
from semcomp.networks.threads import one_thread_each

T = TypeVar("T")
R = TypeVar("R")

_LARGEST_BIAS = (1 << 23) - (1 << BLOCK_SHIFT)
"""Below it a bias and half of what is shifted out are exact in float32."""
_UNIT = 32
"""Features are filled up to a multiple of it."""
_LEAST, _MANY = 256, 2048
"""Numbers of cells are rounded up to a power of two of at least _LEAST, and above _MANY to a multiple of it, because
oneDNN compiles code for every size."""
_APART = 48
"""Rows whose distance is a power of two would share few lines of the cache."""

WORTH = 3 << 19
"""Pixels of a process from which on compiled functions save more time than it takes to load them."""


class _Layer:
    """A matrix of bytes, a bias and a shift."""

    def __init__(self, weight: Int8, bias: NDArray[np.integer[Any]], shift: int = 0):
        rows = len(weight)
        self._weight = torch.ops.onednn.qlinear_prepack(torch.from_numpy(np.ascontiguousarray(weight)), None)
        self._scales, self._zeros = torch.ones(rows), torch.zeros(rows, dtype=torch.int64)
        self._unit = float(1 << shift)
        # (sum + bias) >> shift is the nearest integer to (sum + bias - (2^shift - 1) / 2) / 2^shift.
        self._bias = torch.from_numpy((bias - (self._unit - 1) / 2).astype(np.float32))

    def __call__(self, cells: Tensor, kind: torch.dtype = torch.uint8) -> Tensor:
        """clip((weight cells + bias) >> shift, 0, 255) as bytes (M, O), or the sums themselves as float32."""
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            cells, 1.0, 0, self._weight, self._scales, self._zeros, self._bias, self._unit, 0, kind, "none", [], ""
        )
        return result


class _ByteNetwork:
    """One network in products of bytes."""

    def __init__(self, network: IntegerNetwork):
        self._entry = _Layer(_filled(network.entry), bias_for_bytes(network.entry, network.entry_bias), INPUT_SHIFT)
        self._blocks = [
            (
                _Layer(block.inner, block.inner_bias, BLOCK_SHIFT),
                _Layer(np.concatenate([block.direct, block.outer], 1), block.bias, BLOCK_SHIFT),
            )
            for block in network.blocks
        ]
        self.bias = torch.from_numpy(bias_for_bytes(network.from_features, network.bias).astype(np.int32))
        none = np.zeros(2 * len(network.bias), np.int64)
        self._from_hidden = _Layer(byte_halves(network.from_hidden), none)
        self._from_features = _Layer(_filled(byte_halves(network.from_features)), none)

    def sums(self, cells: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Sums over hidden values and over features, float32 (M, 2 O): higher parts of every output, then lower.

        ``join`` puts bytes of cells (M, I) and (M, J) side by side.
        """
        hidden = self._entry(cells)
        for inner, joint in self._blocks:
            hidden = joint(join(hidden, inner(hidden)))
        return self._from_hidden(hidden, torch.float32), self._from_features(cells, torch.float32)

    def __call__(self, features: Tensor) -> Tensor:
        hidden, direct = self.sums(_cells_of(features), lambda one, other: torch.cat([one, other], 1))
        sums = hidden.add_(direct)[: features.shape[1]]
        high, low = sums.t().to(torch.int32, memory_format=torch.contiguous_format).chunk(2)
        return low.add_(high, alpha=RADIX).add_(self.bias[:, None]).bitwise_right_shift_(OUTPUT_SHIFT)


def _filled(weight: Int8) -> Int8:
    """A weight (O, F) in the order of the bytes of a cell, with zeros for the bytes that no feature fills."""
    outputs, features = weight.shape
    half = (features + 1) // 2
    cells = np.zeros((outputs, -(-features // _UNIT) * _UNIT), np.int8)
    cells[:, : 2 * half : 2] = weight[:, :half]
    cells[:, 1 + 2 * (features % 2) : 2 * half : 2] = weight[:, half:]  # of an odd number, one feature is there twice
    return cells


def _cells_for(features: int, cells: int) -> tuple[int, int]:
    """M and I: numbers of cells and of their bytes, rounded up."""
    rows = -(-cells // _MANY) * _MANY if cells > _MANY else max(_LEAST, 1 << (cells - 1).bit_length())
    return rows, -(-features // _UNIT) * _UNIT


def _cells_of(features: Tensor) -> Tensor:
    """uint8 (M, I): bytes of cells, in the order of `TorchNetworks.byte_order`."""
    count, cells = features.shape
    half, values = (count + 1) // 2, features.to(torch.int16)
    pairs = torch.empty((half, cells + _APART), dtype=torch.int16)[:, :cells]
    torch.add(values[:half], MIDDLE * 257 - (1 << 16), out=pairs)
    pairs.add_(values[count - half :], alpha=256)
    result = torch.empty(_cells_for(count, cells), dtype=torch.uint8)
    result.view(torch.int16)[:cells, :half] = pairs.t()
    return result


class _FloatNetwork:
    """One network in float32."""

    def __init__(self, network: IntegerNetwork):
        def tensor(array: NDArray[Any]) -> Tensor:
            values = torch.from_numpy(array.astype(np.float32))
            return values if values.ndim == 2 else values[:, None]

        self.entry, self.entry_bias = tensor(network.entry), tensor(network.entry_bias)
        self.blocks = [
            tuple(tensor(part) for part in (block.direct, block.inner, block.inner_bias, block.outer, block.bias))
            for block in network.blocks
        ]
        self.from_hidden, self.from_features = tensor(network.from_hidden), tensor(network.from_features)
        self.bias = tensor(network.bias)

    def __call__(self, features: Tensor) -> Tensor:
        x = features.float()
        hidden = _activated((self.entry @ x).add_(self.entry_bias), INPUT_SHIFT)
        for direct, inner, inner_bias, outer, bias in self.blocks:
            between = _activated((inner @ hidden).add_(inner_bias), BLOCK_SHIFT)
            hidden = _activated((direct @ hidden).add_(outer @ between).add_(bias), BLOCK_SHIFT)
        sums = (self.from_hidden @ hidden).add_(self.from_features @ x).add_(self.bias)
        return sums.int().bitwise_right_shift_(OUTPUT_SHIFT)


def _activated(sums: Tensor, shift: int) -> Tensor:
    return sums.mul_(2.0**-shift).floor_().clamp_(0, HIDDEN_LIMIT)


class TorchNetworks(ArrayNetworks):
    """The networks of a model on torch, for `semcomp.lossless.walk.Walk`."""

    xp: ModuleType = torch

    def __init__(self, model: LosslessModel, *, by_bytes: bool | None = None, compiled: bool = True):
        """`by_bytes` chooses how to multiply; None takes bytes where they are exact on this processor.

        Where bytes are multiplied and numba is installed, large images get compiled functions. `compiled` allows it.
        """
        if by_bytes is None:
            by_bytes = sums_products_of_bytes() and all(map(_exact, model.networks.values()))
        self.windows: dict[str, Windows] = model.windows
        self.by_bytes = by_bytes
        kind = _ByteNetwork if by_bytes else _FloatNetwork
        self._networks = {name: kind(network) for name, network in model.networks.items()}
        self._workers: dict[int, ThreadPoolExecutor] = {}
        self._compiled: Networks | None = None if compiled and by_bytes else self
        self._model, self._seen = model, 0

    def suited(self, *, pixels: int, bits: int) -> Networks:
        """Compiled ones for 8-bit images once WORTH pixels have been asked for, where numba is installed."""
        if bits != 8:
            return self
        self._seen += pixels
        if self._compiled is None and self._seen >= WORTH:
            self._compiled = _compiled(self, self._model)
        return self._compiled or self

    @property
    def at_once(self) -> int:
        """How many items `each` works on at a time: as many as torch has threads."""
        return torch.get_num_threads()

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """The results of ``work`` on every item, in their order, ``at_once`` of them at a time.

        Operations on a band are too short to be split. Bands do not need each other.
        """
        count = self.at_once
        if count == 1 or len(items) == 1:
            return map(work, items)
        if count not in self._workers:
            self._workers[count] = one_thread_each(count)
        return self._workers[count].map(torch.inference_mode()(work), items)

    def run(self, name: str, features: Tensor) -> Tensor:
        """Outputs (O, N), int32, of one network for features (F, N)."""
        return self._networks[name](features)

    def byte_order(self, features: int) -> NDArray[np.int64]:
        """The feature of every byte of a cell (I,): the first half in even places, the second half in odd ones."""
        half = (features + 1) // 2
        order = np.zeros(_cells_for(features, 1)[1], np.int64)  # no weight counts what is in the bytes that are left
        order[: 2 * half : 2], order[1 : 2 * half : 2] = np.arange(half), np.arange(features - half, features)
        return order

    def cells_for(self, features: int, cells: int) -> tuple[int, int]:
        """M and I: how many cells are multiplied, and their bytes."""
        return _cells_for(features, cells)

    def sums(self, name: str, cells: Bytes, join: Callable[[Bytes, Bytes], Bytes]) -> Sums:
        """Sums over hidden values and over features for bytes of cells (M, I), and the bias of the outputs.

        ``join`` puts bytes (M, I) and (M, J) side by side. It takes networks that multiply bytes.
        """
        network = self._networks[name]
        assert isinstance(network, _ByteNetwork)

        def joined(one: Tensor, other: Tensor) -> Tensor:
            return torch.from_numpy(join(one.numpy(), other.numpy()))

        with torch.inference_mode():
            hidden, direct = network.sums(torch.from_numpy(cells), joined)
        return hidden.numpy(), direct.numpy(), network.bias.numpy()


def _compiled(networks: TorchNetworks, model: LosslessModel) -> Networks:
    """Compiled functions around the products of networks; the networks themselves where it cannot be done.

    numba may be missing, or no folder can be written in which it keeps what it has compiled.
    """
    try:
        from semcomp.networks.lossless_compiled.networks import CompiledNetworks
    except (ImportError, RuntimeError):
        return networks
    return CompiledNetworks(networks, model)


def _exact(network: IntegerNetwork) -> bool:
    """Whether layers of the sizes of a network are right here, and its biases are exact in float32."""
    width, features = network.entry.shape
    outputs, filled = 2 * len(network.bias), -(-features // _UNIT) * _UNIT
    shapes = {(width, filled), (outputs, filled), (outputs, width)}
    biases: list[NDArray[np.integer[Any]]] = [bias_for_bytes(network.entry, network.entry_bias)]
    for block in network.blocks:
        shapes |= {(len(block.inner), width), (width, width + len(block.inner))}
        biases += [block.inner_bias, block.bias]
    small = all(np.abs(bias).max() < _LARGEST_BIAS for bias in biases)
    return small and all(_right(rows, columns) for rows, columns in sorted(shapes))


@lru_cache(maxsize=64)
def _right(rows: int, columns: int) -> bool:
    """Whether a layer is right at both ends of what bytes hold, where 16 bits do not suffice, and between them."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (rows, columns)).astype(np.int8)
    weight[0], weight[-1] = 127, -128
    cells = rng.integers(0, 256, (64, columns)).astype(np.uint8)
    cells[:8], cells[8:16, ::2] = 255, 0
    sums = cells.astype(np.int64) @ weight.T.astype(np.int64)
    bias = -sums[20]
    if columns * HIDDEN_LIMIT * MIDDLE >= EXACT:
        return False
    try:
        exact = _Layer(weight, np.zeros(rows, np.int64))(torch.from_numpy(cells), torch.float32)
        limited = _Layer(weight, bias, BLOCK_SHIFT)(torch.from_numpy(cells))
    except (AttributeError, RuntimeError):  # a torch that has no such operation, or another one of this name
        return False
    expected = np.clip((sums + bias) >> BLOCK_SHIFT, 0, HIDDEN_LIMIT)
    return np.array_equal(exact.numpy(), sums) and np.array_equal(limited.numpy(), expected)
