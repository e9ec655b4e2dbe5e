"""The frame of a JPEG file (ITU-T T.81, B.2.2): its size, its components, and the grids of their blocks."""

from __future__ import annotations

from dataclasses import dataclass

from semcomp.bitstream.container import MAX_PIXELS
from semcomp.errors import ImageError


@dataclass(frozen=True, kw_only=True)
class Component:
    """One colour component of the frame."""

    identifier: int
    horizontal: int
    vertical: int
    """Sampling factors, 1 to 4."""
    table: int
    """Number of its quantisation table."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the start-of-frame segment says."""

    width: int
    height: int
    components: tuple[Component, ...]
    progressive: bool

    @property
    def horizontal(self) -> int:
        """The largest horizontal factor."""
        return max(component.horizontal for component in self.components)

    @property
    def vertical(self) -> int:
        """The largest vertical factor."""
        return max(component.vertical for component in self.components)

    @property
    def units(self) -> tuple[int, int]:
        """(Rows, columns) of minimum coded units in an interleaved scan."""
        return -(-self.height // (8 * self.vertical)), -(-self.width // (8 * self.horizontal))

    def blocks(self, component: Component) -> tuple[int, int]:
        """(Rows, columns) of blocks that whole units hold."""
        rows, columns = self.units
        return rows * component.vertical, columns * component.horizontal

    def own_blocks(self, component: Component) -> tuple[int, int]:
        """(Rows, columns) of blocks that the component's own size asks for: what a scan of one component codes."""
        height = -(-self.height * component.vertical // self.vertical)
        width = -(-self.width * component.horizontal // self.horizontal)
        return -(-height // 8), -(-width // 8)


def read_frame(payload: bytes, *, progressive: bool) -> Frame:
    """Read a start-of-frame segment.

    Raises:
        ImageError: The frame is of a kind that cannot be read, or is too large.
        ValueError: The segment makes no sense.
        IndexError: The segment is too short.
    """
    bits, height, width, count = payload[0], *(int.from_bytes(payload[n : n + 2], "big") for n in (1, 3)), payload[5]
    if bits != 8:
        raise ImageError(f"the JPEG file has {bits} bits a channel, and only 8 can be read: convert it to 8 bits first")
    if height == 0:
        raise ImageError("the JPEG file tells its height only at its end (DNL): rewrite it with jpegtran first")
    if width * height > MAX_PIXELS:
        raise ImageError(f"the JPEG file claims {width}x{height} pixels, and at most {MAX_PIXELS:,} can be read")
    if width == 0 or not 1 <= count <= 4 or len(payload) < 6 + 3 * count:
        raise ValueError("the frame has no size or no component")
    components = []
    for at in range(6, 6 + 3 * count, 3):
        identifier, factors, table = payload[at : at + 3]
        if not (1 <= factors >> 4 <= 4 and 1 <= factors & 15 <= 4):
            raise ValueError(f"the sampling factors 0x{factors:02x} are not allowed")
        components.append(Component(identifier=identifier, horizontal=factors >> 4, vertical=factors & 15, table=table))
    return Frame(width=width, height=height, components=tuple(components), progressive=progressive)
