"""Symbols of the library, of the client without torch, and of the npm package in two browsers: they must be equal.

Each photo is encoded at each quality by the library and by every browser. Every reader reads every file, and each
symbol of z and y and each table number that differs from the library's is counted. A missing browser is named.

Needs node, the modules of examples/web, and graphs: make bench-web-symbols
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from benchmarks.web import Browser, between, differing, node
from semcomp.codec.self_test import QUALITIES
from semcomp.edge import EdgeCodec
from semcomp.errors import SemcompError

COMMANDS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "firefox": ("firefox-esr", "firefox")}
CLIENT = "semcomp.edge"


def is_installed(browser: str) -> bool:
    """Whether the system has a browser, or CHROMIUM or FIREFOX of the environment names one."""
    return bool(os.environ.get(browser.upper())) or any(map(shutil.which, COMMANDS[browser]))


def middle(path: Path, side: int) -> NDArray[np.uint8]:
    """The middle of a photo, at most side x side pixels."""
    with Image.open(path) as image:
        width, height = image.size
        left, top = max(0, width - side) // 2, max(0, height - side) // 2
        return np.array(image.convert("RGB").crop((left, top, min(width, left + side), min(height, top + side))))


def written_by(browser: Browser, photos: dict[str, NDArray[np.uint8]], qualities: list[int]) -> dict[str, bytes]:
    """The files that a browser makes of photos, by "PHOTO QUALITY"."""
    names = [
        browser.photo(f"{name} {quality} photo", pixels, quality)
        for name, pixels in photos.items()
        for quality in qualities
    ]
    rows = browser.run()["rows"]
    for name in names:
        if "error" in rows[name]:
            raise SemcompError(f"{browser.name}, {name}: {rows[name]['error']['message']}")
    return {name.removesuffix(" photo"): (browser.folder / f"{name}.semc").read_bytes() for name in names}


def read_by(browser: Browser, files: dict[str, bytes], codec: Any) -> tuple[int, int]:
    """(symbols, those that differ from the library's) of files that a browser opens."""
    for name, data in files.items():
        browser.file(name, data)
    rows = browser.run()["rows"]
    total = wrong = 0
    for name, data in files.items():
        if "error" in rows[name]:
            raise SemcompError(f"{browser.name}, {name}: {rows[name]['error']['message']}")
        symbols = codec.read_symbols(data)
        total += symbols.y.size + symbols.z.size
        wrong += differing(browser, name, symbols)
    return total, wrong


def compare(codec: Any, edge: EdgeCodec, browsers: list[Browser], options: Any) -> list[dict[str, Any]]:
    """One row for each writer and reader: files, symbols, differing ones."""
    paths = common.spread(common.find_photos(options.photos), options.count)
    photos = {f"photo{number}": middle(path, options.side) for number, path in enumerate(paths)}
    qualities = list(options.qualities)
    files = {
        "library": {
            f"{name} {quality}": codec.encode(pixels, quality=quality)
            for name, pixels in photos.items()
            for quality in qualities
        }
    }
    for browser in browsers:
        files[browser.name] = written_by(browser, photos, qualities)
    rows = []
    for writer, made in files.items():
        symbols = {name: codec.read_symbols(data) for name, data in made.items()}
        total = sum(each.y.size + each.z.size for each in symbols.values())
        wrong = sum(between(edge.read_symbols(data), symbols[name]) for name, data in made.items())
        rows.append({"writer": writer, "reader": CLIENT, "files": len(made), "symbols": total, "differing": wrong})
        for browser in browsers:
            total, wrong = read_by(browser, made, codec)
            rows.append(
                {"writer": writer, "reader": browser.name, "files": len(made), "symbols": total} | {"differing": wrong}
            )
    return rows


def table_of(rows: list[dict[str, Any]], left_out: list[str]) -> str:
    """The result as text."""
    lines = [f"{'written by':<14}{'read by':<16}{'files':>6}{'symbols':>14}{'differing':>11}"]
    lines += [
        f"{row['writer']:<14}{row['reader']:<16}{row['files']:>6}{row['symbols']:>14,}{row['differing']:>11}"
        for row in rows
    ]
    return "\n".join([*lines, *(f"{name} is not installed and was left out" for name in left_out)])


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser(
        "web_symbols", __doc__, "python -m benchmarks.web_symbols data/val -o out/web_symbols.json"
    )
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--count", type=int, default=20, help="photos, evenly spaced over all (default: 20)")
    parser.add_argument("--side", type=int, default=4096, help="pixels of the middle of a photo (default: 4096)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    parser.add_argument("--browsers", nargs="+", choices=list(COMMANDS), default=list(COMMANDS), help="default: both")
    options = parser.parse_args(arguments)

    node("build.mjs")
    graphs = options.graphs.resolve()
    codec, edge = common.load_codec(options), EdgeCodec(graphs)
    there = [name for name in options.browsers if is_installed(name)]
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(codec, edge, [Browser(graphs, Path(folder), name=name) for name in there], options)
    left_out = [name for name in options.browsers if name not in there]
    checks = [
        at_most("differing symbols and table numbers", sum(row["differing"] for row in rows), 0, ""),
        at_least("browsers", len(there), 1, ""),
    ]
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "side": options.side,
        "rows": rows,
        "left_out": left_out,
    }
    return common.finish("web_symbols", options, result=result, checks=checks, table=table_of(rows, left_out))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
