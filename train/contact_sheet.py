"""Sample sheets: images of a generator while it is trained, beside the originals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from semcomp.semantics.head import Palette

HEADINGS = ("original", "faithful", "realistic", "map", "kept")
GAP = 4


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W) in about [0, 1] -> uint8 (B, H, W, 3)."""
    pixels: NDArray[np.uint8] = (
        x.detach().float().mul(255).round().clamp(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    )
    return pixels


def colours_of(label_map: Tensor, palette: Palette) -> NDArray[np.uint8]:
    """The colours of a label map (B, H, W), uint8 (B, H, W, 3). Pixels without a class are black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table[label_map.cpu().numpy().astype(np.uint8)]


def mask_of(keep: Tensor, side: int = 16) -> NDArray[np.uint8]:
    """A picture, uint8 (B, H, W, 3), of a mask, bool (B, 1, h, w): white where something is kept."""
    plane = keep[:, 0].cpu().numpy().astype(np.uint8) * 255
    return np.repeat(np.repeat(plane, side, 1), side, 2)[..., None].repeat(3, 3)


def write_sheet(path: Path, columns: Sequence[NDArray[np.uint8]], notes: Sequence[str]) -> None:
    """Draws a row for each image of a batch and a column for each of `columns`, uint8 (B, H, W, 3)."""
    batch, height, width = columns[0].shape[:3]
    top, font = 18, ImageFont.load_default(12)
    sheet = Image.new("RGB", (len(columns) * (width + GAP), top + batch * (height + top)), "white")
    drawing = ImageDraw.Draw(sheet)
    for number, pictures in enumerate(columns):
        drawing.text((number * (width + GAP), 2), HEADINGS[number], fill="black", font=font)
        for row, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (number * (width + GAP), top + row * (height + top)))
    for row, note in enumerate(notes):
        drawing.text((0, top + row * (height + top) + height), note, fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
