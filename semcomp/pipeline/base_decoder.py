"""`.semc` files back to pictures, around the networks of any backend.

    file ── read ──► symbols ── dequantize ──► latents ── render ──► pixels

`BaseDecoder` knows the container, the checks and the chunks. A backend adds its networks.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.bitstream.alpha import unpack_alpha
from semcomp.bitstream.container import MAX_PIXELS, ChunkKind, Container, read
from semcomp.bitstream.source import SemcSource, read_source
from semcomp.bitstream.symbol_stream import SymbolReader
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning
from semcomp.imaging.picture import Picture, to_pil
from semcomp.pipeline.checks import Z_CHECK, header_crc, keep_of
from semcomp.pipeline.completion import FAITHFUL, made_for
from semcomp.pipeline.exact_decoder import ExactDecoder, refuse_synthesis
from semcomp.pipeline.latent_coder import SymbolCoder
from semcomp.pipeline.lossless import exact_pil
from semcomp.types import A, Latents, Symbols


class BaseDecoder(ExactDecoder, ABC, Generic[A]):
    """Decoding, shared by every backend. `A` is the backend's array type."""

    coder: SymbolCoder[A]

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the weights."""

    @property
    @abstractmethod
    def entropy_id(self) -> bytes:
        """8 bytes. A file with another entropy id cannot be read with this codec."""

    @property
    @abstractmethod
    def model_id(self) -> bytes:
        """8 bytes. A file with another model id can be read, but was made for another synthesis."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the latents."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What the codec says about itself: its name, its ids and its size."""

    @abstractmethod
    def render(self, latents: Latents[A]) -> NDArray[np.uint8]:
        """Run the synthesis on latents: uint8 (height, width, 3)."""

    def complete(
        self,
        container: Container,
        latents: Latents[A],
        *,
        generator: str | Path | None,
        seed: int,
        relabel: Mapping[str, str] | None,
    ) -> tuple[NDArray[np.uint8], str]:
        """Render a picture with a generator. `decode` describes the arguments.

        Returns:
            uint8 (height, width, 3), and a sentence that says which parts are synthetic.

        Raises:
            ModelError: The generator is not there. A client without generators always raises this.
        """
        note = made_for(container)
        wanted = "" if note is None else f": this file was made for the generator {note.name}"
        raise ModelError(
            f'this client runs no generator{wanted}; decode with the generator "faithful", which synthesises nothing, '
            "or with the library, or write the graphs with a generator: semcomp export onnx --generators all"
        )

    def decode(
        self,
        source: SemcSource,
        *,
        max_pixels: int = MAX_PIXELS,
        generator: str | Path | None = None,
        seed: int = 0,
        relabel: Mapping[str, str] | None = None,
        scale: int = 1,
    ) -> Image.Image:
        """Decode a `.semc` file to an image with its alpha, ICC profile, EXIF and XMP.

        Args:
            source: Path, bytes or binary stream of the file.
            max_pixels: Largest picture that is accepted, width x height.
            generator: "faithful" synthesises nothing. "realistic" takes the generator that the file was made for, or
                the default one. Otherwise it is the name or the file of a generator. None uses a generator only if the
                file was made for one.
            seed: Seed of the generator's noise.
            relabel: Renames classes of the stored label map that guides the generator.
            scale: 1, 2, 4 or 8: decode at 1/scale of the size. Exact pixels give every scale-th row and column, and no
                more of a path or a stream is read than that takes. Other files are decoded and averaged.

        Returns:
            The image. Exact pixels of 16-bit grey have mode I;16. Where a generator synthesised something,
            `info["synthesised"]` says what.

        Raises:
            FileError: The file cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            FormatError: The file is damaged, or its picture is larger than `max_pixels`.
            ModelError: The file needs the tables of another codec, or a generator that is not there.
            ImageError: `relabel` names a class that is not in the label map, or the picture is RGB of 16 bits, which
                `decode_pixels` gives.
            TargetError: There is no such scale.

        Warns:
            SemcompWarning: The file was made for another synthesis or generator, a part of the picture is left without
                content, or an optional chunk is lost.

        Example:
            >>> import semcomp
            >>> semcomp.load().decode("tests/golden/ramp.semc").size
            (50, 40)
        """
        exact, container = self._exact(source, scale, max_pixels)
        if exact is not None:
            refuse_synthesis(generator, relabel)
            return exact_pil(exact)
        pixels, note = self._pixels(container, generator, seed, relabel)
        return _image_of(container, pixels, note, scale)

    def decode_pixels(self, source: SemcSource, *, max_pixels: int = MAX_PIXELS, scale: int = 1) -> NDArray[Any]:
        """Decode a `.semc` file to an array. Exact pixels have the type and the values that were encoded.

        Args:
            source: Path, bytes or binary stream of the file.
            max_pixels: Largest picture that is accepted, width x height.
            scale: 1, 2, 4 or 8, as for `decode`.

        Returns:
            uint8 (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA; uint16 (H, W) or (H, W, 3).

        Raises:
            SemcompError: As for `decode`.

        Warns:
            SemcompWarning: As for `decode`.
        """
        exact, container = self._exact(source, scale, max_pixels)
        if exact is None:
            return np.array(_image_of(container, *self._pixels(container, None, 0, None), scale))
        if exact.alpha is None:
            return exact.pixels
        pixels = exact.pixels[..., None] if exact.pixels.ndim == 2 else exact.pixels
        return np.concatenate([pixels, exact.alpha[..., None]], 2)

    def _warn_of_differences(self, container: Container) -> None:
        model_id = container.header.model_id
        if model_id != self.model_id:
            warnings.warn(
                f"this file was made for model {model_id.hex()}, this is {self.model_id.hex()}: the picture "
                "will differ a little from what its maker saw",
                SemcompWarning,
                stacklevel=4,
            )
        for lost in container.lost:
            warnings.warn(f"{lost.name} is lost: {lost.reason}", SemcompWarning, stacklevel=4)

    def _pixels(
        self, container: Container, generator: str | Path | None, seed: int, relabel: Mapping[str, str] | None
    ) -> tuple[NDArray[np.uint8], str]:
        """uint8 (height, width, 3), and a sentence on its synthetic parts, which is empty if there are none."""
        self._check_tables(container)
        self._warn_of_differences(container)
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

    def latents(self, source: SemcSource, *, max_pixels: int = MAX_PIXELS, precise: bool = False) -> Latents[A]:
        """Decode the latents of a file, for heads. Only the entropy decoder and the mean path run; no pixel is made.

        Args:
            source: Path, bytes or binary stream of the file.
            max_pixels: Largest picture that is accepted, width x height.
            precise: Run the mean path in float32, which gives exactly what `decode` renders. Otherwise it runs in
                bfloat16 where the processor has it: that halves its time and moves y_hat by less than a rounding step.

        Returns:
            The latents with the size, the quality and the ids of the file.

        Raises:
            FileError: The file cannot be read. A missing one is a MissingFileError, which is also a FileNotFoundError.
            FormatError: The file is damaged, or its picture is larger than `max_pixels`.
            ModelError: The file needs the tables of another codec.
            ImageError: The file holds exact pixels and no latents.

        Example:
            >>> import semcomp
            >>> latents = semcomp.load().latents("tests/golden/ramp.semc")
            >>> tuple(latents.y_hat.shape), latents.quality
            ((1, 320, 3, 4), 60)
        """
        return self._decode_latents(self._read(source, max_pixels), precise=precise)

    def read_symbols(self, source: SemcSource, *, max_pixels: int = MAX_PIXELS, plain: bool = False) -> Symbols:
        """Decode the integers of a file. `plain` reads with the coder in pure Python. Raises what `latents` raises."""
        return self._decode_symbols(self._read(source, max_pixels), plain=plain)

    def read_z(self, source: SemcSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.int16]:
        """Decode z alone, (Z, ceil(height / 64), ceil(width / 64)). No network runs. Raises what `latents` raises."""
        container = self._read(source, max_pixels)
        reader, header = SymbolReader(container.get(ChunkKind.SYMBOLS) or b""), container.header
        z = self.coder.read_z(reader, height=header.height, width=header.width, quality=header.quality)
        _verify(header_crc(header, keep_of(container), z) & Z_CHECK == header.z_check, "symbols of z")
        return z

    def _read(self, source: SemcSource, max_pixels: int) -> Container:
        container = read(read_source(source), max_pixels=max_pixels)
        self._check_tables(container)
        return container

    def _check_tables(self, container: Container) -> None:
        """ImageError where the file has no latents, and ModelError where it has latents of other tables."""
        if container.get(ChunkKind.SYMBOLS) is None:
            raise ImageError(
                "the file holds exact pixels and no latents: decode it, or encode it with latents beside the pixels, "
                "with_latents=50"
            )
        if container.header.entropy_id != self.entropy_id:
            raise ModelError(
                f"the file needs a codec with entropy id {container.header.entropy_id.hex()}, "
                f"{self.name} has {self.entropy_id.hex()}; load the codec that wrote it (semcomp models lists them)"
            )

    def _decode_symbols(self, container: Container, *, plain: bool = False) -> Symbols:
        header, keep = container.header, keep_of(container, plain=plain)
        symbols = self.coder.read(
            container.get(ChunkKind.SYMBOLS) or b"",
            height=header.height,
            width=header.width,
            quality=header.quality,
            plain=plain,
            keep=keep,
            verify_z=lambda z: _verify(header_crc(header, keep, z) & Z_CHECK == header.z_check, "symbols of z"),
        )
        _verify(header_crc(header, keep, symbols.z, symbols.y) == header.symbol_crc, "symbols")
        return symbols

    def _decode_latents(self, container: Container, *, precise: bool = True) -> Latents[A]:
        header, symbols = container.header, self._decode_symbols(container)
        y_hat = self.coder.dequantize(symbols, quality=header.quality, precise=precise)
        latents = self.with_ids(y_hat, height=header.height, width=header.width, quality=header.quality)
        return replace(latents, model_id=header.model_id, keep=symbols.keep)

    def with_ids(self, y_hat: A, *, height: int, width: int, quality: int) -> Latents[Any]:
        """Make latents of this codec: `y_hat` with the size of its picture, its quality, and the codec's ids."""
        return Latents(
            y_hat=y_hat, height=height, width=width, quality=quality, entropy_id=self.entropy_id, model_id=self.model_id
        )


def _verify(matches: bool, what: str) -> None:
    if not matches:
        raise FormatError(
            f"the {what} do not match their checksum: the file is damaged, or was not decoded exactly; "
            "copy the file again, and run `semcomp doctor` on this machine"
        )


def _image_of(container: Container, pixels: NDArray[np.uint8], note: str, scale: int) -> Image.Image:
    """The image of decoded pixels (H, W, 3), with everything that the file holds beside them, 1/scale as large."""
    header, alpha = container.header, container.get(ChunkKind.ALPHA)
    picture = Picture(
        pixels=pixels,
        mode=header.mode,
        alpha=None if alpha is None else unpack_alpha(alpha, width=header.width, height=header.height),
        icc=container.get(ChunkKind.ICC),
        exif=container.get(ChunkKind.EXIF),
        xmp=container.get(ChunkKind.XMP),
    )
    image = to_pil(picture)
    if note:
        image.info["synthesised"] = note
    return image if scale == 1 else image.reduce(scale)
