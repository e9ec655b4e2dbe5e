"""Where the bytes of a JPEG or JPEG 2000 file come from."""

from __future__ import annotations

import io
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
        ImageError: A PIL image has lost its file or was edited, or the source is none of the kinds of `JpegSource`.
        FileError: The file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, Image.Image):
        data = _bytes_behind(source)
        if _is_changed(source, data):
            raise ImageError(
                "the PIL image differs from the file behind it, and the file is what is restored: restore it first and "
                "edit the result, or pass the bytes or the path of the file"
            )
        return data
    if isinstance(source, str | PathLike):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise file_error(source, error) from error
    if hasattr(source, "read"):
        data = source.read()
        if isinstance(data, str):
            raise ImageError("the stream gives text instead of bytes: open the file in binary mode")
        return bytes(data)
    raise ImageError(f"{type(source).__name__} is not a JPEG file: pass its path, its bytes or a stream")


def _bytes_behind(image: Image.Image) -> bytes:
    """The bytes of the file that a PIL image was opened from."""
    stream = getattr(image, "fp", None)
    if stream is None or stream.closed:
        if name := getattr(image, "filename", ""):
            return jpeg_bytes(name)
        stream = None
    if stream is None or image.format not in ("JPEG", "MPO", "JPEG2000"):
        raise ImageError("the PIL image has no JPEG file behind it: pass the bytes or the path of the file")
    position = stream.tell()
    stream.seek(0)
    data = bytes(stream.read())
    stream.seek(position)
    return data


def _is_changed(image: Image.Image, data: bytes) -> bool:
    """Whether an image has another size, mode or frame than its file, or other pixels.

    An image that is not loaded yet has no pixels of its own.
    """
    try:
        with Image.open(io.BytesIO(data)) as fresh:
            if (image.size, image.mode, image.tell()) != (fresh.size, fresh.mode, fresh.tell()):
                return True
            return not getattr(image, "tile", None) and image.tobytes() != fresh.tobytes()
    except (OSError, SyntaxError, ValueError):  # the file cannot be decoded, or the image was closed
        return not getattr(image, "tile", None)
