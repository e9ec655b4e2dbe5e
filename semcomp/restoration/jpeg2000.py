"""Restoring JPEG 2000 files. The network is the restorer of JPEG files with weights of its own.

Such a file has no 8x8 blocks, and an encoder drops bits wherever they cost most, so no cell is known that the picture
must be in. The network reads the decoded picture, and in place of quantisation steps the bits that a pixel has.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from semcomp.bitstream.container import ColorMode
from semcomp.errors import ImageError
from semcomp.imaging.jpeg2000 import coded_bytes, is_reversible, read_jpeg2000
from semcomp.imaging.picture import Picture, open_picture
from semcomp.restoration.network import StoredPlanes
from semcomp.restoration.planes import Layout, restored_pixels
from semcomp.restoration.restorer_file import TrainedRestorer
from semcomp.restoration.transform import COEFFICIENTS, SIDE, forward_dct, rgb_to_planes


def restored_jpeg2000(
    data: bytes, restorer: TrainedRestorer, *, strength: float = 1.0, device: torch.device | None = None
) -> Picture:
    """Restore a file. One of the reversible transform comes back as it is.

    Args:
        data: The file.
        restorer: Weights for JPEG 2000.
        strength: 0 shows what is stored, 1 the network's answer.
        device: Where to compute.

    Returns:
        The picture of 8 bits, with alpha, ICC profile, EXIF and XMP.

    Raises:
        ImageError: The file cannot be read.
    """
    device = device or torch.device("cpu")
    picture = open_picture(io.BytesIO(data), convert=True)
    facts = read_jpeg2000(io.BytesIO(data))
    if facts is None or facts.codestream_at is None:
        raise ImageError("the JPEG 2000 file has no codestream")
    if is_reversible(data, facts.codestream_at):
        return picture
    bpp = 8 * coded_bytes(data, facts.codestream_at) / (picture.width * picture.height)
    grey = picture.mode == ColorMode.L
    layout = layout_of_pixels(picture.pixels[..., :1] if grey else picture.pixels, bpp=bpp)
    pixels = restored_pixels(restorer.fast_on(device), layout, strength=strength, device=device)
    return replace(picture, pixels=np.repeat(pixels, 3, axis=2) if grey else pixels)


def layout_of_pixels(pixels: NDArray[np.uint8], *, bpp: float) -> Layout:
    """What the network reads of a decoded picture.

    Args:
        pixels: uint8 (H, W, 1 or 3).
        bpp: Bits a pixel of its file, headers left out.
    """
    height, width = pixels.shape[:2]
    whole = np.pad(pixels, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)), mode="edge")
    values = torch.from_numpy(whole.transpose(2, 0, 1).astype(np.float32))[None]
    stored = stored_of_pixels(values, torch.tensor([bpp]))
    return Layout(pictures=(stored,), width=width, height=height)


def stored_of_pixels(values: torch.Tensor, bpp: torch.Tensor) -> StoredPlanes:
    """Planes of decoded pictures, with steps that stand for the bits of a pixel.

    Args:
        values: (B, 1 or 3, H, W) pixels, 0..255; H and W are multiples of 8.
        bpp: Bits a pixel, (B,).
    """
    planes = rgb_to_planes(values) if values.shape[1] == 3 else values - 128
    steps = step_of(bpp)[:, None, None].expand(-1, planes.shape[1], COEFFICIENTS)
    return StoredPlanes(coefficients=tuple(forward_dct(plane) for plane in planes.unbind(1)), steps=steps)


def step_of(bpp: torch.Tensor) -> torch.Tensor:
    """The step that stands for a rate. No correction is larger than half of it, which is far above what is ever due."""
    return (256 * bpp.clamp(1e-3, 48) ** -0.75).clamp(32, 4096)
