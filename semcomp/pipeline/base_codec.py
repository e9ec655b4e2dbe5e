"""Pictures to `.semc` files, around the networks of any backend.

    picture ── analyse ──► y ── quantize ──► symbols ── pack ──► file

`BaseCodec` adds the lossy encoder to `ExactEncoder`. The torch backend is semcomp.codec, the onnxruntime backend
semcomp.edge.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.alpha import pack_alpha
from semcomp.bitstream.container import SYNTHESISED, Chunk, ChunkKind, Container, Header, padded
from semcomp.errors import ModelError, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import ImageLike, Picture, as_picture, to_pil
from semcomp.pipeline.checks import with_checks
from semcomp.pipeline.effort import DEFAULT_EFFORT, Effort, Progress, effort_of, no_progress
from semcomp.pipeline.loss_check import may_be_unsuited, warn_of_loss
from semcomp.pipeline.lossless_encode import ExactEncoder, Lossless, refuse_changes
from semcomp.pipeline.rate_control import Encoded, Target, search, search_refined
from semcomp.pipeline.reading import read_within_limits
from semcomp.types import QUALITIES, A, Latents, Symbols, is_whole

if TYPE_CHECKING:
    from semcomp.pipeline.completion import GenerativeLike, GenerativePlan, PriorityLike
    from semcomp.semantics.stored import SemanticsLike


@dataclass(frozen=True, kw_only=True)
class Chosen(Generic[A]):
    """A picture and what is coded of it."""

    picture: Picture
    y: A
    """The analysis that is coded."""
    whole: A | None = None
    """The analysis of the whole picture, where `y` has other values for the part that matters less."""
    plan: "GenerativePlan | None" = None
    """What the file holds for a generator."""

    @property
    def keep(self) -> NDArray[np.bool_] | None:
        """bool (rows, columns) of y: positions that are coded. None for all."""
        return None if self.plan is None else self.plan.keep


class BaseCodec(ExactEncoder[A]):
    """Encoding and decoding, shared by every backend. `A` is the backend's array type."""

    @abstractmethod
    def analyse(self, picture: Picture) -> A:
        """Run the analysis: y (1, M, 4a, 4b) of a picture that is padded to multiples of 64 by repeating its edge.

        The result serves every quality.
        """

    def encode(
        self,
        image: ImageLike,
        *,
        quality: int = 50,
        strip: bool = False,
        convert: bool = False,
        convert_colour: bool = False,
        keep_hidden_colour: bool = False,
        semantics: "SemanticsLike | None" = None,
        generative: "GenerativeLike | None" = None,
        priority: "PriorityLike | None" = None,
        preview: int | None = None,
        lossless: Lossless = False,
        effort: int = DEFAULT_EFFORT,
        on_progress: Progress = no_progress,
    ) -> bytes:
        """Encode an image at a quality.

        Args:
            image: A path, bytes or stream of an image file, a PIL image, a uint8 array, a float tensor, or a Picture.
            quality: 1..100.
            strip: Leave out the ICC profile, EXIF and XMP.
            convert: Allow what would change the picture: 16 bits to 8, CMYK to RGB, the first frame of an animation.
            convert_colour: Convert the colours to sRGB instead of storing their profile.
            keep_hidden_colour: Keep the colours under alpha 0, which are blanked otherwise.
            semantics: Labels and a label map to be stored, or a function that makes them from the latents.
            generative: A request for a file whose picture, or a part of it, is synthesised when it is decoded.
            priority: Which part of the picture has the quality; the rest has a lower one. Not beside `generative`.
            preview: Store a thumbnail of at most this many bytes, 1 to 4,096.
            lossless: Keep every sample (`encode_exact`). "auto" does so for what `quality` would spoil or make larger.
            effort: 1..9. From 6 on the latents are fitted to this image, in seconds; see semcomp/pipeline/effort.py.
            on_progress: Hears how many steps of an effort above 5 are done, and how many there are.

        Returns:
            The `.semc` file.

        Raises:
            FileError: The image cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            ImageError: The image cannot be encoded as it is.
            TargetError: The quality is not an integer from 1 to 100, or the effort not one that fits.

        Warns:
            SemcompWarning: The picture is not of a kind that the codec can do, and has lost a lot.

        Example:
            >>> import semcomp
            >>> semcomp.load().encode("examples/photo.png", quality=30)[:4]
            b'\x89SMC'
        """
        _check_quality(quality)
        if lossless:
            changes = {"convert": convert, "convert_colour": convert_colour, "effort": effort != DEFAULT_EFFORT}
            refuse_changes(**changes, generative=generative, priority=priority)
            return self._exactly(image, lossless, quality, {"strip": strip, "semantics": semantics, "preview": preview})
        picture = self._picture(image, convert, convert_colour, keep_hidden_colour)
        chosen = self._chosen(picture, generative, priority, effort)
        symbols, y_hat = self._quantized(chosen, quality, effort, on_progress)
        self._check_loss(chosen, y_hat, quality)
        return self._packed(chosen, symbols, quality, strip, semantics, preview)

    def encode_to(
        self,
        image: ImageLike,
        *,
        bpp: float | None = None,
        max_bytes: int | None = None,
        psnr: float | None = None,
        strip: bool = False,
        convert: bool = False,
        convert_colour: bool = False,
        keep_hidden_colour: bool = False,
        semantics: "SemanticsLike | None" = None,
        generative: "GenerativeLike | None" = None,
        priority: "PriorityLike | None" = None,
        preview: int | None = None,
        effort: int = DEFAULT_EFFORT,
        on_progress: Progress = no_progress,
    ) -> Encoded:
        """Search the qualities for a target. Exactly one of `bpp`, `max_bytes` and `psnr` is given.

        All other arguments work as in `encode`.

        Args:
            image: As for `encode`.
            bpp: Largest size of the whole file, in bits per pixel.
            max_bytes: Largest size of the whole file, in bytes.
            psnr: Least PSNR of what the file decodes to without a generator, in dB. The smallest file that reaches it
                is returned.
            effort: As for `encode`. Above 5 up to three qualities are fitted, near the one that effort 5 takes.

        Returns:
            The file, its quality, its size in bits per pixel, and its PSNR where that was the target.

        Raises:
            FileError: The image cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            ImageError: The image cannot be encoded as it is.
            TargetError: No quality meets the target, or not exactly one target is given.

        Warns:
            SemcompWarning: The picture is not of a kind that the codec can do, and has lost a lot.

        Example:
            >>> import semcomp
            >>> made = semcomp.load().encode_to("examples/photo.png", max_bytes=20_000)
            >>> len(made.data) <= 20_000
            True
        """
        _check_targets(bpp=bpp, max_bytes=max_bytes, psnr=psnr)
        picture = self._picture(image, convert, convert_colour, keep_hidden_colour)
        chosen = self._chosen(picture, generative, priority, effort)
        size = max_bytes if bpp is None else bpp * picture.height * picture.width / 8
        target = Target(psnr_db=psnr, max_bytes=size)
        best = self._searched(chosen, target, effort, on_progress, strip=strip, semantics=semantics, preview=preview)
        if psnr is None and may_be_unsuited(picture):
            _, y_hat = self._quantized(chosen, best.quality, min(effort, DEFAULT_EFFORT))
            self._check_loss(chosen, y_hat, best.quality)
        return best

    def _searched(
        self,
        chosen: Chosen[A],
        target: Target,
        effort: int,
        on_progress: Progress,
        *,
        strip: bool,
        semantics: "SemanticsLike | None",
        preview: int | None,
    ) -> Encoded:
        """The best file of a picture for a target."""
        picture = chosen.picture
        pixels = picture.height * picture.width
        refines = effort_of(effort).fits

        def attempt(quality: int, effort: int = min(effort, DEFAULT_EFFORT)) -> Encoded:
            symbols, y_hat = self._quantized(chosen, quality, effort, on_progress)
            data = self._packed(chosen, symbols, quality, strip, semantics, preview)
            db = None
            if refines or target.psnr_db is not None:
                db = psnr_db(picture.pixels, self._decoded(picture, y_hat, quality))
            return Encoded(data=data, quality=quality, bpp=8 * len(data) / pixels, psnr_db=db)

        if not refines:
            return search(attempt, target, pixels=pixels)
        return search_refined(attempt, lambda quality: attempt(quality, effort), target, pixels=pixels)

    def _chosen(
        self,
        picture: Picture,
        generative: "GenerativeLike | None",
        priority: "PriorityLike | None",
        effort: int = DEFAULT_EFFORT,
    ) -> Chosen[A]:
        """The analysis that is coded, and what the file holds for a generator."""
        if generative is not None and priority is not None:
            raise TargetError("give either generative or priority: one drops the rest, the other codes it")
        if effort_of(effort).fits and generative is not None:
            raise TargetError(
                f"an effort of {effort} fits latents to the faithful decoder, and generators have learned the latents "
                f"of the others: give an effort of at most {DEFAULT_EFFORT} beside generative"
            )
        y = self.analyse(picture)
        if priority is not None:
            return Chosen(picture=picture, y=priority.weighted(self, picture, y), whole=y)
        return Chosen(picture=picture, y=y, plan=None if generative is None else generative.plan(self, picture, y))

    def _quantized(
        self, chosen: Chosen[A], quality: int, effort: int, on_progress: Progress = no_progress
    ) -> tuple[Symbols, A]:
        """The symbols of an effort, and their y_hat."""
        meaning, picture = effort_of(effort), chosen.picture
        plain = self.coder.quantize(
            chosen.y,
            height=picture.height,
            width=picture.width,
            quality=quality,
            optimise=meaning.optimise,
            keep=chosen.keep,
        )
        if not meaning.fits:
            return plain
        return self.refine(chosen, plain, quality=quality, effort=meaning, on_progress=on_progress)

    def refine(
        self, chosen: Chosen[A], plain: tuple[Symbols, A], *, quality: int, effort: Effort, on_progress: Progress
    ) -> tuple[Symbols, A]:
        """Fit the symbols to the picture. A client without gradients always raises ModelError.

        Args:
            chosen: The picture and its analysis. Nothing of it is dropped for a generator.
            plain: Symbols of effort 5, and their y_hat.
            quality: 1..100.
            effort: How far to go.
            on_progress: Hears of every step.

        Returns:
            Better symbols and their y_hat, or `plain` where none were found.
        """
        raise ModelError(
            f"this client computes no gradients and encodes with an effort of at most {DEFAULT_EFFORT}; encode with "
            "the library for more"
        )

    def _exactly(self, image: ImageLike, lossless: Lossless, quality: int, options: dict[str, Any]) -> bytes:
        if lossless is not True and lossless != "auto":
            raise TargetError(f'lossless is True, False or "auto", not {lossless!r}')
        return (
            self.encode_exact(image, **options)
            if lossless is True
            else self.encode_auto(image, quality=quality, **options)
        )

    def lossy_file(
        self,
        picture: Picture,
        *,
        quality: int,
        strip: bool,
        semantics: "SemanticsLike | None",
        preview: int | None,
        more: Sequence[Chunk] = (),
    ) -> bytes:
        _check_quality(quality)
        symbols, _ = self._quantized(Chosen(picture=picture, y=self.analyse(picture)), quality, DEFAULT_EFFORT)
        return self.pack(
            picture, symbols, quality=quality, strip=strip, semantics=semantics, preview=preview, more=more
        )

    def _check_loss(self, chosen: Chosen[A], y_hat: A, quality: int) -> None:
        """Warn where a picture that may not be a photo has lost a lot. Photos are not decoded for this."""
        if chosen.plan is None and chosen.whole is None and may_be_unsuited(chosen.picture):
            decoded = self._decoded(chosen.picture, y_hat, quality)
            warn_of_loss(chosen.picture, decoded, quality=quality)

    def _packed(
        self,
        chosen: Chosen[A],
        symbols: Symbols,
        quality: int,
        strip: bool,
        semantics: "SemanticsLike | None",
        preview: int | None,
    ) -> bytes:
        """The file of what was chosen."""
        return self.pack(
            chosen.picture,
            symbols,
            quality=quality,
            strip=strip,
            semantics=semantics,
            plan=chosen.plan,
            preview=preview,
        )

    def _decoded(self, picture: Picture, y_hat: A, quality: int) -> NDArray[np.uint8]:
        """The pixels that `decode` gives: uint8 (height, width, 3), grey where the picture is."""
        latents = self.with_ids(y_hat, height=picture.height, width=picture.width, quality=quality)
        image = to_pil(Picture(pixels=self.render(latents), mode=picture.mode))
        return np.asarray(image.convert("RGB"))

    def _picture(
        self, image: ImageLike, convert: bool, convert_colour: bool = False, keep_hidden_colour: bool = False
    ) -> Picture:
        def read() -> Picture:
            return as_picture(
                image, convert=convert, convert_colour=convert_colour, keep_hidden_colour=keep_hidden_colour
            )

        return read_within_limits(read, image)

    def quantize(
        self, y: A, picture: Picture, *, quality: int, optimise: bool = True, keep: NDArray[np.bool_] | None = None
    ) -> Symbols:
        """Quantize the latents of `analyse`.

        Args:
            y: What `analyse` returned for the picture.
            picture: The picture, for its size.
            quality: 1..100.
            optimise: Weigh bits against error (rdo.py). Otherwise symbols are the nearest integers.
            keep: bool (rows, columns): positions that are coded. None codes all.

        Returns:
            The symbols.
        """
        symbols, _ = self.coder.quantize(
            y, height=picture.height, width=picture.width, quality=quality, optimise=optimise, keep=keep
        )
        return symbols

    def pack(
        self,
        picture: Picture,
        symbols: Symbols,
        *,
        quality: int,
        strip: bool = False,
        semantics: "SemanticsLike | None" = None,
        plan: "GenerativePlan | None" = None,
        preview: int | None = None,
        more: Sequence[Chunk] = (),
    ) -> bytes:
        """Write the file of symbols and of what else the picture carries.

        Args:
            picture: The picture: its size, mode, alpha and metadata.
            symbols: Its symbols. They code the positions that the `plan` keeps.
            quality: 1..100, the quality of the symbols.
            strip: Leave out the ICC profile, EXIF and XMP.
            semantics: Labels and a label map, or a function that makes them from the latents.
            plan: What the file holds for a generator.
            preview: Store a thumbnail of at most this many bytes.
            more: Further chunks, which come last.

        Returns:
            The `.semc` file.
        """
        chunks = []
        if preview is not None:
            from semcomp.thumbs.stored import preview_chunk

            chunks.append(preview_chunk(picture, preview))
        chunks.append(Chunk(ChunkKind.SYMBOLS, self.coder.write(symbols, quality=quality)))
        if picture.alpha is not None:
            chunks.append(Chunk(ChunkKind.ALPHA, pack_alpha(picture.alpha)))
        if not strip:
            extra = ((ChunkKind.ICC, picture.icc), (ChunkKind.EXIF, picture.exif), (ChunkKind.XMP, picture.xmp))
            chunks += [Chunk(kind, data) for kind, data in extra if data]
        if plan is not None:
            chunks += plan.chunks(width=picture.width, height=picture.height)
        if callable(semantics):
            y_hat = self.coder.dequantize(symbols, quality=quality, precise=False)
            semantics = semantics(self.with_ids(y_hat, height=picture.height, width=picture.width, quality=quality))
        if semantics is not None:
            there = {chunk.kind for chunk in chunks}
            own = semantics.chunks(width=picture.width, height=picture.height)
            chunks += [chunk for chunk in own if chunk.kind not in there]
        header = Header(
            width=picture.width,
            height=picture.height,
            mode=picture.mode,
            quality=quality,
            flags=0 if plan is None else SYNTHESISED,
            entropy_id=self.entropy_id,
            model_id=self.model_id,
            symbol_crc=0,
            z_check=0,
        )
        header = with_checks(header, symbols)
        return padded(Container(header, (*chunks, *more)))

    def latents_of_image(
        self, image: ImageLike, *, quality: int = 50, convert: bool = False, precise: bool = False
    ) -> Latents[A]:
        """Compute the latents of an image without writing a file.

        Args:
            image: As for `encode`.
            quality: 1..100.
            convert: As for `encode`.
            precise: Give exactly the latents of the file. Otherwise a few symbols may differ by one step.

        Returns:
            The latents, as `latents` would read them from the file.

        Raises:
            FileError: The image cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            ImageError: The image cannot be encoded as it is.
            TargetError: The quality is not an integer from 1 to 100.
        """
        _check_quality(quality)
        picture = self._picture(image, convert)
        return self.latents_of_analysis(self.analyse(picture), picture, quality=quality, precise=precise)

    def latents_of_analysis(self, y: A, picture: Picture, *, quality: int, precise: bool = False) -> Latents[A]:
        """The second half of `latents_of_image`, for an analysis `y` that has been run already."""
        _, y_hat = self.coder.quantize(y, height=picture.height, width=picture.width, quality=quality, precise=precise)
        return self.with_ids(y_hat, height=picture.height, width=picture.width, quality=quality)


def _check_quality(quality: int) -> None:
    if not is_whole(quality, 1, QUALITIES):
        raise TargetError(f"quality is an integer from 1 to {QUALITIES}, not {quality!r}")


def _check_targets(**targets: float | None) -> None:
    given = {name: value for name, value in targets.items() if value is not None}
    if len(given) != 1:
        raise TargetError(f"give exactly one of {', '.join(targets)}, not {' and '.join(given) or 'none of them'}")
    for name, value in given.items():
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise TargetError(f"{name} is a number above 0, not {value!r}")
