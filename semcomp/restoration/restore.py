"""Restoring JPEG files: bytes in, a picture out."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from semcomp.errors import ImageError
from semcomp.imaging.picture import Picture, to_pil
from semcomp.jpeg.picture import picture_of, warn_of
from semcomp.jpeg.reader import JpegFile, read_jpeg
from semcomp.jpeg.source import JpegSource, jpeg_bytes
from semcomp.restoration.planes import layout_of, restored_pixels
from semcomp.restoration.restorer_file import DEFAULT, TrainedRestorer, load_restorer


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


def restored_picture(
    file: JpegFile, restorer: TrainedRestorer, *, strength: float = 1.0, device: torch.device | None = None
) -> Picture:
    """The restored picture of a file that was read, the right way up, with its records."""
    device = device or torch.device("cpu")
    layout = layout_of(file)
    warn_of(file, restorer.restorer_id)
    pixels = restored_pixels(restorer.fast_on(device), layout, strength=strength, device=device)
    return picture_of(file, pixels)
