"""What a caller asks of generative compression: which parts are kept, and which label map guides the rest.

request = Request(generator=load_generator("street"), head=load_head("street"), keep=("people", "car"))
data = codec.encode("street.png", quality=40, generative=request)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.generator_note import GeneratorNote
from semcomp.errors import ImageError, ModelError
from semcomp.generative.guide import GUIDE_CELL, guide_of
from semcomp.generative.selection import ELSE, label_map_of, not_found, positions, selected, warn_of_little
from semcomp.imaging.picture import Picture
from semcomp.pipeline.completion import GenerativePlan
from semcomp.semantics.head import Head, Segmentation
from semcomp.types import STRIDE_Y

DILATE = 16
"""Pixels by which a kept region grows before it is coded, so that the band of blending is outside what was asked."""


class GeneratorLike(Protocol):
    """What a request asks of a generator: the library's `TrainedGenerator` has it, and so has an exported one."""

    @property
    def name(self) -> str: ...

    @property
    def generator_id(self) -> bytes: ...

    @property
    def entropy_id(self) -> bytes: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """How an image is to be compressed. Without keep, mask and boxes the whole image is coded and synthesised."""

    generator: GeneratorLike
    head: Head | None = None
    """Segmenter that makes the label map."""
    segmentation: Segmentation | None = None
    """Label map of one's own instead."""
    keep: tuple[str, ...] = ()
    """Classes of the label map, in plain words."""
    mask: NDArray[np.bool_] | None = None
    """Pixels to keep, bool (H, W)."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """Boxes x, y, w, h in pixels to keep."""
    dilate: int = DILATE
    """Pixels by which what is kept grows."""
    cell: int = GUIDE_CELL
    """Pixels a side of a cell of the stored label map."""
    on_found: Callable[[float], None] = lambda share: None
    """Hears the share of the image's pixels that was found to be kept, before it grows."""

    @property
    def selective(self) -> bool:
        """Whether a part alone is coded."""
        return bool(self.keep) or self.mask is not None or bool(self.boxes)

    def plan(self, codec: Any, picture: Picture, y: Any) -> GenerativePlan:
        """Decide what to store of an image with analysis `y`.

        Raises:
            ImageError: The request does not fit the image.
            ModelError: The generator is for another codec, or the head gives no label map.

        Warns:
            SemcompWarning: Less than a hundredth of the image was found to be kept.
        """
        made = self.generator
        if codec.entropy_id != made.entropy_id:
            raise ModelError(
                f"the generator {made.name} reads latents with entropy id {made.entropy_id.hex()}, "
                f"{codec.name} makes {codec.entropy_id.hex()}: choose another generator, or train one for this codec"
            )
        segmentation = label_map_of(codec, picture, y, head=self.head, given=self.segmentation)
        if self.selective and segmentation is None:
            raise ImageError("keeping a part needs a label map to synthesise the rest: give a head or a map")
        if segmentation is not None:
            rows, columns = -(-picture.height // STRIDE_Y), -(-picture.width // STRIDE_Y)
            guide_of(segmentation, name=made.name, classes=made.classes, rows=rows, columns=columns)
        note = GeneratorNote(name=made.name, generator_id=made.generator_id, guided=segmentation is not None)
        kept = self._kept(segmentation, picture)
        return GenerativePlan(note=note, keep=kept, segmentation=segmentation, cell=self.cell)

    def _kept(self, segmentation: Segmentation | None, picture: Picture) -> NDArray[np.bool_] | None:
        if not self.selective:
            return None
        found = selected(picture, segmentation=segmentation, keep=self.keep, mask=self.mask, boxes=self.boxes)
        share = float(found.mean())
        self.on_found(share)
        if not share:
            why = not_found(keep=self.keep, head=None if self.segmentation else self.head, mask=self.mask)
            raise ImageError(f"nothing is to be kept: {why}; {ELSE}, or synthesise the whole image")
        warn_of_little(share, keep=self.keep, segmentation=segmentation)
        return positions(found, dilate=self.dilate)
