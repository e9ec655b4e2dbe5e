"""`import semcomp.pillow` teaches Pillow the format.

    Image.open("a.semc")               # reads the header and the metadata; decodes when pixels are asked for
    image.thumbnail((32, 32))          # takes the thumbnail that the file carries, if there is one: nothing is decoded
    image.save("a.semc", quality=50)   # max_bytes=, bpp= or psnr= may take the place of quality

    image.save("a.semc", lossless=True)   # every sample; near= and with_latents= as in `Codec.encode_exact`

`save` also takes preview=, strip=, convert=, convert_colour= and keep_hidden_colour= of `Codec.encode`, and
icc_profile=, exif= and xmp= as other formats of Pillow do. The weights "base" are loaded once, when the first picture
is decoded or saved.
"""

from __future__ import annotations

import io
import zlib
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile

from semcomp.bitstream.container import MAGIC, ChunkEntry, ChunkKind, ColorMode, read, read_header
from semcomp.errors import FormatError, TargetError
from semcomp.imaging.exif import EXIF_PREFIX

if TYPE_CHECKING:
    from semcomp.pipeline.base_codec import BaseCodec

FORMAT = "SEMC"
EXTENSION = ".semc"
MIME = "image/x-semc"
_TARGETS = ("bpp", "max_bytes", "psnr")
_LARGEST_DRAFT = 64
"""Longest side that is taken from a stored thumbnail: twice its own, as Image.thumbnail asks for with its margin."""
_FLAGS = ("strip", "convert", "convert_colour", "keep_hidden_colour")
_RECORDS: dict[int, tuple[str, bytes]] = {
    ChunkKind.ICC: ("icc_profile", b""),
    ChunkKind.EXIF: ("exif", EXIF_PREFIX),
    ChunkKind.XMP: ("xmp", b""),
}
"""Chunk -> key in `Image.info`, and what Pillow expects in front of the value."""


@lru_cache(maxsize=1)
def _codec() -> BaseCodec[Any]:
    from semcomp.backend import open_codec

    return open_codec()


class SemcImageFile(ImageFile.ImageFile):
    """A `.semc` file that Pillow has opened. Damaged files raise `semcomp.FormatError`."""

    format = FORMAT
    format_description = "semcomp, a learned image codec"

    def _open(self) -> None:
        assert self.fp is not None
        header, table = read_header(cast(BinaryIO, self.fp))
        self._size = (header.width, header.height)
        self.info["quality"] = header.quality
        for entry in table:
            if entry.kind in _RECORDS and (body := self._body(entry)):
                key, prefix = _RECORDS[entry.kind]
                self.info[key] = prefix + body
        is_grey = header.mode == ColorMode.L and self.info.get("icc_profile", b"")[16:20] != b"RGB "
        has_alpha = any(entry.kind == ChunkKind.ALPHA for entry in table)
        self._mode = ("L" if is_grey else "RGB") + ("A" if has_alpha else "")
        exact = next((entry for entry in table if entry.kind == ChunkKind.LOSSLESS), None)
        if exact is not None and is_grey and self._start(exact, 4)[3:] not in (b"", b"\x08"):
            self._mode = "I;16"
        self._preview = next((entry for entry in table if entry.kind == ChunkKind.PREVIEW), None)
        self._draft: Image.Image | None = None
        self._decoded = False

    def _body(self, entry: ChunkEntry) -> bytes:
        """The body of a chunk; empty where it is damaged or cut off, which `load` reports."""
        assert self.fp is not None
        self.fp.seek(entry.offset)
        data = self.fp.read(entry.length)
        return data if len(data) == entry.length and zlib.crc32(data) == entry.crc else b""

    def _start(self, entry: ChunkEntry, count: int) -> bytes:
        """The first bytes of a chunk."""
        assert self.fp is not None
        self.fp.seek(entry.offset)
        return self.fp.read(count)

    def _data(self) -> bytes:
        assert self.fp is not None
        self.fp.seek(0)
        return self.fp.read()

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Take the stored thumbnail if at most 64 pixels a side are wanted. Image.thumbnail calls this.

        Returns:
            The mode and the box of the draft, or None if there is no thumbnail or more pixels are wanted.
        """
        if size is None or self._decoded or self._preview is None or max(size) > _LARGEST_DRAFT:
            return None
        from semcomp.thumbs.thumb import thumb_image

        code = self._body(self._preview)
        if not code:  # it is damaged, so the picture is decoded
            return None
        if self._mode == "I;16":  # Pillow reduces no picture of 16 bits, so that it has to have the size
            image = _in_16_bits(thumb_image(code, max(size)))
        else:
            image = thumb_image(code, _LARGEST_DRAFT).convert(self._mode)
        self._draft, self._size = image, image.size
        return self._mode, (0, 0, *image.size)

    def load(self) -> Any:
        """Decode, once. Raises FormatError, or ModelError if the file needs other tables."""
        if not self._decoded:
            image = self._draft or _codec().decode(self._data())
            self.info.update(image.info)
            self._mode = image.mode
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            # ImageFile decodes a plain block of pixels from here on.
            self.fp = io.BytesIO(image.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
            self._decoded = True
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Do nothing: the pixels are in memory."""

    def verify(self) -> None:
        """Check every checksum without decoding. Raises FormatError if one is wrong, even of an optional chunk."""
        container = read(self._data())
        if container.lost:
            name, reason = container.lost[0]
            raise FormatError(f"{name} is damaged: {reason}; copy the file again")
        super().verify()


def _in_16_bits(image: Image.Image) -> Image.Image:
    """Convert to grey of 16 bits. Pillow's own conversion keeps the values, which would be nearly black."""
    import numpy as np

    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    from semcomp.pipeline.lossless_encode import refuse_changes

    options = image.encoderinfo
    image = _with_records(image, {key: options[key] for key, _ in _RECORDS.values() if key in options})
    flags: dict[str, Any] = {key: bool(options.get(key, False)) for key in _FLAGS}
    if options.get("preview") is not None:
        flags["preview"] = options["preview"]
    target = {key: options[key] for key in _TARGETS if options.get(key) is not None}
    if any(options.get(key) for key in ("lossless", "near", "with_latents")):
        refuse_changes(**target, convert=flags["convert"], convert_colour=flags["convert_colour"])
    if target and options.get("quality") is not None:
        raise TargetError(f"give either quality or {next(iter(target))}: the other follows from it")
    if target:
        stream.write(_codec().encode_to(image, **target, **flags).data)
    else:
        _save_by_quality(image, stream, options, flags)


def _save_by_quality(image: Image.Image, stream: IO[bytes], options: dict[str, Any], flags: dict[str, Any]) -> None:
    exact = {key: options[key] for key in ("near", "with_latents") if options.get(key)}
    if exact or options.get("lossless") is True:
        kept = {key: value for key, value in flags.items() if key in ("strip", "preview")}
        stream.write(_codec().encode_exact(image, **kept, **exact))
        return
    more = {"lossless": options["lossless"]} if options.get("lossless") else {}
    stream.write(_codec().encode(image, quality=options.get("quality", 50), **flags, **more))


def _with_records(image: Image.Image, records: dict[str, Any]) -> Image.Image:
    """The image with other records in `info`. A copy still knows the file that it was opened from."""
    if all(value == image.info.get(key) for key, value in records.items()):
        return image
    copied: Any = image.copy()
    for key, value in records.items():
        copied.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    for name in ("filename", "tag_v2"):
        if hasattr(image, name):
            setattr(copied, name, getattr(image, name))
    if image.format != "TIFF":  # the records of a TIFF file are its tags
        copied.format = image.format
    return cast(Image.Image, copied)


Image.register_open(FORMAT, SemcImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
