"""What `classify` and `segment` share: latents of a .semc file, or of a picture that is encoded in memory."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from semcomp.bitstream.container import MAGIC
from semcomp.cli.batch import get_codec
from semcomp.cli.paths import Job, read_source

if TYPE_CHECKING:
    import numpy as np

    from semcomp.semantics.head import Head
    from semcomp.types import Latents


@dataclass(frozen=True)
class Input:
    """One file that was read, and its latents where they were asked for."""

    data: bytes
    """The file."""
    latents: Latents | None
    pixels: np.ndarray | None
    """uint8 (H, W, 3) of a picture that is no .semc file"""


@lru_cache(maxsize=4)
def get_head(name: str) -> Head:
    """A head of this process, loaded when the first file needs it."""
    from semcomp.semantics.head import load_head

    return load_head(name)


def read_latents(job: Job, options: Namespace) -> Input:
    """Entropy-decode a .semc file, or encode a picture as far as its latents."""
    return with_latents(read_source(job.source), options)


def with_latents(data: bytes, options: Namespace) -> Input:
    """The same of bytes."""
    codec = get_codec(options.model, options.device, options.threads)
    if data[: len(MAGIC)] == MAGIC:
        return Input(data, codec.latents(data), None)
    from semcomp.imaging.picture import open_picture

    picture = open_picture(data, convert=options.convert)
    return Input(data, codec.latents_of_image(picture, quality=options.quality or 75), picture.pixels)
