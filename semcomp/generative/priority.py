"""Regions of interest: a part of an image at the asked quality, and the rest of it at a low one.

    priority = Priority(head=load_head("street"), keep=("people", "car"))
    data = codec.encode("street.png", quality=60, priority=priority)

A file stores one quality. So the encoder replaces the latents of the rest by what a file of the low quality would
give for them, and codes the whole at the asked quality: they cost little more than they would at the low quality, and
look as they would there. The file is an ordinary one that every decoder reads; nothing of it is synthesised.

The kept part has nearly the PSNR of a file of the asked quality, and the rest is a little below a file of the low one.
`python -m benchmarks.generative` measures the PSNR of the kept part and the bytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import SemcompWarning
from semcomp.generative.selection import ELSE, label_map_of, near, not_found, selected, warn_of_little
from semcomp.imaging.picture import Picture
from semcomp.semantics.head import Head
from semcomp.semantics.results import Segmentation

REST_QUALITY = 15
"""Quality of the rest, unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Priority:
    """Which part of an image is coded at the asked quality. Classes, mask and boxes add up."""

    head: Head | None = None
    """Segmenter that finds the classes of `keep`."""
    segmentation: Segmentation | None = None
    """Label map of one's own instead."""
    keep: tuple[str, ...] = ()
    """Classes of the label map, in plain words."""
    mask: NDArray[np.bool_] | None = None
    """Pixels of the part, bool (H, W)."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """Boxes x, y, w, h in pixels."""
    dilate: int = 16
    """Pixels by which the part grows."""
    rest_quality: int = REST_QUALITY
    """Quality that the rest has, 1..100."""
    on_found: Callable[[float], None] = lambda share: None
    """Hears the share of the image's pixels that was found, before the part grows."""

    def weighted(self, codec: Any, picture: Picture, y: Any) -> Any:
        """Return the analysis `y` with the latents of the rest as a file of `rest_quality` gives them.

        Where nothing is found, `y` is returned as it is: a head that is wrong costs bytes, never the image.

        Raises:
            ImageError: A class, mask or box does not fit the image.
            ModelError: The head gives no label map.

        Warns:
            SemcompWarning: Nothing was found, or less than a hundredth of the image.
        """
        head = self.head if self.keep else None
        segmentation = label_map_of(codec, picture, y, head=head, given=self.segmentation)
        found = selected(picture, segmentation=segmentation, keep=self.keep, mask=self.mask, boxes=self.boxes)
        share = float(found.mean())
        self.on_found(share)
        if not share:
            why = not_found(keep=self.keep, head=None if self.segmentation else head, mask=self.mask)
            warnings.warn(f"the whole image is coded at its quality: {why}; {ELSE}", SemcompWarning, stacklevel=3)
            return y
        warn_of_little(share, keep=self.keep, segmentation=segmentation)
        rows, columns = np.nonzero(~near(found, dilate=self.dilate))
        mixed = y.copy() if isinstance(y, np.ndarray) else y.clone()
        rest = codec.latents_of_analysis(y, picture, quality=self.rest_quality).y_hat
        mixed[..., rows, columns] = rest[..., rows, columns]
        return mixed
