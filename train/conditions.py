"""The conditions that a generator is trained on: each crop gets a quality, a label map and a mask of what is kept."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.generative.network import guide_planes
from semcomp.networks.rate_table import QUALITIES


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """How conditions are drawn. Every value is a share from 0 to 1, except `low_quality`."""

    low: float = 0.7
    """Share of crops with a quality of 1..low_quality. The others draw from all qualities."""
    low_quality: int = 15
    selective: float = 0.5
    """Share of crops that are kept only in part."""
    boxes: float = 0.4
    """Share of these that keep a box. The others keep some of their classes."""
    no_map: float = 0.4
    """Share without a map among the crops that are coded whole."""
    no_map_selective: float = 0.1
    """Share without a map among the crops that are kept in part."""
    hard: float = 0.5
    """Share of maps with one class a cell, as a file stores them."""
    dilate: float = 0.7
    """Share of kept classes that are grown by one position, as in a file."""

    def __post_init__(self) -> None:
        for name in ("low", "selective", "boxes", "no_map", "no_map_selective", "hard", "dilate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"draw.{name} is a share from 0 to 1, not {getattr(self, name)}")


class Sample(NamedTuple):
    """One batch with its conditions."""

    x: Tensor
    """(B, 3, H, W) in [0, 1]"""
    label_map: Tensor
    """int64 (B, H, W)"""
    quality: Tensor
    """int64 (B,)"""
    guide: Tensor
    """(B, K+1, H/8, W/8)"""
    keep: Tensor
    """bool (B, 1, H/16, W/16), all true where the crop is coded whole"""
    selective: Tensor
    """bool (B,)"""

    def in_words(self) -> list[str]:
        """One note for each crop."""
        unguided = self.guide[:, -1].flatten(1).any(1).tolist()
        pairs = zip(self.quality.tolist(), unguided, strict=True)
        return [f"quality {quality}{', no map' if without else ''}" for quality, without in pairs]

    def to(self, device: torch.device) -> "Sample":
        """A copy on another device."""
        return Sample(*(value.to(device) for value in self))


def draw(x: Tensor, label_map: Tensor, *, classes: int, config: DrawConfig, generator: torch.Generator) -> Sample:
    """Draws conditions for crops x (B, 3, H, W) with label maps (B, H, W)."""
    batch, (rows, columns) = len(x), (x.shape[2] // 16, x.shape[3] // 16)

    def chance(part: float) -> bool:
        return bool(torch.rand((), generator=generator) < part)

    guide = guide_planes(label_map, classes=classes, rows=rows, columns=columns)
    absent = guide_planes(None, classes=classes, rows=rows, columns=columns)[0]
    keep = torch.ones(batch, 1, rows, columns, dtype=torch.bool)
    quality = torch.empty(batch, dtype=torch.long)
    for k in range(batch):
        highest = config.low_quality if chance(config.low) else QUALITIES
        quality[k] = torch.randint(1, highest + 1, (), generator=generator)
        if chance(config.selective):
            boxed = chance(config.boxes)
            plane = None if boxed else some_classes(label_map[k], classes, chance(config.dilate), generator)
            if plane is None or plane.all() or not plane.any():
                plane = some_box(rows, columns, generator)
            keep[k, 0] = plane
        whole = bool(keep[k].all())
        if chance(config.no_map if whole else config.no_map_selective):
            guide[k] = absent
        elif chance(config.hard):
            guide[k] = hardened(guide[k])
    selective = ~keep.flatten(1).all(1)
    return Sample(x, label_map, quality, guide, keep, selective)


def hardened(guide: Tensor) -> Tensor:
    """Keeps in each cell only the class that covers most of it: (K+1, h, w) -> (K+1, h, w)."""
    winner = F.one_hot(guide.argmax(0), len(guide)).permute(2, 0, 1)
    return winner * (guide.sum(0, keepdim=True) > 0).float()


def some_classes(label_map: Tensor, classes: int, dilate: bool, generator: torch.Generator) -> Tensor | None:
    """Picks some classes of a map (H, W). Returns the positions that show one, bool (rows, columns), or None."""
    present = [number for number in label_map.unique().tolist() if number < classes]
    if not present:
        return None
    order = torch.randperm(len(present), generator=generator).tolist()
    count = 1 + int(torch.randint(0, max(1, len(present) // 2), (), generator=generator))
    wanted = torch.tensor([present[k] for k in order[:count]])
    plane = F.max_pool2d(torch.isin(label_map, wanted)[None, None].float(), 16)
    if dilate:
        plane = F.max_pool2d(plane, 3, 1, 1)
    return plane[0, 0] > 0


def some_box(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Draws a box of at most three quarters of each side. Returns its positions, bool (rows, columns)."""
    plane = torch.zeros(rows, columns, dtype=torch.bool)
    spans = []
    for size in (rows, columns):
        length = int(torch.randint(1, max(2, 3 * size // 4 + 1), (), generator=generator))
        start = int(torch.randint(0, max(1, size - length + 1), (), generator=generator))
        spans.append(slice(start, start + length))
    plane[spans[0], spans[1]] = True
    return plane
