"""Reads a `.semc` file, however the caller holds it. Only the standard library is needed."""

from __future__ import annotations

from os import PathLike, fspath
from typing import BinaryIO, TypeAlias, Union

from semcomp.errors import FileError, FormatError, file_error
from semcomp.storage.files import read_bytes

SemcSource: TypeAlias = Union[str, PathLike[str], bytes, bytearray, memoryview, BinaryIO]  # noqa: UP007
"""A `.semc` file: its path or URL, its bytes, or an open binary stream."""


def read_source(source: SemcSource) -> bytes:
    """The bytes of a file.

    Args:
        source: A path, a URL of fsspec such as "s3://bucket/photo.semc", the bytes themselves, or a binary stream,
            which is read from its position to its end.

    Returns:
        All bytes. They are not checked.

    Raises:
        MissingFileError: There is no file at the path. The error is also a FileNotFoundError.
        FileError: The file or the stream cannot be read. The error is also an OSError.
        FormatError: The source is of another type, or a stream in text mode.

    Example:
        >>> import io
        >>> read_source(io.BytesIO(b"abc"))
        b'abc'
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    named: object = fspath(source) if isinstance(source, (str, PathLike)) else getattr(source, "name", "the stream")
    try:
        if isinstance(source, (str, PathLike)):
            return read_bytes(source)
        if hasattr(source, "read"):
            data = source.read()
            if isinstance(data, bytes):
                return data
            raise FormatError(f"{named} gives {type(data).__name__}, not bytes: open it in binary mode")
    except FileError:
        raise
    except OSError as error:
        raise file_error(named, error) from error
    except ValueError as error:  # a null byte in a path, a stream that is closed
        raise FormatError(f"{named!r} cannot be read: {error}") from error
    raise FormatError(f"a .semc file is a path, bytes or a binary stream, not {type(source).__name__}")
