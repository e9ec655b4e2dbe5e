"""How an image is read before it is encoded: a failure becomes a sentence, and too large a picture is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from semcomp.bitstream.container import MAX_PIXELS, MAX_SIDE
from semcomp.errors import ImageError, SemcompError, file_error


class _Sized(Protocol):
    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


P = TypeVar("P", bound=_Sized)


def read_within_limits(read: Callable[[], P], image: object) -> P:
    """Read a picture that the format can hold.

    Args:
        read: Reads it.
        image: What it is read from, to name it in an error.

    Raises:
        FileError: The image cannot be read.
        ImageError: It is larger than the format allows.
    """
    try:
        picture = read()
    except OSError as error:
        if isinstance(error, SemcompError):
            raise
        raise file_error(error.filename or getattr(image, "name", "the image"), error) from error
    if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"{picture.width}x{picture.height} is beyond the format's limit of {MAX_SIDE:,} pixels a side and "
            f"{MAX_PIXELS:,} in all; cut the picture into pieces"
        )
    return picture
