"""Encoding exact pixels: the part of `BaseCodec.encode` that `lossless` and `near` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from semcomp.bitstream.container import MAX_PIXELS, MAX_SIDE
from semcomp.errors import ImageError, SemcompError, TargetError, file_error
from semcomp.imaging.exact import ExactPicture, exact_picture
from semcomp.imaging.picture import ImageLike
from semcomp.pipeline.loss_check import lost_a_lot, may_be_unsuited
from semcomp.pipeline.lossless import check_near, chunks_beside, file_of, warn_of_jpeg

if TYPE_CHECKING:
    from semcomp.pipeline.base_codec import BaseCodec
    from semcomp.semantics.stored import SemanticsLike

Lossless = bool | Literal["auto"]
"""Whether pixels are kept exactly. "auto" keeps those of pictures that the lossy codec would spoil or make larger."""


@dataclass(frozen=True, kw_only=True)
class LosslessRequest:
    """What a file of exact pixels should hold."""

    lossless: Lossless
    near: int = 0
    """Largest error of any sample, 0..8."""
    with_latents: int | None = None
    """Quality of the latents beside the pixels. None stores none."""
    quality: int = 50
    """Quality of the file where "auto" decides against exact pixels."""
    strip: bool = False
    semantics: SemanticsLike | None = None
    preview: int | None = None

    def __post_init__(self) -> None:
        if self.lossless not in (True, False, "auto"):
            raise TargetError(f'lossless is True, False or "auto", not {self.lossless!r}')
        if not self.lossless and self.with_latents is not None:
            raise TargetError("with_latents stores latents beside exact pixels: give lossless too")

    @property
    def wanted(self) -> bool:
        """Whether anything of this module is asked for."""
        return bool(self.lossless) or self.near != 0


def refuse_changes(**changes: object) -> None:
    """TargetError where a change of the pixels is asked for beside exact pixels."""
    if given := [name for name, value in changes.items() if value]:
        raise TargetError(f"lossless keeps every sample, and {given[0]} would change some: leave one of them out")


def encode_exact(codec: BaseCodec[Any], image: ImageLike, request: LosslessRequest) -> bytes:
    """The file of a picture as `BaseCodec.encode` describes it."""
    picture = read_exact(image)
    check_near(request.near, picture)
    if request.lossless == "auto" and not request.near:
        return _smaller_or_better(codec, picture, request)
    warn_of_jpeg(picture)
    return _file(codec, picture, request)


def read_exact(image: ImageLike) -> ExactPicture:
    """The picture with every sample. Raises what `BaseCodec.encode` raises for an image that cannot be read."""
    try:
        picture = exact_picture(image)
    except OSError as error:
        if isinstance(error, SemcompError):
            raise
        raise file_error(error.filename or getattr(image, "name", "the image"), error) from error
    if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"{picture.width}x{picture.height} is beyond the format's limit of {MAX_SIDE:,} pixels a side and "
            f"{MAX_PIXELS:,} in all; cut the picture into pieces"
        )
    return picture


def _file(codec: BaseCodec[Any], picture: ExactPicture, request: LosslessRequest) -> bytes:
    chunk = codec.lossless_coder().write(picture, near=request.near)
    if request.with_latents is None:
        more = chunks_beside(
            picture, strip=request.strip, preview=request.preview, semantics=request.semantics
        )
        return file_of(picture, [*more, chunk])
    return _lossy(codec, picture, request, request.with_latents, more=(chunk,))


def _lossy(
    codec: BaseCodec[Any], picture: ExactPicture, request: LosslessRequest, quality: int, *, more: Any = ()
) -> bytes:
    """A file with latents, and with more chunks."""
    small = picture.picture()
    symbols = codec.quantize(codec.analyse(small), small, quality=quality)
    return codec.pack(
        small,
        symbols,
        quality=quality,
        strip=request.strip,
        semantics=request.semantics,
        preview=request.preview,
        more=more,
    )


def _smaller_or_better(codec: BaseCodec[Any], picture: ExactPicture, request: LosslessRequest) -> bytes:
    """Exact pixels of 16 bits, and of a picture that is no photo and is spoiled or larger otherwise."""
    if picture.pixels.itemsize > 1:
        return _file(codec, picture, request)
    lossy = _lossy(codec, picture, request, request.quality)
    small = picture.picture()
    if not may_be_unsuited(small):
        return lossy
    exact = _file(codec, picture, request)
    if len(exact) <= len(lossy):
        return exact
    decoded = codec.render(codec.latents(lossy, precise=True))
    return exact if lost_a_lot(small, decoded, quality=request.quality) else lossy
