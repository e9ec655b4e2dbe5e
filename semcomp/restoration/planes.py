"""A JPEG file as tensors, and the restored planes as pixels, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from semcomp.jpeg.layout import PLANE_RANGE, bounded_steps, dequantised, groups_of
from semcomp.jpeg.reader import JpegFile
from semcomp.pipeline.tiles import Region, tiles
from semcomp.restoration.network import Restorer, StoredPlanes
from semcomp.restoration.transform import SIDE, planes_to_rgb

ALIGNED = 4
"""Tiles begin at multiples of this number, where a block of chroma begins, whatever the subsampling."""
TILE = 128
"""Side of a tile in blocks of luma."""
HALO = 16
"""Fewest blocks around a tile. A network that reaches farther has more."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the planes of a file become a picture."""

    pictures: tuple[StoredPlanes, ...]
    """One picture of luma and chroma, or one grey picture for each channel."""
    width: int
    height: int


def layout_of(file: JpegFile) -> Layout:
    """Read a file's planes. `groups_of` describes the errors."""
    pictures = []
    for group in groups_of(file):
        steps = torch.stack([torch.from_numpy(bounded_steps(plane)) for plane in group.planes])
        coefficients = tuple(torch.from_numpy(dequantised(plane))[None] for plane in group.planes)
        pictures.append(StoredPlanes(coefficients=coefficients, steps=steps[None], factors=group.factors))
    return Layout(pictures=tuple(pictures), width=file.width, height=file.height)


@torch.inference_mode()
def restored_pixels(network: Restorer, layout: Layout, *, strength: float, device: torch.device) -> NDArray[np.uint8]:
    """Restore a picture.

    Args:
        network: The network, on `device`.
        layout: The file's planes.
        strength: 0 shows what is stored, 1 the network's answer.
        device: Where the network is.

    Returns:
        uint8 (H, W, 1 or 3).
    """
    parts = [_pixels(network, stored, strength=strength, device=device) for stored in layout.pictures]
    return np.ascontiguousarray(np.concatenate(parts, 2)[: layout.height, : layout.width])


def halo_of(network: Restorer) -> int:
    """Blocks of luma around a tile that the network reads."""
    return max(HALO, -(-network.reach // ALIGNED) * ALIGNED)


def _pixels(network: Restorer, stored: StoredPlanes, *, strength: float, device: torch.device) -> NDArray[np.uint8]:
    _, rows, columns, _ = stored.coefficients[0].shape
    channels = len(stored.coefficients)
    pixels = np.empty((SIDE * rows, SIDE * columns, channels), np.uint8)
    longest = max(rows, columns)
    side = TILE if longest > 2 * TILE else longest + ALIGNED - longest % ALIGNED
    for tile in tiles(rows, columns, tile=side, halo=halo_of(network)):
        planes = network(_part(stored, *tile.source, device=device), strength=strength)
        values = planes + 128 if channels == 1 else planes_to_rgb(planes.clamp_(*PLANE_RANGE))
        inner, target = pixel_region(tile.inner), pixel_region(tile.target)
        whole = values[0].permute(1, 2, 0)[inner].round_().clamp_(0, 255).byte()
        pixels[target] = whole.cpu().numpy()
    return pixels


def _part(stored: StoredPlanes, rows: slice, columns: slice, *, device: torch.device) -> StoredPlanes:
    """The planes of a region of luma's blocks, whose bounds are multiples of `ALIGNED` or the edge of the picture."""
    regions = plane_regions(rows, columns, stored.factors)[: len(stored.coefficients)]
    return StoredPlanes(
        coefficients=tuple(
            plane[:, region[0], region[1]].to(device)
            for plane, region in zip(stored.coefficients, regions, strict=True)
        ),
        steps=stored.steps.to(device),
        factors=stored.factors,
    )


def plane_regions(rows: slice, columns: slice, factors: tuple[int, int]) -> tuple[Region, Region, Region]:
    """Where luma, Cb and Cr have the blocks of a region of luma's blocks."""
    down, across = factors
    coarse = slice(rows.start // down, rows.stop // down), slice(columns.start // across, columns.stop // across)
    return (rows, columns), coarse, coarse


def pixel_region(blocks: Region) -> Region:
    """The pixels of a region of blocks."""
    rows, columns = (slice(SIDE * part.start, SIDE * part.stop) for part in blocks)
    return rows, columns
