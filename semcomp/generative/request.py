"""What a caller asks of generative compression: which parts are kept, and which label map guides the rest.

request = Request(generator=load_generator("street"), head=load_head("street"), keep=("people", "car"))
data = codec.encode("street.png", quality=40, generative=request)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from semcomp.bitstream.generator_note import GeneratorNote
from semcomp.errors import ImageError, ModelError
from semcomp.generative.generator_file import TrainedGenerator
from semcomp.generative.guide import GUIDE_CELL
from semcomp.generative.selection import box_mask, positions
from semcomp.imaging.picture import Picture
from semcomp.pipeline.base_codec import BaseCodec
from semcomp.pipeline.completion import GenerativePlan
from semcomp.semantics.class_names import class_numbers
from semcomp.semantics.head import Head, Segmentation
from semcomp.types import STRIDE_Y

DILATE = 16
"""Pixels by which a kept region grows before it is coded, so that the band of blending lies outside what was asked."""


HEAD_QUALITY = 75
"""At which a head reads the picture, whatever is coded of it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a picture is to be compressed. Without keep, mask and boxes the whole picture is coded and synthesised."""

    generator: TrainedGenerator
    head: Head | None = None
    """A segmenter that makes the label map."""
    segmentation: Segmentation | None = None
    """A label map of one's own instead."""
    keep: tuple[str, ...] = ()
    """Classes of the label map, in plain words."""
    mask: np.ndarray | None = None
    """bool (H, W) of pixels to keep."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """x, y, w, h in pixels, to keep."""
    dilate: int = DILATE
    cell: int = GUIDE_CELL

    @property
    def selective(self) -> bool:
        return bool(self.keep) or self.mask is not None or bool(self.boxes)

    def plan(self, codec: BaseCodec, picture: Picture, y: Tensor) -> GenerativePlan:
        """What to store of a picture with analysis `y`. ImageError where the request does not fit the picture."""
        if codec.entropy_id.hex() != self.generator.info.entropy_id:
            raise ModelError(
                f"the generator {self.generator.name} reads latents with entropy id {self.generator.info.entropy_id}, "
                f"{codec.name} makes {codec.entropy_id.hex()}: choose another generator, or train one for this codec"
            )
        segmentation = self.segmentation
        size = (picture.height, picture.width)
        if segmentation is None and self.head is not None:
            latents = codec.latents_of_analysis(y, picture, quality=HEAD_QUALITY)
            answer = self.head(latents)
            if not isinstance(answer, Segmentation):
                raise ImageError(f"the head {self.head.name} gives labels, no label map: choose one that segments")
            segmentation = answer
        if segmentation is not None and segmentation.label_map.shape != size:
            height, width = segmentation.label_map.shape
            raise ImageError(f"the label map is {width}x{height}, the picture {size[1]}x{size[0]}; make them equal")
        if self.selective and segmentation is None:
            raise ImageError("keeping a part needs a label map to synthesise the rest: give a head or a map")
        if segmentation is not None:
            self.generator.guide(segmentation, rows=-(-size[0] // STRIDE_Y), columns=-(-size[1] // STRIDE_Y))
        note = GeneratorNote(
            name=self.generator.name, generator_id=self.generator.generator_id, guided=segmentation is not None
        )
        return GenerativePlan(note=note, keep=self._kept(segmentation, size), segmentation=segmentation, cell=self.cell)

    def _kept(self, segmentation: Segmentation | None, size: tuple[int, int]) -> np.ndarray | None:
        if not self.selective:
            return None
        mask = box_mask(self.boxes, width=size[1], height=size[0])
        if self.mask is not None:
            if self.mask.shape != size:
                height, width = self.mask.shape
                raise ImageError(f"the mask is {width}x{height}, the picture {size[1]}x{size[0]}; make them equal")
            mask |= self.mask
        if self.keep:
            assert segmentation is not None
            wanted = class_numbers(self.keep, segmentation.classes)
            mask |= np.isin(segmentation.label_map, wanted)
        return positions(mask, dilate=self.dilate)
