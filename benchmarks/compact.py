"""The cost of the coarser weights of an export with --compact: PSNR of the same files, decoded with both graphs.

semcomp export onnx -o out/edge && semcomp export onnx -o out/webgraphs --compact
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_most
from semcomp.codec.self_test import QUALITIES
from semcomp.edge import EdgeCodec
from semcomp.imaging.metrics import psnr_db

LIMIT = 0.1
"""dB that any quality may lose on average."""


def crop(path: Path, side: int) -> NDArray[np.uint8]:
    """The middle of a photo, at most side x side pixels."""
    with Image.open(path) as image:
        width, height = image.size
        left, top = max(0, width - side) // 2, max(0, height - side) // 2
        return np.array(image.convert("RGB").crop((left, top, min(width, left + side), min(height, top + side))))


def losses(plain: EdgeCodec, compact: EdgeCodec, photos: list[NDArray[np.uint8]], quality: int) -> dict[str, Any]:
    """Mean PSNR of the decoded photos with both clients, and how many symbols they read differently."""
    before, after, wrong = [], [], 0
    for photo in photos:
        data = plain.encode(photo, quality=quality)
        before.append(psnr_db(photo, np.asarray(plain.decode(data))))
        after.append(psnr_db(photo, np.asarray(compact.decode(data))))
        wrong += int(np.count_nonzero(plain.read_symbols(data).y != compact.read_symbols(data).y))
    plain_db, compact_db = float(np.mean(before)), float(np.mean(after))
    return {"quality": quality, "plain_db": plain_db, "compact_db": compact_db, "differing": wrong}


def table_of(rows: list[dict[str, Any]]) -> str:
    """The result as text."""
    lines = [f"{'quality':>7}{'plain':>10}{'compact':>10}{'loss':>9}{'differing symbols':>20}"]
    for row in rows:
        loss = row["plain_db"] - row["compact_db"]
        shown = f"{row['plain_db']:>10.2f}{row['compact_db']:>10.2f}{loss:>9.3f}"
        lines.append(f"{row['quality']:>7}{shown}{row['differing']:>20}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("compact", __doc__, "python -m benchmarks.compact data/val -o out/compact.json")
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--compact", type=Path, default=Path("out/webgraphs"), metavar="DIR", help="the smaller ones")
    parser.add_argument("--count", type=int, default=20, help="photos, evenly spaced over all (default: 20)")
    parser.add_argument("--side", type=int, default=256, help="pixels of the middle of a photo (default: 256)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    options = parser.parse_args(arguments)

    plain, compact = EdgeCodec(options.graphs), EdgeCodec(options.compact)
    photos = [crop(path, options.side) for path in common.spread(common.find_photos(options.photos), options.count)]
    rows = [losses(plain, compact, photos, quality) for quality in options.qualities]
    largest = max(row["plain_db"] - row["compact_db"] for row in rows)
    checks = [
        at_most("largest loss", largest, LIMIT, " dB"),
        at_most("differing symbols", sum(row["differing"] for row in rows), 0, ""),
    ]
    result = {"photos": len(photos), "side": options.side, "rows": rows}
    return common.finish("compact", options, result=result, checks=checks, table=table_of(rows))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
