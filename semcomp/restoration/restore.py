"""Restoring JPEG files: bytes in, a picture out."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ColorMode
from semcomp.errors import ImageError, SemcompWarning, file_error
from semcomp.imaging.color_space import ADOBE_RGB
from semcomp.imaging.exif import is_adobe_rgb, orientation_in, upright, upright_records
from semcomp.imaging.picture import Picture, to_pil
from semcomp.jpeg.reader import JpegFile, read_jpeg
from semcomp.jpeg.records import exif_block, icc_profile, restorer_mark, xmp_packet
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.restorer_file import DEFAULT, TrainedRestorer, load_restorer

JpegSource = str | PathLike[str] | bytes | BinaryIO | Image.Image
"""A JPEG file: its path, its bytes, a binary stream, or a PIL image that was opened from one and is still open."""


def restore(
    image: JpegSource, *, strength: float = 1.0, weights: str | Path | TrainedRestorer = DEFAULT, device: str = "cpu"
) -> Image.Image:
    """Remove the marks of compression from a JPEG file.

    The result is one of the pictures that the file could have been made of: compressed again with the same tables, it
    gives the same coefficients, up to the rounding of pixels to 8 bits. ICC profile, EXIF and XMP are kept, and the
    picture is turned the right way up.

    Args:
        image: The file. Pixels alone are not enough, because the network reads the file's coefficients.
        strength: 0 shows what is stored, 1 the network's answer.
        weights: A name, a file that `python -m train.restore` wrote, or a loaded restorer.
        device: torch's name of a device.

    Returns:
        An image of mode L or RGB.

    Raises:
        ImageError: The image is not a JPEG file that can be read, or is CMYK.
        ModelError: There are no such weights.
        OSError: The file cannot be read at all.

    A damaged file gives what can be read, and a SemcompWarning.
    """
    if not 0 <= strength <= 1:
        raise ImageError(f"strength must be 0 to 1, not {strength:g}")
    file = read_jpeg(jpeg_bytes(image))
    restorer = weights if isinstance(weights, TrainedRestorer) else load_restorer(weights)
    return to_pil(restored_picture(file, restorer, strength=strength, device=torch.device(device)))


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
        if stream is None or source.format not in ("JPEG", "MPO"):
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


def restored_picture(
    file: JpegFile, restorer: TrainedRestorer, *, strength: float = 1.0, device: torch.device | None = None
) -> Picture:
    """The restored picture of a file that was read, the right way up, with its records."""
    device = device or torch.device("cpu")
    layout = layout_of(file)
    if file.damage:
        text = f"the file is damaged: {file.damage}; what is missing is grey"
        warnings.warn(text, SemcompWarning, stacklevel=3)
    mark = restorer_mark(file)
    if mark is not None and mark != restorer.restorer_id:
        text = f"the file was made for the restorer {mark.hex()}, and this is {restorer.restorer_id.hex()}"
        warnings.warn(text, SemcompWarning, stacklevel=3)
    pixels = restored_pixels(restorer.fast_on(device), layout, strength=strength, device=device)
    exif, xmp = exif_block(file), xmp_packet(file)
    icc = icc_profile(file)
    grey = pixels.shape[2] == 1
    if icc is None and is_adobe_rgb(exif):
        icc = ADOBE_RGB.profile(grey=grey)
    turned = _turned(pixels, orientation_in(exif) or 1)
    exif, xmp = upright_records(exif, xmp)
    return Picture(
        pixels=np.repeat(turned, 3, axis=2) if grey else turned,
        mode=ColorMode.L if grey else ColorMode.RGB,
        icc=icc,
        exif=exif,
        xmp=xmp,
    )


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    if orientation == 1:
        return pixels
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    turned = np.array(upright(image, orientation))
    return turned.reshape(*turned.shape[:2], -1)
