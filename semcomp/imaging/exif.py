"""EXIF of an opened image: turning the pixels the right way up, and what is worth keeping."""

from __future__ import annotations

import struct

from PIL import Image

EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_TIFF_TAGS_KEPT = (0x10E, 0x10F, 0x110, 0x131, 0x132, 0x13B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
_TURNS = {  # EXIF orientation -> what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, *, tiff: Image.Exif | None) -> tuple[Image.Image, bytes | None]:
    """The image the right way up, and its EXIF block, without the orientation where that was applied."""
    raw = image.info.get("exif")
    try:
        exif = image.getexif()
        orientation = exif.get(_ORIENTATION, 1)
        if tiff is not None:
            exif = tiff
        turned = orientation in range(2, 9)
        if turned or not raw:
            kept = Image.Exif()
            kept.load(exif.tobytes())  # a copy: the caller's image keeps its own
            kept.pop(_ORIENTATION, None)
            raw = kept.tobytes() if len(kept) else None
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, struct.error):
        turned = False  # an unreadable EXIF block turns nothing, and is kept as it is
    if turned:
        image = image.transpose(_TURNS[orientation])
    return image, (raw.removeprefix(EXIF_PREFIX) or None) if isinstance(raw, bytes) else None


def exif_of_tiff(image: Image.Image) -> Image.Exif:
    """A TIFF file is its own EXIF record: what tells of the photo is kept, what tells of the file is not."""
    tags = image.getexif()
    kept = Image.Exif()
    kept.update({tag: tags[tag] for tag in _TIFF_TAGS_KEPT if tag in tags})
    for directory in (0x8769, 0x8825):  # Exif, GPS
        entries = tags.get_ifd(directory)
        if entries:
            kept[directory] = dict(entries)
    return kept
