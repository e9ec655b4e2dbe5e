"""Where the bytes of a JPEG or JPEG 2000 file come from."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from semcomp.errors import ImageError, file_error

JpegSource = str | PathLike[str] | bytes | BinaryIO | Image.Image
"""A JPEG or JPEG 2000 file: its path, its bytes, a stream, or a PIL image opened from one and still open."""


def jpeg_bytes(source: JpegSource) -> bytes:
    """The bytes of a file.

    Raises:
        ImageError: A PIL image has lost its file, or is none of the kinds of `JpegSource`.
        FileError: The file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, Image.Image):
        stream = getattr(source, "fp", None)
        if stream is None and (name := getattr(source, "filename", "")):
            return jpeg_bytes(name)
        if stream is None or source.format not in ("JPEG", "MPO", "JPEG2000"):
            raise ImageError("the PIL image has no JPEG file behind it: pass the bytes or the path of the file")
        position = stream.tell()
        stream.seek(0)
        data = bytes(stream.read())
        stream.seek(position)
        return data
    if isinstance(source, str | PathLike):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise file_error(source, error) from error
    if hasattr(source, "read"):
        return bytes(source.read())
    raise ImageError(f"{type(source).__name__} is not a JPEG file: pass its path, its bytes or a stream")
