"""Which share of an image is real and which a generator will synthesise, as the file's chunks say it.

Only the standard library is needed, so that `semcomp info` can answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.container import ChunkKind, Container
from semcomp.bitstream.generator_note import read_generator
from semcomp.bitstream.regions import Box, read_regions
from semcomp.errors import FormatError
from semcomp.types import STRIDE_Y, grid


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a file says of the parts that are not its own, in words and numbers for a person."""

    generator: str
    """Name of the generator that the file was made for."""
    generator_id: str
    """Hex."""
    guided: bool
    """Whether the stored label map guides it."""
    kept_share: float
    """Part of the picture's 16x16 positions that is coded and shown as it was; 0: nothing is."""
    kept_boxes: tuple[Box, ...]
    """The kept rectangles in pixels; empty where a bitmap says which positions are kept."""


def regions_of(container: Container) -> bytes | None:
    """The body of the REGIONS chunk, if any. FormatError where no generator is named for what it leaves out."""
    body = container.get(ChunkKind.REGIONS)
    if body is not None and container.get(ChunkKind.GENERATOR) is None:
        raise FormatError("the file keeps regions and names no generator for the rest; encode the picture again")
    return body


def read_origin(container: Container) -> Origin | None:
    """What a file says of its synthesised parts, None where there are none. FormatError where that is malformed."""
    regions, body = regions_of(container), container.get(ChunkKind.GENERATOR)
    if body is None:
        return None
    note, width, height = read_generator(body), container.header.width, container.header.height
    share, boxes = 0.0, []
    if regions is not None:
        found, _ = read_regions(regions, width=width, height=height)
        rows, columns = grid(height, width, STRIDE_Y)
        share = found.kept / (rows * columns)
        for box in found.boxes:
            left, top = STRIDE_Y * box.x, STRIDE_Y * box.y
            right, bottom = min(width, left + STRIDE_Y * box.width), min(height, top + STRIDE_Y * box.height)
            boxes.append(Box(left, top, right - left, bottom - top))
    return Origin(
        generator=note.name,
        generator_id=note.generator_id.hex(),
        guided=note.guided,
        kept_share=share,
        kept_boxes=tuple(boxes),
    )


def in_words(origin: Origin) -> list[str]:
    """One line for what is real and one for what is not."""
    guide = ", guided by the stored label map" if origin.guided else ""
    made = f"synthesised by the generator {origin.generator} ({origin.generator_id}){guide}"
    if not origin.kept_share:
        return ["nothing is kept as it was", f"the whole picture, {made}"]
    where = "; ".join(f"{b.width}x{b.height} at {b.x},{b.y}" for b in origin.kept_boxes)
    where = f"boxes {where}" if where else "positions of a stored bitmap"
    return [f"{100 * origin.kept_share:.1f} % of the picture: {where}", f"the rest, {made}"]
