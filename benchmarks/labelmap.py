"""What does a label map cost inside a file, and beside a palette PNG or a lossless WebP of the same map?

Every mask is reduced to cells by majority, written as the body of a LABEL_MAP chunk (class names and colours included)
and read again. PNG (palette, optimized) and WebP (lossless, method 6) hold the same cells, without the names. Drawn
masks are rougher than what a network predicts: they are the hard case.
"""

import io
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.bitstream.adaptive_ans import HAS_CONSTRICTION
from semcomp.bitstream.label_map import LabelMap, pack_label_map, reduce_map, unpack_label_map
from semcomp.bitstream.label_map_header import pack_head
from semcomp.errors import SemcompError

MAX_BPP = 0.03
"""Bits a pixel of the photo, at cells of 4 pixels and more."""
LEAST_SAVING = 30
"""Percent below the palette PNG."""
SOURCE = "street"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One mask."""

    pixels: int
    """Pixels of the photo."""
    bytes: int
    """The body of the chunk, of which the head takes some."""
    head: int
    png: int
    webp: int
    encode_ms: float
    decode_ms: float
    differs: bool
    """Whether a reader, with constriction or without, gave other cells, or they were not written alike."""

    def saving(self) -> float:
        """Percent below the PNG."""
        return 100 * (1 - self.bytes / self.png)


def measure(mask: NDArray[np.uint8], *, cell: int, classes: tuple[str, ...], palette: NDArray[np.uint8]) -> Row:
    """Write and read one mask, uint8 (H, W)."""
    height, width = mask.shape
    cells = reduce_map(mask, cell)
    colours = tuple((int(r), int(g), int(b)) for r, g, b in palette)
    written = LabelMap(cells=cells, cell=cell, classes=classes, palette=colours, source=SOURCE)
    began = time.perf_counter()
    data = pack_label_map(written, width=width, height=height)
    encoded = time.perf_counter()
    found = unpack_label_map(data, width=width, height=height)
    decoded = time.perf_counter()
    others = [found, unpack_label_map(data, width=width, height=height, plain=True)]
    differs = any(not np.array_equal(other.cells, cells) for other in others)
    return Row(
        pixels=width * height,
        bytes=len(data),
        head=len(pack_head(written)),
        png=png_bytes(cells, palette),
        webp=webp_bytes(cells, palette),
        encode_ms=1e3 * (encoded - began),
        decode_ms=1e3 * (decoded - encoded),
        differs=differs or pack_label_map(found, width=width, height=height) != data,
    )


def png_bytes(cells: NDArray[np.uint8], palette: NDArray[np.uint8]) -> int:
    """Size of a palette PNG."""
    image = Image.fromarray(cells)
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return len(buffer.getvalue())


def webp_bytes(cells: NDArray[np.uint8], palette: NDArray[np.uint8]) -> int:
    """Size of a lossless WebP of the colours; it makes a palette of its own."""
    buffer = io.BytesIO()
    Image.fromarray(palette[cells]).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return len(buffer.getvalue())


def read_classes(path: Path) -> tuple[str, ...]:
    """The names of a file with a line `number name` for each class, ascending from 0."""
    try:
        lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise SemcompError(f"cannot read {path}: {error}; name the classes with --classes") from None
    if any(len(line) != 2 or line[0] != str(number) for number, line in enumerate(lines)):
        raise SemcompError(f"{path} is not a list of `number name`, ascending from 0")
    return tuple(name.strip() for _, name in lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser(
        "labelmap", __doc__, "python -m benchmarks.labelmap data/camvid/val/masks --cell 4 -o out/labelmap.json"
    )
    masks = Path("data/camvid/val/masks")
    parser.add_argument("masks", nargs="*", type=Path, default=[masks], help=f"grey or palette PNGs (default: {masks})")
    parser.add_argument("--classes", type=Path, default=Path("data/camvid/classes.txt"), help="their names, one a line")
    parser.add_argument("--cell", type=int, default=4, help="pixels a side of a cell (default: 4)")
    parser.add_argument("--count", type=int, default=1 << 30, help="masks, evenly spaced over all (default: all)")
    options = parser.parse_args(arguments)

    classes = read_classes(options.classes)
    palette = np.random.default_rng(0).integers(0, 256, (len(classes), 3)).astype(np.uint8)
    paths = common.spread(common.find_photos(options.masks), options.count)
    rows = []
    for path in common.progress(paths, total=len(paths), label="labelmap", options=options):
        with Image.open(path) as image:
            mask = np.asarray(image)
        if mask.dtype != np.uint8 or mask.ndim != 2 or mask.max() >= len(classes):
            raise SemcompError(f"{path} is not a mask of {len(classes)} classes: {mask.dtype} {mask.shape}")
        rows.append(measure(mask, cell=options.cell, classes=classes, palette=palette))

    result = {
        "masks": len(rows),
        "cell": options.cell,
        "classes": len(classes),
        "constriction": HAS_CONSTRICTION,
        "bytes": mean(row.bytes for row in rows),
        "bytes_of_head": rows[0].head,
        "largest": max(row.bytes for row in rows),
        "bpp": mean(8 * row.bytes / row.pixels for row in rows),
        "png_bytes": mean(row.png for row in rows),
        "webp_bytes": mean(row.webp for row in rows),
        "least_saving": min(row.saving() for row in rows),
        "encode_ms": median(row.encode_ms for row in rows),
        "decode_ms": median(row.decode_ms for row in rows),
    }
    enough = 100 * mean(row.saving() >= LEAST_SAVING for row in rows)
    checks = [
        at_most("maps that do not come back, or not alike in both coders", sum(row.differs for row in rows), 0, ""),
        at_least(f"maps that take {LEAST_SAVING} % less than the PNG", enough, 95, " %"),
    ]
    if options.cell >= 4:
        checks.append(at_most("bits a pixel of the photo, mean", result["bpp"], MAX_BPP, ""))
    lines = [
        f"{len(rows)} masks in cells of {options.cell} pixels, {len(classes)} classes; means, times are medians",
        "",
        f"LABEL_MAP{result['bytes']:>10.1f} bytes (head {result['bytes_of_head']}, largest {result['largest']})",
    ]
    for name, key in (("PNG", "png_bytes"), ("WebP", "webp_bytes")):
        saving = 100 * (1 - result["bytes"] / result[key])
        lines.append(f"{name:<9}{result[key]:>10.1f} bytes ({saving:.1f} % less in LABEL_MAP)")
    lines += [
        f"{result['bpp']:.4f} bits a pixel of the photo; at least {result['least_saving']:.1f} % less than the PNG",
        f"encode {result['encode_ms']:.1f} ms, decode {result['decode_ms']:.1f} ms",
    ]
    return common.finish("labelmap", options, result=result, checks=checks, table="\n".join(lines))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
