"""Thumbnails inside `.semc` files: the PREVIEW chunk, first in the file, so that it arrives before the symbols."""

from __future__ import annotations

from semcomp.bitstream.container import Chunk, ChunkKind
from semcomp.bitstream.inspect import MAX_PREVIEW
from semcomp.errors import TargetError
from semcomp.imaging.picture import Picture
from semcomp.thumbs.thumb import thumb
from semcomp.types import is_whole


def preview_chunk(picture: Picture, max_bytes: int) -> Chunk:
    """The PREVIEW chunk of a picture. Raises TargetError where `max_bytes` is not in 1..4096."""
    if not is_whole(max_bytes, 1, MAX_PREVIEW):
        raise TargetError(f"a preview has 1 to {MAX_PREVIEW:,} bytes, not {max_bytes!r}: 48 suit a page that loads")
    return Chunk(ChunkKind.PREVIEW, thumb(picture, max_bytes))
