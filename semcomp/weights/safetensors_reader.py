"""Reads a safetensors file with numpy alone, for clients without the safetensors package."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ModelError

_TYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "u1",
    "U16": "<u2",
    "U32": "<u4",
}


def parse_tensors(data: bytes, *, name: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name.

    Args:
        data: The bytes of the file.
        name: Name of the file, for the error.

    Returns:
        Read-only views into `data`.

    Raises:
        ModelError: The file is damaged, or of another kind.
    """
    try:
        header, body = _split(data)
        return {key: _array(entry, body) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{name} is not a safetensors file ({error}); make or install it again") from error


def parse_metadata(data: bytes, *, name: str | Path) -> dict[str, str]:
    """The metadata of a file. `parse_tensors` describes arguments and errors."""
    try:
        metadata = _split(data)[0].get("__metadata__", {})
        return {str(key): str(value) for key, value in metadata.items()}
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{name} is not a safetensors file ({error}); make or install it again") from error


def read_file(path: str | Path, *, form: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a file on disk.

    Args:
        path: The file.
        form: What its metadata calls "format".

    Raises:
        ModelError: The file is damaged, or of another kind.
        ValueError: It has another format.
        OSError: It cannot be read.
    """
    data = Path(path).read_bytes()
    tensors, metadata = parse_tensors(data, name=path), parse_metadata(data, name=path)
    if metadata.get("format") != form:
        raise ValueError(f"its format is {metadata.get('format')}, not {form}")
    return tensors, metadata


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body."""
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise ValueError(f"its header claims {length} bytes")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _array(entry: dict[str, Any], body: bytes) -> NDArray[Any]:
    dtype, shape = np.dtype(_TYPES[str(entry["dtype"])]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(body) or end - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{shape} at {start}..{end} of {len(body)} bytes")
    return np.frombuffer(body, dtype, math.prod(shape), start).reshape(shape)
