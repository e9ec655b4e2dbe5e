"""A classical deblocker: compression applied again on shifted grids, and the mean of the results (Nosratinia 2001).

A block's edges are in the middle of blocks of a shifted grid, whose quantisation removes them. The mean of all shifts
keeps what every grid agrees on. No training is needed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from semcomp.jpeg.reader import JpegFile
from semcomp.restoration.transform import forward_dct, inverse_dct, planes_to_rgb, rgb_to_planes

SHIFTS = tuple((down, across) for down in range(0, 8, 2) for across in range(0, 8, 2))
"""16 of the 64 grids."""


def deblocked(pixels: NDArray[np.uint8], file: JpegFile) -> NDArray[np.uint8]:
    """Deblock what a plain decoder shows of a file.

    Args:
        pixels: uint8 (H, W, 3) or (H, W).
        file: The file, for its quantisation tables.
    """
    grey = pixels.ndim == 2
    height, width = pixels.shape[:2]
    pad = ((8, 8 + -height % 8), (8, 8 + -width % 8), (0, 0))
    padded = np.pad(pixels[..., None] if grey else pixels, pad, mode="edge")
    values = torch.from_numpy(padded).permute(2, 0, 1)[None].float()
    planes = values - 128 if grey else rgb_to_planes(values)
    cleaned = torch.stack(
        [
            _cleaned(plane, torch.from_numpy(source.steps).float())
            for plane, source in zip(planes[0], file.planes, strict=True)
        ]
    )[None]
    shown = cleaned + 128 if grey else planes_to_rgb(cleaned)
    result: NDArray[np.uint8] = shown[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    result = result[8 : 8 + height, 8 : 8 + width]
    return result[..., 0] if grey else result


def _cleaned(plane: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    total = torch.zeros_like(plane)
    for down, across in SHIFTS:
        moved = torch.roll(plane, (-down, -across), (0, 1))[None]
        again = inverse_dct((forward_dct(moved) / steps).round() * steps)
        total += torch.roll(again[0], (down, across), (0, 1))
    return total / len(SHIFTS)
