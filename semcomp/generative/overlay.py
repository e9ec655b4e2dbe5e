"""A tint over everything in a decoded image that was synthesised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.container import ChunkKind, read
from semcomp.bitstream.keep_mask import unpack_keep
from semcomp.types import STRIDE_Y

TINT = (230, 0, 160)
"""Colour over what is synthesised."""


def overlay(data: bytes, image: Image.Image) -> Image.Image:
    """A decoded picture with a tint over everything that was synthesised: all of it but what its file keeps."""
    container = read(data)
    body = container.get(ChunkKind.REGIONS)
    header, keep = container.header, None
    if body is not None:
        keep = unpack_keep(body, width=header.width, height=header.height)
    elif "synthesised" not in image.info:
        return image
    shown = Image.fromarray(show_synthesised(np.asarray(image.convert("RGB")), keep))
    shown.info.update(image.info)
    return shown


def show_synthesised(pixels: NDArray[Any], keep: NDArray[Any] | None) -> NDArray[Any]:
    """uint8 (H, W, 3): the picture with a tint and diagonal stripes over everything that was synthesised."""
    height, width = pixels.shape[:2]
    made = np.ones((height, width), bool)
    if keep is not None:
        made = ~np.repeat(np.repeat(keep, STRIDE_Y, axis=0)[:height], STRIDE_Y, axis=1)[:, :width]
    row, column = np.ogrid[:height, :width]
    share = np.where((row + column) // 8 % 2, 0.5, 0.25) * made
    tint = np.asarray(TINT, np.float32)
    tinted: NDArray[np.uint8] = np.round(pixels * (1 - share[..., None]) + tint * share[..., None]).astype(np.uint8)
    return tinted
