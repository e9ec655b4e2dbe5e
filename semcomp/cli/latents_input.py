"""Input of `classify` and `segment`: latents of a .semc file, or of a picture that is encoded in memory."""

from __future__ import annotations

from argparse import Namespace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from semcomp.cli.batch import get_codec
from semcomp.cli.paths import Job, read_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from semcomp.semantics.head import Head
    from semcomp.types import Latents


class Input(NamedTuple):
    """One input after it was read."""

    data: bytes
    """The bytes of the file"""
    latents: Latents | None
    """Its latents; None if the command does not need them"""
    pixels: NDArray[np.uint8] | None
    """uint8 (H, W, 3) of a picture; None for a .semc file"""


@lru_cache(maxsize=4)
def get_head(name: str) -> Head:
    """Return a head of this process. It is loaded when the first file needs it."""
    from semcomp.semantics.head import load_head

    return load_head(name)


def read_latents(job: Job, options: Namespace) -> Input:
    """Entropy-decode a .semc file, or encode a picture as far as its latents."""
    return with_latents(read_source(job.source), options)


def with_latents(data: bytes, options: Namespace) -> Input:
    """Entropy-decode the bytes of a .semc file, or encode a picture as far as its latents."""
    from semcomp.bitstream.container import MAGIC

    codec = get_codec(options.model, options.device, options.threads)
    if data[: len(MAGIC)] == MAGIC:
        return Input(data, codec.latents(data), None)
    from semcomp.imaging.picture import open_picture

    picture = open_picture(data, convert=options.convert)
    return Input(data, codec.latents_of(picture, quality=options.quality or 75), picture.pixels)
