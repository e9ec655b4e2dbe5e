"""Exact pixels in `.semc` files: the LOSSLESS chunk, with or without latents beside it.

Latents are never needed to read the pixels. They cost a little and let heads and previews read the file as they read
any other.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.alpha import pack_alpha, unpack_alpha
from semcomp.bitstream.container import (
    MAX_PIXELS,
    NO_ID,
    Chunk,
    ChunkEntry,
    ChunkKind,
    ColorMode,
    Container,
    Header,
    checked_chunk,
    padded,
    read_header,
)
from semcomp.bitstream.header import LostChunk
from semcomp.bitstream.source import SemcSource
from semcomp.errors import FormatError, ImageError, SemcompWarning, TargetError, file_error
from semcomp.imaging.deep import deep_png
from semcomp.imaging.exact import ExactPicture
from semcomp.imaging.picture import with_metadata
from semcomp.imaging.saving import SYNTHESISED, image_bytes
from semcomp.lossless.head import MAX_HEAD_BYTES
from semcomp.lossless.level import Networks
from semcomp.lossless.step import MAX_NEAR
from semcomp.storage.urls import is_url
from semcomp.types import is_whole

if TYPE_CHECKING:
    from semcomp.lossless.model import LosslessModel
    from semcomp.semantics.stored import SemanticsLike

Samples = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16"""

SCALES = (1, 2, 4, 8)
"""A picture may be decoded at 1/1, 1/2, 1/4 or 1/8 of its size."""
_FIRST_READ = 1 << 16
"""Bytes of the chunk that are read before it is known how many are needed."""


@dataclass(frozen=True, kw_only=True)
class LosslessCoder:
    """A lossless model, and its networks on a backend."""

    model: LosslessModel
    networks: Networks

    def write(self, picture: ExactPicture, *, near: int = 0) -> Chunk:
        """The chunk of a picture. Every sample of the decoded one is off by at most ``near``."""
        check_near(near, picture)
        pixels = picture.pixels
        if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
            pixels = np.ascontiguousarray(pixels[..., 0])
        from semcomp.lossless.stream import encode_lossless

        return Chunk(ChunkKind.LOSSLESS, encode_lossless(pixels, model=self.model, networks=self.networks, near=near))

    def read(self, container: Container, *, scale: int = 1, max_pixels: int = MAX_PIXELS) -> ExactPicture:
        """The picture of a file that has the chunk, at 1/scale of its size. FormatError where it is damaged."""
        header, data = container.header, container.get(ChunkKind.LOSSLESS) or b""
        reduce = SCALES.index(scale)
        from semcomp.lossless.stream import decode_lossless

        pixels = decode_lossless(data, model=self.model, networks=self.networks, max_pixels=max_pixels, reduce=reduce)
        expected = -(-header.height // scale), -(-header.width // scale)
        if pixels.shape[:2] != expected or (header.mode == ColorMode.L and pixels.ndim == 3):
            raise FormatError(
                f"the exact pixels are {pixels.shape}, the header asks for {header.mode.name} {expected}; "
                "encode the picture again"
            )
        if header.mode == ColorMode.RGB and pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, 2)
        body = container.get(ChunkKind.ALPHA)
        alpha = None if body is None else unpack_alpha(body, width=header.width, height=header.height)[::scale, ::scale]
        return ExactPicture(
            pixels=pixels,
            alpha=alpha,
            icc=container.get(ChunkKind.ICC),
            exif=container.get(ChunkKind.EXIF),
            xmp=container.get(ChunkKind.XMP),
        )


def check_near(near: int, picture: ExactPicture) -> None:
    """TargetError unless the picture can be coded with errors of at most ``near``."""
    if not is_whole(near, 0, MAX_NEAR):
        raise TargetError(f"near is an integer from 0 to {MAX_NEAR}, not {near!r}")
    if near and picture.pixels.dtype == np.uint16:
        raise TargetError(f"near is {near}, and pictures of 16 bits are coded exactly: leave it out")


def check_scale(scale: int) -> None:
    """TargetError for a scale that files are not decoded at."""
    if scale not in SCALES:
        raise TargetError(f"scale is one of {', '.join(map(str, SCALES))}, not {scale!r}")


def warn_of_jpeg(picture: ExactPicture) -> None:
    """Warn where the pixels come from a JPEG file."""
    if picture.from_jpeg:
        warnings.warn(
            "the picture comes from a JPEG file, and its exact pixels take more bytes than that file: keep the JPEG, "
            "or encode without lossless",
            SemcompWarning,
            stacklevel=4,
        )


def chunks_beside(
    picture: ExactPicture, *, strip: bool, preview: int | None, semantics: SemanticsLike | None
) -> list[Chunk]:
    """The chunks of a file without latents that go in front of the exact pixels."""
    chunks = []
    if preview is not None:
        from semcomp.thumbs.stored import preview_chunk

        chunks.append(preview_chunk(picture.picture(), preview))
    if picture.alpha is not None:
        chunks.append(Chunk(ChunkKind.ALPHA, pack_alpha(picture.alpha)))
    if not strip:
        extra = ((ChunkKind.ICC, picture.icc), (ChunkKind.EXIF, picture.exif), (ChunkKind.XMP, picture.xmp))
        chunks += [Chunk(kind, data) for kind, data in extra if data]
    if semantics is not None:
        if callable(semantics):
            raise TargetError("a head needs latents: store them beside the exact pixels, with_latents=50")
        chunks += semantics.chunks(width=picture.width, height=picture.height)
    return chunks


def file_of(picture: ExactPicture, chunks: list[Chunk]) -> bytes:
    """A file without latents."""
    header = Header(
        width=picture.width,
        height=picture.height,
        mode=picture.mode,
        quality=100,
        entropy_id=NO_ID,
        model_id=NO_ID,
        symbol_crc=0,
        z_check=0,
    )
    return padded(Container(header, tuple(chunks)))


def exact_pil(picture: ExactPicture) -> Image.Image:
    """A PIL image of exact pixels: L, LA, RGB, RGBA, or I;16 for grey of 16 bits.

    Raises:
        ImageError: The picture is RGB of 16 bits, for which Pillow has no mode.
    """
    if picture.pixels.dtype == np.uint16 and picture.pixels.ndim == 3:
        raise ImageError(
            "the picture is RGB of 16 bits, which a PIL image cannot hold: use decode_pixels, or `semcomp decode`"
        )
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(picture.alpha)))
    return with_metadata(image, picture)


class ImageFile(NamedTuple):
    """A decoded picture as an image file."""

    data: bytes
    width: int
    height: int
    synthesised: str | None = None
    """A sentence that says what is synthesised"""


def image_file(picture: ExactPicture | Image.Image, *, name: str) -> ImageFile:
    """Write a picture, exact or rendered, into the bytes of an image file, with its metadata.

    Args:
        picture: The picture.
        name: A key of `imaging.saving.FORMATS`.

    Raises:
        ImageError: The format cannot hold the picture.
    """
    if isinstance(picture, ExactPicture):
        return ImageFile(_exact_bytes(picture, name), picture.width, picture.height)
    return ImageFile(image_bytes(picture, name=name), *picture.size, picture.info.get(SYNTHESISED))


def _exact_bytes(picture: ExactPicture, name: str) -> bytes:
    if picture.pixels.dtype == np.uint8:
        return image_bytes(exact_pil(picture), name=name)
    if name != "png":
        raise ImageError(f"the picture has 16 bits a channel, and {name} is written with 8: choose the format png")
    return deep_png(picture.pixels, icc=picture.icc, exif=picture.exif, xmp=picture.xmp)


def read_reduced(source: SemcSource, *, scale: int, max_pixels: int) -> Container | None:
    """The part of a file that a picture at 1/scale needs. None where the file has no exact pixels, or
    its parts cannot be read one by one.

    Only the bytes that are needed are read from a path or a stream that can seek. The exact pixels have checksums of
    their own at each scale.
    """
    if isinstance(source, (bytes, bytearray, memoryview)) or is_url(source):
        return None  # it is there or is fetched as a whole
    try:
        if isinstance(source, (str, PathLike)):
            with Path(source).open("rb") as stream:
                return _reduced(stream, scale, max_pixels)
        if hasattr(source, "seekable") and source.seekable() and not isinstance(source, io.TextIOBase):
            return _reduced(source, scale, max_pixels)
    except OSError as error:
        raise file_error(source, error) from error
    except ValueError:  # a null byte in a path, a closed stream: `read_source` says what is wrong
        pass
    return None


def _reduced(stream: BinaryIO, scale: int, max_pixels: int) -> Container | None:
    start = stream.tell()
    header, table = read_header(stream, max_pixels=max_pixels)
    kinds = (ChunkKind.ALPHA, ChunkKind.ICC, ChunkKind.EXIF, ChunkKind.XMP)
    entry = next((entry for entry in table if entry.kind == ChunkKind.LOSSLESS), None)
    if entry is None:
        stream.seek(start)
        return None
    chunks = [Chunk(ChunkKind.LOSSLESS, _needed(stream, start, entry, SCALES.index(scale)))]
    others = [checked_chunk(row, _piece(stream, start, row, row.length)) for row in table if row.kind in kinds]
    chunks += [found for found in others if isinstance(found, Chunk)]
    return Container(header, tuple(chunks), tuple(found for found in others if isinstance(found, LostChunk)))


def _needed(stream: BinaryIO, start: int, entry: ChunkEntry, reduce: int) -> bytes:
    """The first bytes of the exact pixels, as many as a reader needs."""
    from semcomp.lossless.stream import bytes_needed

    count: int | None = None
    for first in (MAX_HEAD_BYTES, _FIRST_READ):
        try:
            count = bytes_needed(_piece(stream, start, entry, first), reduce)
            break
        except FormatError:  # outliers of 16 bits follow the head, or it is damaged, which decoding will say
            continue
    return _piece(stream, start, entry, entry.length if count is None else count)


def _piece(stream: BinaryIO, start: int, entry: ChunkEntry, count: int) -> bytes:
    """The first bytes of a chunk."""
    stream.seek(start + entry.offset)
    return stream.read(min(count, entry.length))
