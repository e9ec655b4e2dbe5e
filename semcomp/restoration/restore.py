"""Restoring JPEG and JPEG 2000 files: bytes in, a picture out."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from semcomp.device import checked_device
from semcomp.errors import ImageError, ModelError
from semcomp.imaging.jpeg2000 import is_jpeg2000
from semcomp.imaging.picture import Picture, to_pil
from semcomp.jpeg.picture import picture_of, warn_of
from semcomp.jpeg.reader import JpegFile, read_jpeg
from semcomp.jpeg.source import JpegSource, jpeg_bytes
from semcomp.restoration.jpeg2000 import restored_jpeg2000
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.restorer_file import LABELS, TrainedRestorer, load_restorer


def restore(
    image: JpegSource,
    *,
    strength: float = 1.0,
    weights: str | Path | TrainedRestorer | None = None,
    device: str | None = "cpu",
) -> Image.Image:
    """Remove the marks of compression from a JPEG or JPEG 2000 file.

    The result of a JPEG file is one of the pictures that the file could have been made of: compressed again with the
    same tables, it gives the same coefficients, up to the rounding of pixels to 8 bits. A JPEG 2000 file tells of no
    such bounds. ICC profile, EXIF and XMP are kept, and the picture is turned the right way up.

    Args:
        image: The file. Pixels alone are not enough, because the network reads the file's coefficients or its size.
        strength: 0 shows what is stored, 1 the network's answer. Subsampled chroma stays in its cells at 0 too, which
            decoders leave where they smooth it.
        weights: A name, a file that `python -m train.restore` wrote, or a loaded restorer. None takes what comes with
            the package for the kind of file.
        device: torch's name of a device. None is the CPU.

    Returns:
        An image of mode L or RGB; with alpha, which only JPEG 2000 files have, of mode LA or RGBA.

    Raises:
        ImageError: The image is not a file of these formats that can be read, is a CMYK JPEG, or is a PIL image that
            was edited after it was opened.
        ModelError: There are no such weights, they are for the other format, or the device is not there.
        OSError: The file cannot be read at all.

    A damaged file gives what can be read, and a SemcompWarning.
    """
    if not 0 <= strength <= 1:
        raise ImageError(f"strength must be 0 to 1, not {strength:g}")
    place, data = checked_device(device or "cpu"), jpeg_bytes(image)
    codec = "jpeg2000" if is_jpeg2000(data) else "jpeg"
    if isinstance(weights, TrainedRestorer):
        if weights.codec != codec:
            raise ModelError(f"the weights restore {LABELS[weights.codec]} files, and this is a {LABELS[codec]} file")
        restorer = weights
    else:
        restorer = load_restorer(weights, codec=codec)
    if codec == "jpeg2000":
        return to_pil(restored_jpeg2000(data, restorer, strength=strength, device=place))
    return to_pil(restored_picture(read_jpeg(data), restorer, strength=strength, device=place))


def restored_picture(
    file: JpegFile, restorer: TrainedRestorer, *, strength: float = 1.0, device: torch.device | None = None
) -> Picture:
    """The restored picture of a file that was read, the right way up, with its records."""
    device = device or torch.device("cpu")
    layout = layout_of(file)
    warn_of(file, restorer.restorer_id)
    pixels = restored_pixels(restorer.fast_on(device), layout, strength=strength, device=device)
    return picture_of(file, pixels)
