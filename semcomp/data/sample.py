"""What a sample holds, and how it is read from the bytes of a `.semc` file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from semcomp.bitstream.container import ChunkKind, Container, read
from semcomp.errors import TargetError
from semcomp.semantics.stored import read_labels, read_segmentation

if TYPE_CHECKING:
    from semcomp.codec.codec import Codec

Sample: TypeAlias = dict[str, Any]
"""One file. It always has "key", "width", "height" and "quality", and the fields that were asked for."""
FIELDS = ("latents", "labels", "label_map", "thumb")
"""What can be asked for.

    latents    float32 (M, ceil(height / 16), ceil(width / 16)), as heads read them
    labels     names of the stored labels, with "scores"; empty where none are stored
    label_map  uint8 (height, width), class numbers of "classes", 255 where nothing is known; None where none is stored
    thumb      uint8 (3, h, w), the stored thumbnail, 32 pixels at its longer side; None where none is stored
"""
THUMB_SIDE = 32
Transform: TypeAlias = Callable[[Sample], Any]


@lru_cache(maxsize=2)
def codec_of(model: str) -> Codec:
    """Return the codec of this process. A worker that is forked has the one that its parent loaded."""
    from semcomp.codec.codec import load

    return load(model)


def checked_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the fields as a tuple.

    Raises:
        TargetError: A field is unknown.
    """
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise TargetError(f"{unknown[0]!r} is not a field of a sample: choose from {', '.join(FIELDS)}")
    return tuple(fields)


def read_sample(data: bytes, *, key: str, fields: Sequence[str], model: str = "base") -> Sample:
    """Read a sample from the bytes of a `.semc` file.

    Args:
        data: The file.
        key: Its path, URL or key, which the sample keeps.
        fields: Words of FIELDS.
        model: Weights of the codec, which only latents need.

    Raises:
        FormatError: The file is damaged.
        ModelError: The file needs the tables of another codec.
        ImageError: Latents are asked for, and the file holds exact pixels alone.
    """
    container = read(data)
    header = container.header
    sample: Sample = {"key": key, "width": header.width, "height": header.height, "quality": header.quality}
    if "latents" in fields:
        sample["latents"] = codec_of(model).latents(data).y_hat[0].clone()
    if "labels" in fields:
        labels = read_labels(container)
        sample["labels"] = [] if labels is None else list(labels.names)
        sample["scores"] = [] if labels is None else list(labels.scores)
    if "label_map" in fields:
        segmentation = read_segmentation(container)
        sample["label_map"] = None if segmentation is None else torch.from_numpy(segmentation.label_map)
        sample["classes"] = [] if segmentation is None else list(segmentation.classes)
    if "thumb" in fields:
        sample["thumb"] = _thumb(container)
    return sample


def _thumb(container: Container) -> torch.Tensor | None:
    from semcomp.thumbs.thumb import thumb_image

    code = container.get(ChunkKind.PREVIEW)
    if code is None:
        return None
    return torch.from_numpy(np.array(thumb_image(code, THUMB_SIDE).convert("RGB"))).permute(2, 0, 1)
