"""Pictures as they are, for lossless coding: 8 or 16 bits, grey or RGB, with every sample that the file has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import MAX_PIXELS, ColorMode
from semcomp.errors import ImageError
from semcomp.imaging.adjust import without_hidden_colour
from semcomp.imaging.opening import open_image
from semcomp.imaging.picture import ImageLike, Picture, as_picture

Samples = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16"""


@dataclass(frozen=True, kw_only=True)
class ExactPicture:
    """One still picture, the right way up, with the samples of its file."""

    pixels: Samples
    """uint8 or uint16, (H, W) for grey or (H, W, 3) for RGB."""
    alpha: NDArray[np.uint8] | None = None
    """(H, W), or None for an opaque picture."""
    icc: bytes | None = None
    """ICC profile of the pixels, or None for sRGB."""
    exif: bytes | None = None
    """TIFF block of an EXIF record."""
    xmp: bytes | None = None
    """XMP packet: XML."""
    from_jpeg: bool = False
    """The samples were decoded from a JPEG file, which is smaller than any lossless code of them."""

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def mode(self) -> ColorMode:
        """RGB or grey."""
        return ColorMode.L if self.pixels.ndim == 2 else ColorMode.RGB

    def picture(self) -> Picture:
        """The picture in 8 bits, as the lossy codec and thumbnails see it."""
        pixels: Any = self.pixels if self.pixels.dtype == np.uint8 else (self.pixels >> 8).astype(np.uint8)
        pixels = np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels
        if self.alpha is not None:
            pixels = without_hidden_colour(np.ascontiguousarray(pixels), self.alpha)
        kept: dict[str, Any] = {"icc": self.icc, "exif": self.exif, "xmp": self.xmp}
        return Picture(pixels=pixels, mode=self.mode, alpha=self.alpha, **kept)


def exact_picture(image: ImageLike | Samples, *, max_pixels: int = MAX_PIXELS) -> ExactPicture:
    """Take an image over without changing a sample.

    Args:
        image: What `as_picture` takes, or a uint16 array (H, W) or (H, W, 3). Files may have 16 bits: PNG and TIFF.
        max_pixels: Largest number of pixels.

    Returns:
        The picture. Palettes become RGB and black and white becomes grey, which changes no colour.

    Raises:
        ImageError: The image is damaged or too large, or has samples that 8 or 16 bits of grey or RGB cannot hold.
        OSError: The file cannot be read at all.

    Example:
        >>> exact_picture(np.zeros((2, 3), np.uint16)).mode.name
        'L'
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint16:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
            raise ImageError(f"an array of 16 bits must be (H, W) or (H, W, 3), not {image.shape}")
        return ExactPicture(pixels=image)
    if isinstance(image, (Picture, np.ndarray)) or hasattr(image, "is_floating_point"):
        return _of_picture(as_picture(image, keep_hidden_colour=True))
    opened = open_image(image, convert=False, max_pixels=max_pixels, deep=True)
    kept = {"icc": opened.icc, "exif": opened.exif, "xmp": opened.xmp, "from_jpeg": opened.from_jpeg}
    if opened.samples is not None:
        return ExactPicture(pixels=opened.samples, **kept)  # type: ignore[arg-type]
    array = np.array(opened.image)
    alpha = np.ascontiguousarray(array[..., -1]) if opened.image.mode in ("LA", "RGBA") else None
    if opened.image.mode == "LA":
        array = array[..., 0]
    pixels = array[..., :3] if array.ndim == 3 else array
    return ExactPicture(pixels=np.ascontiguousarray(pixels), alpha=alpha, **kept)  # type: ignore[arg-type]


def _of_picture(picture: Picture) -> ExactPicture:
    pixels = picture.pixels[..., 0] if picture.mode == ColorMode.L else picture.pixels
    return ExactPicture(
        pixels=np.ascontiguousarray(pixels), alpha=picture.alpha, icc=picture.icc, exif=picture.exif, xmp=picture.xmp
    )
