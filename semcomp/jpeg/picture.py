"""Restored pixels and the records of a JPEG file as a picture that is the right way up."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ColorMode
from semcomp.errors import SemcompWarning
from semcomp.imaging.color_space import ADOBE_RGB
from semcomp.imaging.exif import is_adobe_rgb, orientation_in, upright, upright_records
from semcomp.imaging.picture import Picture
from semcomp.jpeg.reader import JpegFile
from semcomp.jpeg.records import exif_block, icc_profile, restorer_mark, xmp_packet


def warn_of(file: JpegFile, restorer_id: bytes) -> None:
    """Warn of damage, and of a file that was made for another restorer."""
    if file.damage:
        warnings.warn(f"the file is damaged: {file.damage}", SemcompWarning, stacklevel=3)
    mark = restorer_mark(file)
    if mark is not None and mark != restorer_id:
        text = f"the file was made for the restorer {mark.hex()}, and this is {restorer_id.hex()}"
        warnings.warn(text, SemcompWarning, stacklevel=3)


def picture_of(file: JpegFile, pixels: NDArray[np.uint8]) -> Picture:
    """The picture of a file.

    Args:
        file: The file, for its records.
        pixels: uint8 (H, W, 1 or 3), as the file stores them.
    """
    exif, xmp, icc = exif_block(file), xmp_packet(file), icc_profile(file)
    grey = pixels.shape[2] == 1
    if icc is None and is_adobe_rgb(exif):
        icc = ADOBE_RGB.profile(grey=grey)
    turned = _turned(pixels, orientation_in(exif, xmp) or 1)
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
