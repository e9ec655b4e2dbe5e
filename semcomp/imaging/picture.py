"""Pictures in and out: the only place where pixels are uint8 H W C.

Whatever a user holds (a file, bytes, a PIL image, an array, a tensor) becomes a `Picture`, and a decoded
`Picture` becomes a PIL image again. Nothing is changed silently on the way: what 8-bit RGB, grey and alpha
cannot hold is refused with one sentence that says how to convert it, and `convert=True` then converts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import MAX_PIXELS, ColorMode
from semcomp.errors import ImageError
from semcomp.imaging.adjust import is_grey, to_srgb, without_hidden_colour
from semcomp.imaging.exif import EXIF_PREFIX
from semcomp.imaging.icc import color_space_of
from semcomp.imaging.opening import ImageFile, open_image

if TYPE_CHECKING:
    import torch

ImageLike: TypeAlias = Union["Picture", Image.Image, NDArray[np.uint8], "torch.Tensor", ImageFile]
"""Everything that `as_picture` takes: a Picture, a PIL image, a uint8 array (H, W) or (H, W, 1 to 4 channels), a float
tensor (1, C, H, W) in [0, 1], or an image file."""


class Metadata(Protocol):
    """What a picture holds beside its pixels."""

    @property
    def icc(self) -> bytes | None: ...

    @property
    def exif(self) -> bytes | None: ...

    @property
    def xmp(self) -> bytes | None: ...


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One still picture, the right way up."""

    pixels: NDArray[np.uint8]
    """(H, W, 3). The three channels are equal where `mode` is `L`."""
    mode: ColorMode = ColorMode.RGB
    alpha: NDArray[np.uint8] | None = None
    """(H, W), or None for an opaque picture."""
    icc: bytes | None = None
    """ICC profile of the pixels, or None for sRGB."""
    exif: bytes | None = None
    """TIFF block of an EXIF record, without the prefix "Exif\\0\\0"."""
    xmp: bytes | None = None
    """XMP packet: XML."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ImageError(f"pixels must be uint8 (H, W, 3), not {self.pixels.dtype} {self.pixels.shape}")
        if 0 in self.pixels.shape:
            raise ImageError(f"a picture needs at least one pixel; this one is {self.width}x{self.height}")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != self.pixels.shape[:2]):
            raise ImageError(f"alpha must be uint8 {self.pixels.shape[:2]}, not {self.alpha.dtype} {self.alpha.shape}")

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])


def as_picture(
    image: ImageLike,
    *,
    convert: bool = False,
    convert_colour: bool = False,
    keep_hidden_colour: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Make a `Picture` of whatever holds an image. `open_picture` describes arguments and errors.

    A `Picture` is returned as it is. An array or a tensor keeps its number of channels, even if it is grey everywhere.

    Example:
        >>> as_picture(np.zeros((2, 3, 3), np.uint8)).mode.name
        'RGB'
        >>> as_picture(Image.new("RGB", (3, 2))).mode.name
        'L'
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        return _without_hidden(from_array(image), keep_hidden_colour)
    if not isinstance(image, Image.Image) and hasattr(image, "is_floating_point"):  # a tensor, without importing torch
        return _without_hidden(from_tensor(image), keep_hidden_colour)
    return open_picture(
        image,
        convert=convert,
        convert_colour=convert_colour,
        keep_hidden_colour=keep_hidden_colour,
        max_pixels=max_pixels,
    )


def open_picture(
    source: ImageFile | Image.Image,
    *,
    convert: bool = False,
    convert_colour: bool = False,
    keep_hidden_colour: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Read an image file, or take over a PIL image, which is left as it is.

    The pixels are turned the right way up, and the EXIF record then says so. Black and white, and colours that are
    grey everywhere, become mode L. Palettes become RGB. Transparency of any kind becomes `alpha`. A colour space that
    the file names without a profile (PNG chunks, nclx codes and the like) becomes an ICC profile.

    Args:
        source: A path, bytes, a binary stream or a PIL image.
        convert: Convert what 8-bit RGB cannot hold: 16 bits are scaled to 8, CMYK, LAB and the like become sRGB, and of
            an animation the first frame is taken.
        convert_colour: Convert the colours to sRGB and drop the ICC profile.
        keep_hidden_colour: Keep the colours under alpha 0, which cost bits and which nobody sees.
        max_pixels: Largest number of pixels.

    Returns:
        The picture.

    Raises:
        ImageError: The image is damaged, has more than `max_pixels` pixels, has high dynamic range, or needs `convert`.
        OSError: The file cannot be read at all (FileNotFoundError and so on).
    """
    opened = open_image(source, convert=convert, max_pixels=max_pixels)
    picture = from_array(np.array(opened.image))
    picture = replace(picture, icc=opened.icc, exif=opened.exif, xmp=opened.xmp)
    picture = _without_hidden(picture, keep_hidden_colour)
    if picture.mode == ColorMode.RGB and is_grey(picture.pixels):
        picture = replace(picture, mode=ColorMode.L)
    if convert_colour and picture.icc:
        pixels = to_srgb(picture.pixels, picture.icc, grey=picture.mode == ColorMode.L)
        picture = replace(picture, pixels=pixels, icc=None)
    return picture


def _without_hidden(picture: Picture, keep: bool) -> Picture:
    """The picture with the colours under alpha 0 blanked, unless `keep`."""
    if picture.alpha is None or keep:
        return picture
    return replace(picture, pixels=without_hidden_colour(picture.pixels, picture.alpha))


def from_array(array: NDArray[np.uint8]) -> Picture:
    """Make a `Picture` of an array.

    Args:
        array: uint8 (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, (H, W, 4) RGBA.

    Raises:
        ImageError: The array has another dtype or shape.

    Example:
        >>> from_array(np.zeros((2, 3, 4), np.uint8)).alpha.shape
        (2, 3)
    """
    if array.dtype != np.uint8:
        raise ImageError(
            f"an array of pixels must be uint8 in 0..255, not {array.dtype}: scale it and use astype('uint8')"
        )
    hwc = array[:, :, None] if array.ndim == 2 else array
    if hwc.ndim != 3 or hwc.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"an array of pixels must be (H, W) or (H, W, 1 to 4 channels), not {array.shape}")
    channels = hwc.shape[2]
    alpha = np.ascontiguousarray(hwc[:, :, -1]) if channels in (2, 4) else None
    if channels <= 2:
        return Picture(pixels=np.repeat(hwc[:, :, :1], 3, axis=2), mode=ColorMode.L, alpha=alpha)
    return Picture(pixels=np.require(hwc[:, :, :3], requirements=("C", "W")), alpha=alpha)


def from_tensor(tensor: Any) -> Picture:
    """Make a `Picture` of a tensor.

    Args:
        tensor: Floating point (1, C, H, W) in [0, 1], with the channels of `from_array`.

    Raises:
        ImageError: The tensor has another dtype, batch size or range.
    """
    if tensor.ndim != 4 or tensor.shape[0] != 1 or not tensor.is_floating_point():
        raise ImageError(
            f"a tensor must be floating point (1, C, H, W), not {tensor.dtype} {tuple(tensor.shape)}: "
            "encode a batch one by one, x[i:i+1]"
        )
    values = tensor.detach().float().cpu().numpy()[0].transpose(1, 2, 0)  # C H W -> H W C
    if values.size and not (values.min() >= 0 and values.max() <= 1):  # so that NaN is refused too
        raise ImageError(f"a tensor must lie in [0, 1], not [{values.min():g}, {values.max():g}]: divide or clamp it")
    return from_array(np.round(values * 255).astype(np.uint8))


def to_pil(picture: Picture) -> Image.Image:
    """Make a PIL image of a `Picture`.

    Args:
        picture: The picture. If it is grey, the mean of its three channels is taken.

    Returns:
        An image of mode L, LA, RGB or RGBA. A grey picture with a profile of RGB becomes RGB. `info` has
        "icc_profile", "exif" and "xmp" where the picture has them.

    Example:
        >>> to_pil(from_array(np.zeros((2, 3), np.uint8))).mode
        'L'
    """
    if picture.mode == ColorMode.L:
        total = picture.pixels.sum(axis=2, dtype=np.uint16)
        image = Image.fromarray(((total + 1) // 3).astype(np.uint8))
        if picture.icc and color_space_of(picture.icc) == b"RGB ":
            image = image.convert("RGB")
    else:
        image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return with_metadata(image, picture)


def with_metadata(image: Image.Image, picture: Metadata) -> Image.Image:
    """The image with the ICC profile, EXIF and XMP of a picture in its `info`."""
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    if picture.exif:
        image.info["exif"] = EXIF_PREFIX + picture.exif
    if picture.xmp:
        image.info["xmp"] = picture.xmp
    return image
