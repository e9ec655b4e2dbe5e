"""Pictures in and out: the only place where pixels are uint8 H W C.

Whatever a user holds (a file, bytes, a PIL image, an array, a tensor) becomes a `Picture`, and a decoded
`Picture` becomes a PIL image again. Nothing is changed silently on the way: what 8-bit RGB, grey and alpha
cannot hold is refused with one sentence that says how to convert it, and `convert=True` then converts it.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semcomp.bitstream.container import MAX_PIXELS, MAX_SIDE, ColorMode
from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.color_modes import HEAD_BYTES, HOW_TO_CONVERT, RECOLOURED, bits_per_channel, plain_mode
from semcomp.imaging.exif import EXIF_PREFIX, exif_of_tiff, upright

if TYPE_CHECKING:
    import torch

ImageFile: TypeAlias = str | PathLike[str] | bytes | BinaryIO
"""An image file: its path, its bytes, or an open binary stream."""
ImageLike: TypeAlias = Union["Picture", Image.Image, NDArray[np.uint8], "torch.Tensor", ImageFile]
"""Everything that `as_picture` takes: a Picture, a PIL image, a uint8 array (H, W) or (H, W, 1 to 4 channels), a float
tensor (1, C, H, W) in [0, 1], or an image file."""

_STILL_WITH_FRAMES = ("MPO", "PSD")
"""Formats whose further frames are views or layers of one still picture, which is frame 0."""


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


def as_picture(image: ImageLike, *, convert: bool = False, max_pixels: int = MAX_PIXELS) -> Picture:
    """Whatever holds a picture -> `Picture`, by `open_picture`, `from_array` or `from_tensor`."""
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        return from_array(image)
    if not isinstance(image, Image.Image) and hasattr(image, "is_floating_point"):  # a tensor, without importing torch
        return from_tensor(image)
    return open_picture(image, convert=convert, max_pixels=max_pixels)


def open_picture(source: ImageFile | Image.Image, *, convert: bool = False, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file, or take over a PIL image (which is left as it is).

    EXIF rotation is applied to the pixels. Greyscale and black and white become mode L, palettes become RGB,
    transparency of any kind becomes `alpha`. With `convert`, 16-bit is scaled to 8, CMYK, LAB and the like
    become sRGB, and of an animation the first frame is taken.

    Raises ImageError where the image is damaged, has more than `max_pixels` pixels, or needs `convert`;
    OSError (FileNotFoundError and so on) where the file cannot be read at all.
    """
    if isinstance(source, Image.Image):
        with _pillow_errors(), _pillow_warnings():
            return _from_pil(source, head=b"", convert=convert, max_pixels=max_pixels)
    with _opened(source) as stream, _pillow_errors(), _pillow_warnings():
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        with Image.open(stream) as image:
            return _from_pil(image, head=head, convert=convert, max_pixels=max_pixels)


def from_array(array: NDArray[np.uint8]) -> Picture:
    """uint8 (H, W), (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA -> `Picture`.

    Raises ImageError for another dtype or shape.
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
    """A floating-point tensor (1, C, H, W) in [0, 1], C = 1 grey to 4 RGBA -> `Picture`.

    Raises ImageError for another dtype, batch size or range.
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
    """`Picture` -> PIL image of mode L, LA, RGB or RGBA, with `info["icc_profile"]` and `info["exif"]` set.

    Of a greyscale picture the mean of the three channels is taken.
    """
    if picture.mode == ColorMode.L:
        total = picture.pixels.sum(axis=2, dtype=np.uint16)
        image = Image.fromarray(((total + 1) // 3).astype(np.uint8))
    else:
        image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    if picture.exif:
        image.info["exif"] = EXIF_PREFIX + picture.exif
    if picture.xmp:
        image.info["xmp"] = picture.xmp
    return image


@contextmanager
def _opened(source: ImageFile) -> Iterator[BinaryIO]:
    """A seekable stream; a file that was opened here is closed, the caller's stream stays open."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, PathLike)):
        with Path(source).open("rb") as stream:
            yield stream
    elif hasattr(source, "read"):
        yield source if source.seekable() else io.BytesIO(source.read())
    else:
        raise ImageError(f"{type(source).__name__} is no image: pass a path, bytes, a PIL image, an array or a tensor")


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """What Pillow raises on damaged files, as ImageError; an OSError with a number passes."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a format that Pillow knows; convert it to PNG first") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS if the image is yours.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ImageError(f"the image is damaged or truncated ({error}); re-export it") from error
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError) as error:
        raise ImageError(f"the image is damaged ({error}); re-export it") from error
    except (struct.error, zlib.error) as error:
        raise ImageError(f"the image is damaged ({error}); re-export it") from error


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """What Pillow warns of while it reads: damaged metadata, in our own words; its pixel limit not at all."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    heard = {str(warning.message).strip() for warning in caught if warning.category is UserWarning}
    for message in sorted(heard):
        text = f"the metadata of the image is damaged ({message}); its pixels are not"
        warnings.warn(text, SemcompWarning, stacklevel=4)


def _from_pil(image: Image.Image, *, head: bytes, convert: bool, max_pixels: int) -> Picture:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"the image has {width}x{height} = {width * height:,} pixels, more than the limit of "
            f"{max_pixels:,}: raise max_pixels if that is meant"
        )
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"the image is {width}x{height}, and no side may exceed {MAX_SIDE:,}: crop it")
    animated = getattr(image, "is_animated", False) and image.format not in _STILL_WITH_FRAMES
    if animated and not convert:
        frames = getattr(image, "n_frames", 2)
        raise ImageError(f"the image has {frames} frames and .semc holds one: {HOW_TO_CONVERT} take the first")
    depth = bits_per_channel(image, head=head)
    if depth > 8 and not convert:
        raise ImageError(f"the image has {depth} bits a channel and .semc holds 8: {HOW_TO_CONVERT} scale it to 8 bits")
    tiff = exif_of_tiff(image) if image.format == "TIFF" else None  # a loaded TIFF has lost it
    image.load()
    turned, exif = upright(image, tiff=tiff)
    plain = plain_mode(turned, convert=convert)
    icc = None if turned.mode in RECOLOURED else image.info.get("icc_profile") or None
    picture = from_array(np.array(plain))
    return Picture(pixels=picture.pixels, mode=picture.mode, alpha=picture.alpha, icc=icc, exif=exif)
