"""What changes a training picture before it is encoded: where it is cut, mirrored, scaled and recoloured."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from heads.datasets import DataConfig
from semcomp.errors import MissingExtraError
from semcomp.semantics.results import VOID
from semcomp.torchvision_compat import declare_missing_operators


def augment(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8] | None, config: DataConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A random crop of side S, uint8 (S, S, 3), and of its mask, uint8 (S, S).

    With a mask the crop is scaled by `zoom`, so that things keep about their size; without, it shows `area` of the
    picture, whatever its size. A mask that is smaller than the window is filled up with VOID, or enlarged.
    """
    height, width = pixels.shape[:2]
    if mask is None:
        share = rng.uniform(config.area[0], config.area[1])
        aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        h = min(height, round(np.sqrt(share * height * width / aspect)))
        w = min(width, round(np.sqrt(share * height * width * aspect)))
    else:
        h = w = round(config.side / np.exp(rng.uniform(np.log(config.zoom[0]), np.log(config.zoom[1]))))
        if config.enlarge:
            h = w = min(h, height, width)
        short = (max(0, h - height), max(0, w - width))
        if any(short):
            edges = ((0, short[0]), (0, short[1]))
            pixels = np.pad(pixels, (*edges, (0, 0)), mode="reflect" if min(height, width) > max(short) else "edge")
            mask = np.pad(mask, edges, constant_values=VOID)
            height, width = mask.shape
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    flip = rng.random() < 0.5
    box, size = (left, top, left + w, top + h), (config.side, config.side)
    crop = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))
    if mask is not None:
        mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box=box))
        mask = np.ascontiguousarray(mask[:, ::-1] if flip else mask)
    crop = recolour(np.ascontiguousarray(crop[:, ::-1] if flip else crop), config.recolour, rng)
    return crop, mask


def _transforms() -> Any:
    """Import torchvision's transforms, which only training needs."""
    declare_missing_operators()
    try:
        from torchvision.transforms.v2 import functional
    except ImportError as error:
        raise MissingExtraError("Training a head", "train") from error
    return functional


def recolour(crop: NDArray[np.uint8], most: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast and saturation changed by up to `most`, each. uint8 (H, W, 3)."""
    tensor = torch.from_numpy(crop.copy()).permute(2, 0, 1)
    transforms = _transforms()
    for change in (transforms.adjust_brightness, transforms.adjust_contrast, transforms.adjust_saturation):
        tensor = change(tensor, 1 + float(rng.uniform(-most, most)))
    return tensor.permute(1, 2, 0).contiguous().numpy()
