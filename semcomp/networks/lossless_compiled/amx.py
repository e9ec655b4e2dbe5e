"""Advanced Matrix Extensions: instructions that multiply tiles of 16 rows with 64 bytes each, for compiled functions.

Intel describes them in its Software Developer's Manual, volume 1, chapter 18. A tile is a register, named by a number
from 0 to 7 that is a literal. An address is an int64.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

_numba: Any = config
ROWS, ROW = 16, 64
"""Rows of a tile, and bytes of a row."""
_BYTE, _LONG = ir.IntType(8), ir.IntType(64)
_ADDRESS = ir.PointerType(_BYTE)
_ARCH_PRCTL, _ASK, _TILE_DATA = 158, 0x1023, 18
"""Linux lets a process use tiles once it has asked."""


@cache
def has_tiles() -> bool:
    """Whether the processor has tiles of bytes, numba compiles for it, and Linux lets this process use them."""
    if _numba.CPU_NAME or _numba.CPU_FEATURES:  # a person has chosen another processor
        return False
    if sys.platform != "linux" or platform.machine() != "x86_64" or not get_host_cpu_features().get("amx-int8"):
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK, _TILE_DATA) == 0)


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that begins where a cache line begins: rows of tiles elsewhere take several times as long to load."""
    data = np.empty(array.nbytes + ROW, np.uint8)
    start = -data.ctypes.data % ROW
    copy = data[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


def _configuration() -> NDArray[np.uint8]:
    """What `begin` reads: all eight tiles have ROWS rows of ROW bytes."""
    data = np.zeros(64, np.uint8)
    data[0] = 1
    data[16:32].view(np.uint16)[:] = ROW
    data[48:56] = ROWS
    return data


CONFIGURATION = _configuration()


def _call(instruction: str, kinds: list[ir.Type]) -> Any:
    """How numba calls an instruction of LLVM whose operands are tiles, then an address, then an int64."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        operands = []
        for kind, given, value in zip(kinds, signature.args, arguments, strict=True):
            if kind is _BYTE:
                operands.append(ir.Constant(_BYTE, given.literal_value))
            else:
                operands.append(builder.inttoptr(value, _ADDRESS) if kind is _ADDRESS else value)
        function = builder.module.globals.get(instruction)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), instruction)
        builder.call(function, operands)
        return context.get_dummy_value()

    return build


def _instruction(function: Callable[..., Any]) -> Any:
    return intrinsic(prefer_literal=True)(function)


@_instruction
def begin(context: Any, configuration: Any) -> Any:
    """Shape the tiles as the CONFIGURATION at an address says. `end` must follow in the same function."""
    return types.void(types.int64), _call("llvm.x86.ldtilecfg", [_ADDRESS])


@_instruction
def end(context: Any) -> Any:
    """Give the tiles back."""
    return types.void(), _call("llvm.x86.tilerelease", [])


@_instruction
def load(context: Any, tile: Any, address: Any, stride: Any) -> Any:
    """Read a tile from an address; its rows are ``stride`` bytes apart."""
    return types.void(tile, types.int64, types.int64), _call("llvm.x86.tileloadd64", [_BYTE, _ADDRESS, _LONG])


@_instruction
def store(context: Any, tile: Any, address: Any, stride: Any) -> Any:
    """Write a tile to an address; its rows are ``stride`` bytes apart."""
    return types.void(tile, types.int64, types.int64), _call("llvm.x86.tilestored64", [_BYTE, _ADDRESS, _LONG])


@_instruction
def multiply(context: Any, sums: Any, weights: Any, values: Any) -> Any:
    """Add products to the int32 in a tile: ``sums[m, n] += weights[m, 4 k + j] * values[k, 4 n + j]``.

    Weights are bytes with a sign, values have none.
    """
    return types.void(sums, weights, values), _call("llvm.x86.tdpbsud", [_BYTE, _BYTE, _BYTE])
