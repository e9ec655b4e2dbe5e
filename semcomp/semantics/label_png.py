"""Label maps as images: a palette PNG, read and written, and the photo under translucent colours."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from semcomp.bitstream.label_map_header import MAX_CLASSES
from semcomp.errors import ImageError
from semcomp.semantics.class_names import read_class_names
from semcomp.semantics.mask_file import read_numbers_and_palette
from semcomp.semantics.results import VOID, Palette, Segmentation, default_palette

OPACITY = 0.55
"""Weight of a class's colour over the photo."""
VOID_COLOUR = (224, 224, 192)
"""Colour of VOID in Pascal VOC's masks, for programs that show no transparency."""
UNKNOWN = "nothing known"
"""How VOID is called in legends."""


def read_label_png(path: str | Path, *, classes: str | Path | None = None, void: int = VOID) -> Segmentation:
    """Read a label map of one's own.

    Args:
        path: A palette or grey PNG of class numbers, 1 to 16 bits.
        classes: A text file with one name a line, the first of class 0. Without it classes are called by their numbers.
        void: The number that means "nothing is known here".

    Returns:
        The map, in the colours of its palette where it has one for every class.

    Raises:
        ImageError: The files cannot be read, or do not fit together.
    """
    numbers, colours = read_numbers_and_palette(path)
    known = numbers != void
    highest = int(numbers[known].max(initial=0))
    if (lowest := int(numbers[known].min(initial=0))) < 0:
        raise ImageError(f"{path} holds class {lowest}; class numbers begin at 0")
    names = tuple(str(number) for number in range(highest + 1)) if classes is None else read_class_names(classes)
    if highest >= len(names):
        raise ImageError(
            f"{path} holds class {highest}, and {classes} names {len(names)} classes, the first being 0; "
            f"name that class, or give void={highest} if it means that nothing is known"
        )
    if len(names) > MAX_CLASSES:
        raise ImageError(f"{classes or path} has {len(names)} classes; a label map has at most {MAX_CLASSES}")
    label_map = np.where(known, numbers, VOID).astype(np.uint8)
    return Segmentation(label_map=label_map, classes=names, palette=_palette_of(colours, len(names)))


def _palette_of(colours: list[int] | None, count: int) -> Palette:
    if not colours or len(colours) < 3 * count:
        return default_palette(count)
    return tuple((colours[3 * k], colours[3 * k + 1], colours[3 * k + 2]) for k in range(count))


def palette_png(segmentation: Segmentation) -> bytes:
    """Write the label map as a palette PNG whose pixel values are class numbers. VOID is 255, and transparent."""
    image = Image.fromarray(segmentation.label_map)
    colours = list(segmentation.palette)
    options: dict[str, Any] = {}
    if segmentation.void_share:
        colours += [VOID_COLOUR] * (VOID + 1 - len(colours))
        options["transparency"] = VOID
    image.putpalette([channel for colour in colours for channel in colour])
    buffer = io.BytesIO()
    # Z_RLE is much faster than `optimize`, for a few more bytes.
    image.save(buffer, "PNG", compress_type=zlib.Z_RLE, **options)
    return buffer.getvalue()


def overlay(segmentation: Segmentation, pixels: NDArray[np.uint8]) -> Image.Image:
    """Draw the photo (H, W, 3) in the colours of its classes, over a legend. Where nothing is known it stays."""
    height, width = segmentation.label_map.shape
    palette = np.zeros((VOID + 1, 3), np.float32)
    palette[: len(segmentation.palette)] = segmentation.palette
    opacity = np.full(VOID + 1, OPACITY, np.float32)
    opacity[VOID] = 0
    weight = opacity[segmentation.label_map][..., None]
    blend = np.round(pixels * (1 - weight) + palette[segmentation.label_map] * weight).astype(np.uint8)
    legend = _legend(segmentation, width)
    whole = Image.new("RGB", (width, height + legend.height), "white")
    whole.paste(Image.fromarray(blend), (0, 0))
    whole.paste(legend, (0, height))
    return whole


def _legend(segmentation: Segmentation, width: int) -> Image.Image:
    """Draw a white strip with a patch of colour, the name and the area of each class, largest first, then of VOID."""
    size = max(10, min(22, width // 40))
    font = ImageFont.load_default(size)
    entries: list[tuple[tuple[int, int, int] | None, str]] = [
        (segmentation.palette[k], f"{segmentation.classes[k]} {100 * segmentation.shares[k]:.0f} %")
        for k in sorted(segmentation.present, key=lambda k: -segmentation.shares[k])
    ]
    if segmentation.void_share:
        entries.append((None, f"{UNKNOWN} {100 * segmentation.void_share:.0f} %"))
    lines: list[list[tuple[int, tuple[int, int, int] | None, str]]] = [[]]
    x = size // 2
    for colour, text in entries:
        needed = round(2 * size + font.getlength(text))
        if lines[-1] and x + needed > width:
            lines.append([])
            x = size // 2
        lines[-1].append((x, colour, text))
        x += needed
    strip = Image.new("RGB", (width, round(1.7 * size) * len(lines) + size // 2), "white")
    draw = ImageDraw.Draw(strip)
    for row, line in enumerate(lines):
        y = round(1.7 * size) * row + size // 2
        for x, colour, text in line:
            draw.rectangle((x, y, x + size, y + size), fill=colour, outline="black")
            draw.text((x + 1.4 * size, y + size / 2), text, fill="black", font=font, anchor="lm")
    return strip
