"""Turns what a caller wants to keep, in classes, masks and boxes, into pixels and positions of y."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError, SemcompWarning
from semcomp.imaging.picture import Picture
from semcomp.semantics.class_names import class_numbers
from semcomp.semantics.head import Head, Segmenter, not_a_segmenter
from semcomp.semantics.limits import NEVER
from semcomp.semantics.results import Segmentation
from semcomp.types import STRIDE_Y, grid

HEAD_QUALITY = 75
"""Quality at which a head reads the image, whatever is coded of it."""
ELSE = "choose another head, or give a label map, a mask or a box"
"""What a caller can do where nothing was found."""
LITTLE = 0.01
"""Share of an image below which a caller is warned that little was found."""


def label_map_of(
    codec: Any, picture: Picture, y: Any, *, head: Head | None, given: Segmentation | None
) -> Segmentation | None:
    """Return the given label map, or ask a head for one. None without either.

    Args:
        codec: The codec that made `y`.
        picture: The image.
        y: Its analysis.
        head: A segmenter.
        given: A label map of one's own, which comes first.

    Raises:
        ModelError: The head gives no label map.
        ImageError: The label map is of another size than the image.
    """
    segmentation = given
    if segmentation is None and head is not None:
        if not isinstance(head, Segmenter):
            not_a_segmenter(head)
        segmentation = head(codec.latents_of_analysis(y, picture, quality=HEAD_QUALITY))
    if segmentation is not None:
        _check_size("label map", segmentation.label_map, picture)
    return segmentation


def selected(
    picture: Picture,
    *,
    segmentation: Segmentation | None,
    keep: Sequence[str],
    mask: NDArray[np.bool_] | None,
    boxes: Sequence[tuple[int, int, int, int]],
) -> NDArray[np.bool_]:
    """Mark the pixels of any of the classes, of the mask, and inside any of the boxes: bool (height, width).

    Raises:
        ImageError: A class does not exist, there is no label map to find it in, or a mask or box does not fit.
    """
    found = box_mask(boxes, width=picture.width, height=picture.height)
    if mask is not None:
        _check_size("mask", mask, picture)
        found |= mask
    if keep:
        if segmentation is None:
            raise ImageError("keeping a class needs a label map that shows where it is: give a head or a map")
        found |= np.isin(segmentation.label_map, class_numbers(keep, segmentation.classes))
    return found


def not_found(*, keep: Sequence[str], head: Head | None, mask: NDArray[np.bool_] | None) -> str:
    """Say what was looked for in vain, and by what.

    Args:
        keep: Classes that were looked for.
        head: The head that looked for them. None means a given label map.
        mask: A mask that marks nothing, if one was given.
    """
    reasons = []
    if keep:
        never = [name for name in keep if head is not None and not can_say(head, name)]
        found = ", ".join(f"{name} 0 %" for name in keep)
        reasons.append(f"the head {head.name} found {found}" if head is not None else f"the label map shows {found}")
        if never:
            reasons.append(f"it never says {' or '.join(never)}, because it was wrong too often")
    if mask is not None:
        reasons.append("the mask is empty")
    return ", and ".join(reasons) or "the boxes are empty"


def can_say(head: Head, name: str) -> bool:
    """Whether the limits of a head let it say a class, which may be a plain word."""
    confidence = head.limits.confidence
    return not confidence or confidence[class_numbers([name], head.classes)[0]] != NEVER


def warn_of_little(share: float, *, keep: Sequence[str], segmentation: Segmentation | None) -> None:
    """Warn of each class that was found nowhere, and where little was found of what is to be kept.

    Args:
        share: The share of the image that was found.
        keep: Classes that were looked for.
        segmentation: The label map that shows where they are, if classes were looked for.
    """
    if segmentation is not None:
        there = set(np.unique(segmentation.label_map).tolist())
        absent = [name for name in keep if class_numbers([name], segmentation.classes)[0] not in there]
        if absent:
            warnings.warn(f"nothing was found of {', '.join(absent)}", SemcompWarning, stacklevel=4)
    if share < LITTLE:
        what = ", ".join(keep) or "what is to be kept"
        text = f"little was found of {what}: {100 * share:.2f} % of the image"
        warnings.warn(text, SemcompWarning, stacklevel=4)


def box_mask(boxes: Sequence[tuple[int, int, int, int]], *, width: int, height: int) -> NDArray[np.bool_]:
    """Mark the inside of boxes x, y, w, h in pixels: bool (height, width). ImageError for one outside the image."""
    mask = np.zeros((height, width), bool)
    for x, y, w, h in boxes:
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ImageError(f"the box {x},{y},{w},{h} is outside the picture of {width}x{height}")
        mask[max(0, y) : y + h, max(0, x) : x + w] = True
    return mask


def positions(mask: NDArray[np.bool_], *, dilate: int) -> NDArray[np.bool_]:
    """Find the positions that hold a marked pixel, or have one at most `dilate` pixels away: bool (rows, columns).

    Raises:
        ImageError: These are none of the positions, or all of them.
    """
    if not mask.any():
        raise ImageError("nothing is to be kept: the mask is empty; keep something else, or synthesise the whole image")
    keep = near(mask, dilate=dilate)
    if keep.all():
        raise ImageError("everything is to be kept: the mask is full; encode the image as a whole")
    return keep


def near(mask: NDArray[np.bool_], *, dilate: int) -> NDArray[np.bool_]:
    """Find what `positions` finds, also for a mask that is empty or full."""
    grown = _grow(_grow(mask, dilate).T, dilate).T
    rows, columns = grid(mask.shape[0], mask.shape[1], STRIDE_Y)
    padded = np.zeros((STRIDE_Y * rows, STRIDE_Y * columns), bool)
    padded[: mask.shape[0], : mask.shape[1]] = grown
    keep: NDArray[np.bool_] = padded.reshape(rows, STRIDE_Y, columns, STRIDE_Y).any(axis=(1, 3))
    return keep


def _check_size(what: str, array: NDArray[Any], picture: Picture) -> None:
    height, width = array.shape
    if (height, width) != (picture.height, picture.width):
        raise ImageError(
            f"the {what} is {width}x{height}, the picture {picture.width}x{picture.height}; make them equal"
        )


def _grow(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Mark along the rows every pixel that has a marked one at most `by` columns away."""
    if not by:
        return mask
    total = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=1, out=total[:, 1:])
    column = np.arange(mask.shape[1])
    last, first = np.minimum(column + by + 1, mask.shape[1]), np.maximum(column - by, 0)
    grown: NDArray[np.bool_] = total[:, last] > total[:, first]
    return grown
