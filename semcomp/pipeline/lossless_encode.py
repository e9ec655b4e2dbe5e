"""Encoding exact pixels, for every backend."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from semcomp.bitstream.container import Chunk
from semcomp.errors import TargetError
from semcomp.imaging.exact import ExactPicture, Samples, exact_picture
from semcomp.imaging.picture import ImageLike, Picture
from semcomp.pipeline.base_decoder import BaseDecoder
from semcomp.pipeline.loss_check import lost_a_lot, may_be_unsuited
from semcomp.pipeline.lossless import check_near, chunks_beside, file_of, warn_of_jpeg
from semcomp.pipeline.reading import read_within_limits
from semcomp.types import A

if TYPE_CHECKING:
    from semcomp.semantics.stored import SemanticsLike

Lossless = bool | Literal["auto"]
"""Whether pixels are kept exactly. "auto" keeps drawings that the lossy codec would spoil or make larger."""


class ExactEncoder(BaseDecoder[A]):
    """The encoder of exact pixels. `BaseCodec` adds the lossy one."""

    @abstractmethod
    def lossy_file(
        self,
        picture: Picture,
        *,
        quality: int,
        strip: bool,
        semantics: SemanticsLike | None,
        preview: int | None,
        more: Sequence[Chunk] = (),
    ) -> bytes:
        """The file of a picture at a quality, without any look at its loss. `more` chunks come last."""

    def encode_exact(
        self,
        image: ImageLike | Samples,
        *,
        near: int = 0,
        with_latents: int | None = None,
        strip: bool = False,
        semantics: SemanticsLike | None = None,
        preview: int | None = None,
    ) -> bytes:
        """Encode every sample of an image, exactly or with a bound on the error.

        Args:
            image: As for `encode`, or a uint16 array (H, W) or (H, W, 3). Files may have 16 bits: PNG and TIFF.
            near: No sample is off by more than this, 0 to 8. Images of 16 bits take 0 alone.
            with_latents: Store latents of this quality beside the pixels, so that heads read the file.
            strip: Leave out the ICC profile, EXIF and XMP.
            semantics: Labels and a label map to be stored. A function that makes them needs `with_latents`.
            preview: Store a thumbnail of at most this many bytes, 1 to 4,096.

        Returns:
            The `.semc` file.

        Raises:
            FileError: The image cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            ImageError: The image has samples that 8 or 16 bits of grey or RGB do not hold.
            TargetError: `near` or `with_latents` is out of its range.
            ModelError: There are no lossless weights.

        Warns:
            SemcompWarning: The image comes from a JPEG file, which is smaller.
        """
        picture = _read(image)
        check_near(near, picture)
        warn_of_jpeg(picture)
        chunk = self.lossless_coder().write(picture, near=near)
        return self._with(picture, chunk, with_latents, {"strip": strip, "semantics": semantics, "preview": preview})

    def _with(self, picture: ExactPicture, chunk: Chunk, with_latents: int | None, options: dict[str, Any]) -> bytes:
        """The file of exact pixels, and of latents where they are asked for."""
        if with_latents is not None:
            return self.lossy_file(picture.picture(), quality=with_latents, more=(chunk,), **options)
        return file_of(picture, [*chunks_beside(picture, **options), chunk])

    def encode_auto(
        self,
        image: ImageLike | Samples,
        *,
        quality: int,
        strip: bool = False,
        semantics: SemanticsLike | None = None,
        preview: int | None = None,
    ) -> bytes:
        """Encode an image at a quality, or exactly where that is smaller or the loss would be gross.

        Pictures that look like photos are always lossy, and images of 16 bits are always exact. Arguments and errors
        are as for `encode_exact` and `encode`.
        """
        picture, lossy = _read(image), None
        options: dict[str, Any] = {"strip": strip, "semantics": semantics, "preview": preview}
        small = picture.picture()
        if picture.pixels.itemsize == 1:
            lossy = self.lossy_file(small, quality=quality, **options)
            if not may_be_unsuited(small):
                return lossy
        chunk = self.lossless_coder().write(picture)
        exact = self._with(picture, chunk, quality if callable(semantics) else None, options)  # heads need latents
        if lossy is None or len(exact) <= len(lossy):
            return exact
        decoded = self.render(self.latents(lossy, precise=True))
        return exact if lost_a_lot(small, decoded, quality=quality) else lossy


def refuse_changes(**changes: object) -> None:
    """TargetError where a change of the pixels is asked for beside exact pixels."""
    if given := [name for name, value in changes.items() if value]:
        raise TargetError(f"lossless keeps every sample, and {given[0]} would change some: leave one of them out")


def _read(image: ImageLike | Samples) -> ExactPicture:
    """The picture with every sample. Raises what `encode` raises for an image that cannot be read."""
    return read_within_limits(lambda: exact_picture(image), image)
