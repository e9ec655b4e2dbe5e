"""Pictures to `.semc` files and back, around the networks of any client: the one description of encode and decode.

    picture ── analyse ──► y ── quantize ──► symbols ── pack ──► file
    file ── read ──► symbols ── dequantize ──► latents ── render ──► pixels

`BaseCodec` knows the container, the checks and the search for a target; a client adds its networks. Torch's is
codec.py, that of onnxruntime is edge/.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from semcomp.bitstream.alpha import pack_alpha, unpack_alpha
from semcomp.bitstream.container import (
    MAX_PIXELS,
    MAX_SIDE,
    SYNTHESISED,
    Chunk,
    ChunkKind,
    Container,
    Header,
    read,
    smallest_file,
    write,
)
from semcomp.bitstream.keep_mask import unpack_keep
from semcomp.bitstream.origin import regions_of
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning, TargetError
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import ImageLike, Picture, as_picture, to_pil
from semcomp.pipeline.checks import Z_CHECK, _crc, with_checks
from semcomp.pipeline.completion import made_for
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.rate_control import Encoded, _bisect
from semcomp.thumbs.stored import preview_chunk
from semcomp.types import QUALITIES, Latents, Symbols

if TYPE_CHECKING:
    from semcomp.pipeline.completion import GenerativeLike, Plan
    from semcomp.semantics.stored import SemanticsLike

FAITHFUL = "faithful"
"""The name that is given instead of a generator's, to synthesise nothing."""


class BaseCodec(ABC):
    """What every client shares; its networks are in `coder`, `analyse` and `render`."""

    coder: SymbolCoder

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the weights."""

    @property
    @abstractmethod
    def entropy_id(self) -> bytes:
        """8 bytes; a file with another one cannot be read with this codec."""

    @property
    @abstractmethod
    def model_id(self) -> bytes:
        """8 bytes; a file with another one can be read, but was made for another synthesis."""

    @abstractmethod
    def analyse(self, picture: Picture) -> Any:
        """y (1, M, 4a, 4b) of a picture padded to multiples of 64 by repeating its edge; it serves every quality."""

    @abstractmethod
    def render(self, latents: Latents) -> np.ndarray:
        """uint8 (height, width, 3) from latents: the synthesis alone."""

    def complete(
        self,
        container: Container,
        latents: Latents,
        *,
        generator: str | Path | None,
        seed: int,
        relabel: Mapping[str, str] | None,
    ) -> tuple[np.ndarray, str]:
        """The picture of a generator, as `render`, and what of it is synthesised in words; arguments as of `decode`.

        ModelError where there is no such generator, as in a client that runs none.
        """
        note = made_for(container)
        wanted = "" if note is None else f": this file was made for the generator {note.name}"
        raise ModelError(
            f"this client runs no generator{wanted}; decode with --generator faithful, which synthesises nothing, "
            "or with the library"
        )

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
        preview: int | None = None,
    ) -> bytes:
        """The `.semc` file of an image at a quality of 1..100.

        `strip` drops the ICC profile, EXIF and XMP. `convert` allows what would change the picture: 16 bits to 8, CMYK
        to RGB, the first frame of an animation. `convert_colour` converts the colours to sRGB instead of keeping their
        profile. `keep_hidden_colour` keeps the colours under alpha 0, which are blanked otherwise. `semantics` are
        stored in the file (payload.py): labels and a label map, or heads that make them. `generative` has
        the decoder synthesise the picture, or what is not kept of it (generative.py). `preview` stores a thumbnail of
        at most this many bytes. Raises ImageError where the picture cannot be taken as it is, TargetError for another
        quality.
        """
        _check_quality(quality)
        picture = self._picture(
            image, convert=convert, convert_colour=convert_colour, keep_hidden_colour=keep_hidden_colour
        )
        y = self.analyse(picture)
        plan = None if generative is None else generative.plan(self, picture, y)
        symbols = self.quantize(y, picture, quality=quality, keep=None if plan is None else plan.keep)
        return self.pack(
            picture, symbols, quality=quality, strip=strip, semantics=semantics, plan=plan, preview=preview
        )

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
        preview: int | None = None,
    ) -> Encoded:
        """The best file of at most `bpp` or `max_bytes`, or the smallest of at least `psnr` dB.

        Exactly one target is given; bytes are those of the whole file, dB those of the synthesis. The analysis runs
        once, the quality is found by bisection. Raises TargetError where no quality meets the target.
        """
        if sum(target is not None for target in (bpp, max_bytes, psnr)) != 1:
            raise TargetError("give exactly one of bpp, max_bytes and psnr")
        picture = self._picture(
            image, convert=convert, convert_colour=convert_colour, keep_hidden_colour=keep_hidden_colour
        )
        pixels = picture.width * picture.height
        y = self.analyse(picture)
        plan = None if generative is None else generative.plan(self, picture, y)
        keep = None if plan is None else plan.keep

        def attempt(quality: int) -> Encoded:
            symbols, y_hat = self.coder.quantize(
                y, height=picture.height, width=picture.width, quality=quality, keep=keep
            )
            data = self.pack(
                picture, symbols, quality=quality, strip=strip, semantics=semantics, plan=plan, preview=preview
            )
            db = None
            if psnr is not None:
                latents = self._wrapped(y_hat, height=picture.height, width=picture.width, quality=quality)
                db = psnr_db(picture.pixels, self.render(latents))
            return Encoded(data=data, quality=quality, bpp=8 * len(data) / pixels, psnr_db=db)

        if psnr is not None:
            wanted = f"{psnr} dB"
            best = _bisect(lambda number: attempt(QUALITIES + 1 - number), lambda e: (e.psnr_db or 0.0) >= psnr)
            extreme = QUALITIES
        else:
            limit = max_bytes if max_bytes is not None else (bpp or 0.0) * pixels / 8
            wanted = f"{limit:,.0f} bytes"
            best = _bisect(attempt, lambda e: len(e.data) <= limit)
            extreme = 1
        if best is None:
            reached = attempt(extreme)
            raise TargetError(
                f"no quality reaches {wanted}: quality {reached.quality} gives {len(reached.data):,} bytes"
                + (f" and {reached.psnr_db:.2f} dB" if psnr is not None else "; encode a smaller picture")
            )
        return best

    def _picture(
        self, image: ImageLike, *, convert: bool = False, convert_colour: bool = False, keep_hidden_colour: bool = False
    ) -> Picture:
        picture = as_picture(
            image, convert=convert, convert_colour=convert_colour, keep_hidden_colour=keep_hidden_colour
        )
        if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
            raise ImageError(
                f"{picture.width}x{picture.height} is beyond the format's limit of {MAX_SIDE:,} pixels a side and "
                f"{MAX_PIXELS:,} in all; cut the picture into parts"
            )
        return picture

    def quantize(
        self, y: Any, picture: Picture, *, quality: int, optimise: bool = True, keep: np.ndarray | None = None
    ) -> Symbols:
        """The symbols of `analyse`'s latents at a quality. `optimise` weighs bits against error (rounding.py); only
        the positions in `keep`, bool (rows, columns), are coded."""
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
        plan: "Plan | None" = None,
        preview: int | None = None,
    ) -> bytes:
        """The file of symbols and of what else the picture carries. The symbols of a `plan` keep what it keeps."""
        chunks = [] if preview is None else [preview_chunk(picture, preview)]
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
            semantics = semantics(self._wrapped(y_hat, height=picture.height, width=picture.width, quality=quality))
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
        file = write(Container(header, tuple(chunks)))
        missing = smallest_file(picture.width, picture.height) - len(file)
        if missing > 0:
            file = write(Container(header, (*chunks, Chunk(ChunkKind.PADDING, bytes(missing)))))
        return file

    def decode(
        self,
        data: bytes,
        *,
        max_pixels: int = MAX_PIXELS,
        generator: str | Path | None = None,
        seed: int = 0,
        relabel: Mapping[str, str] | None = None,
    ) -> Image.Image:
        """The image of a `.semc` file, with its alpha, ICC profile, EXIF and XMP.

        `generator` is "faithful", "realistic", or the name or file of a generator; None is what the file was made
        for. `seed` is that of its noise, `relabel` renames classes of the stored label map that guides it. Where
        something is synthesised, `info["synthesised"]` of the image says what.

        Raises FormatError for damaged bytes and for more than `max_pixels` pixels, ModelError for a file of other
        tables and for a generator that is not there, ImageError for a class that is not there. Warns (SemcompWarning)
        where a file was made for another synthesis or generator, where parts are left without content, or an optional
        chunk is lost.
        """
        container = self._read(data, max_pixels)
        header = container.header
        if header.model_id != self.model_id:
            warnings.warn(
                f"this file was made for model {header.model_id.hex()}, this is {self.model_id.hex()}: the picture "
                "will differ a little from what its maker saw",
                SemcompWarning,
                stacklevel=2,
            )
        for lost in container.lost:
            warnings.warn(f"{lost.name} is lost: {lost.reason}", SemcompWarning, stacklevel=2)
        pixels, note = self._pixels(container, generator, seed, relabel)
        alpha = container.get(ChunkKind.ALPHA)
        picture = Picture(
            pixels=pixels,
            mode=header.mode,
            alpha=None if alpha is None else unpack_alpha(alpha, width=header.width, height=header.height),
            icc=container.get(ChunkKind.ICC),
            exif=container.get(ChunkKind.EXIF),
            xmp=container.get(ChunkKind.XMP),
        )
        decoded = to_pil(picture)
        if note:
            decoded.info["synthesised"] = note
        return decoded

    def _pixels(
        self, container: Container, generator: str | Path | None, seed: int, relabel: Mapping[str, str] | None
    ) -> tuple[np.ndarray, str]:
        """uint8 (height, width, 3), and what of it is synthesised in words, empty for nothing."""
        latents = self._decode_latents(container)
        if generator != FAITHFUL and (generator is not None or container.get(ChunkKind.GENERATOR) is not None):
            return self.complete(container, latents, generator=generator, seed=seed, relabel=relabel)
        if relabel:
            raise ImageError("relabelling changes what a generator makes, and this picture is decoded without one")
        if latents.keep is not None:
            share = 100 * (1 - latents.keep.mean())
            text = f"{share:.1f} % of the picture was not kept and is left without content"
            warnings.warn(text, SemcompWarning, stacklevel=3)
        return self.render(latents), ""

    def latents(self, data: bytes, *, max_pixels: int = MAX_PIXELS, precise: bool = False) -> Latents:
        """The latents of a file: entropy decoding and the mean path only. Raises as `decode` does.

        They are for heads: the mean path runs in bfloat16 where the processor has it, which halves its time and moves
        y_hat by less than a rounding step. `precise` gives what `decode` renders.
        """
        return self._decode_latents(self._read(data, max_pixels), precise=precise)

    def latents_of(
        self, image: ImageLike, *, quality: int = 50, convert: bool = False, precise: bool = False
    ) -> Latents:
        """What `latents` would give for the file of an image, without making the file. Raises as `encode` does.

        With `precise` exactly so; without, a few symbols may lie one step off those of the file.
        """
        _check_quality(quality)
        picture = self._picture(image, convert=convert)
        return self.latents_from(self.analyse(picture), picture, quality=quality, precise=precise)

    def latents_from(self, y: Any, picture: Picture, *, quality: int, precise: bool = False) -> Latents:
        """The same, of `analyse`'s latents."""
        _, y_hat = self.coder.quantize(y, height=picture.height, width=picture.width, quality=quality, precise=precise)
        return self._wrapped(y_hat, height=picture.height, width=picture.width, quality=quality)

    def read_symbols(self, data: bytes, *, max_pixels: int = MAX_PIXELS, plain: bool = False) -> Symbols:
        """The integers of a file. `plain` reads with the coder in pure Python. Raises as `decode` does."""
        return self._decode_symbols(self._read(data, max_pixels), plain=plain)

    def _read(self, data: bytes, max_pixels: int) -> Container:
        container = read(data, max_pixels=max_pixels)
        if container.header.entropy_id != self.entropy_id:
            raise ModelError(
                f"the file needs a codec with entropy id {container.header.entropy_id.hex()}, "
                f"{self.name} has {self.entropy_id.hex()}; load the codec that wrote it (semcomp models lists them)"
            )
        return container

    def _decode_symbols(self, container: Container, *, plain: bool = False) -> Symbols:
        header, regions = container.header, regions_of(container)
        keep = None
        if regions is not None:
            keep = unpack_keep(regions, width=header.width, height=header.height, plain=plain)

        def verify(matches: bool, what: str) -> None:
            if not matches:
                raise FormatError(
                    f"the {what} do not match their checksum: the file is damaged, or was not decoded exactly; "
                    "copy the file again, and run `semcomp doctor` on this machine"
                )

        symbols = self.coder.read(
            container.get(ChunkKind.SYMBOLS) or b"",
            height=header.height,
            width=header.width,
            quality=header.quality,
            plain=plain,
            keep=keep,
            verify_z=lambda z: verify(_crc(header, keep, z) & Z_CHECK == header.z_check, "symbols of z"),
        )
        verify(_crc(header, keep, symbols.z, symbols.y) == header.symbol_crc, "symbols")
        return symbols

    def _decode_latents(self, container: Container, *, precise: bool = True) -> Latents:
        header, symbols = container.header, self._decode_symbols(container)
        y_hat = self.coder.dequantize(symbols, quality=header.quality, precise=precise)
        latents = self._wrapped(y_hat, height=header.height, width=header.width, quality=header.quality)
        return replace(latents, model_id=header.model_id, keep=symbols.keep)

    def _wrapped(self, y_hat: Any, *, height: int, width: int, quality: int) -> Latents:
        return Latents(
            y_hat=y_hat, height=height, width=width, quality=quality, entropy_id=self.entropy_id, model_id=self.model_id
        )


def _check_quality(quality: int) -> None:
    if isinstance(quality, bool) or not isinstance(quality, int | np.integer) or not 1 <= quality <= QUALITIES:
        raise TargetError(f"quality is an integer from 1 to {QUALITIES}, not {quality!r}")
