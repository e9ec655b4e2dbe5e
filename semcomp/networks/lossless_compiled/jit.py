"""How functions are compiled: without the interpreter's lock, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit
from numba.extending import intrinsic


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is called first, and keep it on disk.

    It is compiled again when its file changes. numba does not see when another file changes, so a compiled function
    calls parts of its own file alone.

    Raises:
        RuntimeError: Neither the package's folder nor the user's can be written.
    """
    return njit(function, cache=True, nogil=True, error_model="numpy")


def is_kept(function: Any) -> bool:
    """Whether a compiled function is on disk already."""
    return Path(function._cache._cache_file._index_path).exists()


def part(function: Callable[..., Any]) -> Any:
    """Compile a function as a part of those that call it. Nothing looks for division by zero, so loops vectorise."""
    return njit(function, nogil=True, error_model="numpy")


def _shift(context: Any, value: Any, count: Any) -> Any:
    def build(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ashr(*arguments)

    return value(value, value), build


sra: Any = intrinsic(_shift)
"""``sra(value, count)`` is value >> count in the type of both: numba's own shift has 64 bits, which fill a vector."""
