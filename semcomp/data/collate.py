"""Samples of mixed sizes as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from semcomp.data.sample import Sample
from semcomp.semantics.results import VOID
from semcomp.types import STRIDE_Y


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """Put samples into one batch; pass it to a DataLoader as `collate_fn`.

    Latents are padded with zeros below and to the right, and `valid` says where they are real. Label maps are padded
    with 255, to 16 pixels a position of the padded latents where both are there. Numbers become a tensor, tensors of
    one shape are stacked, and everything else becomes a list.

    Args:
        samples: Samples with equal keys.

    Returns:
        "latents" (B, M, h, w), "valid" bool (B, h, w), "label_map" uint8 (B, H, W), and one entry for every other key.

    Example:
        >>> batch = collate([{"latents": torch.ones(2, 1, 3)}, {"latents": torch.ones(2, 2, 1)}])
        >>> batch["latents"].shape, batch["valid"].sum().item()
        (torch.Size([2, 2, 2, 3]), 5)
    """
    batch: dict[str, Any] = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        if key == "latents":
            batch["latents"], batch["valid"] = _padded_latents(values)
        elif key == "label_map" and all(isinstance(value, Tensor) for value in values):
            grid = max_sides([sample["latents"] for sample in samples]) if "latents" in samples[0] else None
            batch[key] = _padded_maps(values, grid)
        else:
            batch[key] = _together(values)
    return batch


def max_sides(values: Sequence[Tensor]) -> tuple[int, int]:
    """Return the largest height and the largest width of tensors (..., H, W)."""
    return max(value.shape[-2] for value in values), max(value.shape[-1] for value in values)


def _padded_latents(values: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    height, width = max_sides(values)
    padded = values[0].new_zeros(len(values), values[0].shape[0], height, width)
    valid = torch.zeros(len(values), height, width, dtype=torch.bool)
    for number, value in enumerate(values):
        h, w = value.shape[-2:]
        padded[number, :, :h, :w] = value
        valid[number, :h, :w] = True
    return padded, valid


def _padded_maps(values: Sequence[Tensor], grid: tuple[int, int] | None) -> Tensor:
    height, width = max_sides(values) if grid is None else (STRIDE_Y * grid[0], STRIDE_Y * grid[1])
    padded = [F.pad(v, (0, width - v.shape[-1], 0, height - v.shape[-2]), value=VOID) for v in values]
    return torch.stack(padded)


def _together(values: list[Any]) -> Any:
    if all(isinstance(value, bool | int | float) for value in values):
        return torch.tensor(values)
    if all(isinstance(value, Tensor) for value in values) and len({value.shape for value in values}) == 1:
        return torch.stack(values)
    return values
