"""`import semcomp.pillow` teaches Pillow the format.

    Image.open("a.semc")               # reads the header; decodes when pixels are asked for
    image.thumbnail((32, 32))          # from the stored thumbnail, where the file carries one: nothing is decoded
    image.save("a.semc", quality=50)   # also preview=48; max_bytes=, bpp= or psnr= instead of quality, strip=,
                                       # convert=

The weights "base" are loaded once, when the first picture is decoded or saved.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile

from semcomp.bitstream.container import MAGIC, ChunkKind, Container, read, read_header
from semcomp.errors import FormatError

if TYPE_CHECKING:
    from semcomp.codec.codec import Codec

FORMAT = "SEMC"
EXTENSION = ".semc"
MIME = "image/x-semc"
_TARGETS = ("bpp", "max_bytes", "psnr")
_LARGEST_DRAFT = 64
"""Longest side that is taken from a stored thumbnail: twice its own, as Image.thumbnail asks for with its margin."""


@lru_cache(maxsize=1)
def _codec() -> Codec:
    from semcomp.codec.codec import load

    return load()


class SemcImageFile(ImageFile.ImageFile):
    """A `.semc` file that Pillow has opened. Damaged files raise `semcomp.FormatError`."""

    format = FORMAT
    format_description = "semcomp, a learned image codec"

    def _open(self) -> None:
        assert self.fp is not None
        header, table = read_header(cast(BinaryIO, self.fp))
        has_alpha = any(entry.kind == ChunkKind.ALPHA for entry in table)
        self._size = (header.width, header.height)
        self._mode = header.mode.name + ("A" if has_alpha else "")
        self.info["quality"] = header.quality
        self._has_metadata = any(entry.kind in (ChunkKind.ICC, ChunkKind.EXIF) for entry in table)
        self._has_preview = any(entry.kind == ChunkKind.PREVIEW for entry in table)
        self._draft: Image.Image | None = None
        self._decoded = False

    def _read(self) -> tuple[bytes, Container]:
        assert self.fp is not None
        self.fp.seek(0)
        data = self.fp.read()
        return data, read(data)

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Take the stored thumbnail where at most 64 pixels a side are wanted; Image.thumbnail calls this.

        Returns:
            The mode and the box of the draft, or None where the file carries no thumbnail or more pixels are wanted.
        """
        if size is None or self._decoded or not self._has_preview or max(size) > _LARGEST_DRAFT:
            return None
        from semcomp.thumbs.thumb import thumb_image

        _, container = self._read()
        code = container.get(ChunkKind.PREVIEW)
        if code is None:  # it is damaged, so the picture is decoded
            return None
        image = thumb_image(code, _LARGEST_DRAFT).convert(self._mode)
        self._draft, self._size = image, image.size
        return self._mode, (0, 0, *image.size)

    def load(self) -> Any:
        """Decode, once. Raises FormatError, or ModelError where the file needs other tables."""
        if not self._decoded:
            data = b"" if self._draft else self._read()[0]
            image = self._draft or _codec().decode(data)
            self.info.update(image.info)
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            # What ImageFile decodes from here on is a plain block of pixels.
            self.fp = io.BytesIO(image.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
            self._decoded = True
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Nothing: the pixels lie in memory."""

    def getexif(self) -> Image.Exif:
        """EXIF, for which the file is read but not decoded."""
        if self._has_metadata and not self._decoded and "exif" not in self.info:
            _, container = self._read()
            exif = container.get(ChunkKind.EXIF)
            if exif:
                self.info["exif"] = b"Exif\x00\x00" + exif
        return super().getexif()

    def verify(self) -> None:
        """Check every checksum without decoding; FormatError where one is wrong, even an optional chunk's."""
        _, container = self._read()
        if container.lost:
            name, reason = container.lost[0]
            raise FormatError(f"{name} is damaged: {reason}; copy the file again")
        super().verify()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    options = image.encoderinfo
    for key in ("icc_profile", "exif"):
        if key in options and options[key] != image.info.get(key):
            image = image.copy()
            value = options[key]
            image.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    rest = {"strip": options.get("strip", False), "convert": options.get("convert", False)}
    if options.get("preview") is not None:
        rest["preview"] = options["preview"]
    target = {key: options[key] for key in _TARGETS if options.get(key) is not None}
    if target:
        stream.write(_codec().encode_to(image, **target, **rest).data)
    else:
        stream.write(_codec().encode(image, quality=options.get("quality", 50), **rest))


Image.register_open(FORMAT, SemcImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
