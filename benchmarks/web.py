"""The browser client in Chromium: symbols beside the library and onnxruntime, the time of a photo, and a large one.

Every photo is written at every quality by the library and by the page. Every file is then read by the library, by
onnxruntime (semcomp.edge) and in Chromium, and every differing symbol and table number is counted; there must be none.
A photo of 768 x 512 pixels is encoded and decoded for the clock, after two rounds that warm up; one of 12
megapixels has to work, or be refused in words.

Needs Chromium, node, the modules of examples/web (make bench-web) and the graphs:
semcomp export onnx -o out/edge --generators all
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.codec.self_test import QUALITIES
from semcomp.edge import EdgeCodec
from semcomp.errors import SemcompError
from semcomp.types import Symbols

WEB = common.ROOT / "examples" / "web"
ENCODE_LIMIT, DECODE_LIMIT = 2000, 1000  # milliseconds
LARGE = (4000, 3000)
TOO_LARGE = (20000, 8000)
READERS = ("library", "onnxruntime", "Chromium")
WARM_UP = 2


def node(*arguments: str | Path) -> str:
    """What a script of examples/web says. SemcompError where it fails."""
    done = subprocess.run(["node", *map(str, arguments)], cwd=WEB, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        raise SemcompError(f"node {arguments[0]} failed ({done.stderr.strip()[-800:]}); install with make test-web")
    return done.stdout


class Browser:
    """Jobs for a browser, chromium or firefox, run at once, and what came of each."""

    def __init__(self, graphs: Path, folder: Path, *, name: str = "chromium") -> None:
        self.graphs, self.folder, self.name, self.jobs = graphs, folder, name, list[dict[str, Any]]()

    def add(self, name: str, **job: Any) -> str:
        self.jobs.append({**job, "save": name})
        return name

    def photo(self, name: str, pixels: NDArray[np.uint8], quality: int, **options: Any) -> str:
        """A job that encodes uint8 (H, W, 3)."""
        height, width = pixels.shape[:2]
        return self.add(
            name,
            do="encode",
            pixels=str(self.pixels(pixels, name.split(" ")[0])),
            width=width,
            height=height,
            quality=quality,
            **options,
        )

    def file(self, name: str, data: bytes, **options: Any) -> str:
        """A job that opens a file."""
        path = self.folder / f"{name}.in"
        path.write_bytes(data)
        return self.add(name, do="open", file=str(path), **options)

    def pixels(self, pixels: NDArray[np.uint8], name: str) -> Path:
        path = self.folder / f"{name}.pixels"
        if not path.exists():
            opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            path.write_bytes(np.concatenate([pixels, opaque], 2).tobytes())
        return path

    def run(self) -> dict[str, Any]:
        """The result of examples/web/tests/drive.mjs; rows by name."""
        path = self.folder / "jobs.json"
        path.write_text(json.dumps(self.jobs), encoding="utf-8")
        result = json.loads(node("tests/drive.mjs", self.graphs, path, self.folder, self.name))
        names = [job["save"] for job in self.jobs]
        self.jobs = []
        return {**result, "rows": dict(zip(names, result["rows"], strict=True))}

    def saved(self, name: str, end: str, dtype: str) -> NDArray[np.uint8]:
        return np.fromfile(self.folder / f"{name}.{end}", dtype)


def differing(browser: Browser, name: str, symbols: Symbols) -> int:
    """Elements of z, y and the table numbers that the browser had otherwise."""
    count = 0
    for end, dtype, expected in (("z", "<i2", symbols.z), ("y", "<i2", symbols.y), ("index", "i1", symbols.index)):
        found = browser.saved(name, end, dtype)
        count += int(np.count_nonzero(found != expected.ravel())) if found.size == expected.size else expected.size
    return count


def between(a: Symbols, b: Symbols) -> int:
    return sum(int(np.count_nonzero(x != y)) for x, y in ((a.z, b.z), (a.y, b.y), (a.index, b.index)))


def exactness(
    codec: Any, edge: EdgeCodec, paths: list[Path], qualities: list[int], graphs: Path, options: Any
) -> dict[str, Any]:
    """Differing symbols of each reader over all files, against what the writer had; bytes of both writers."""
    tally, size, files = dict.fromkeys(READERS, 0), {"library": 0, "Chromium": 0}, 0
    for path in common.progress(paths, total=len(paths), label="web", options=options):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        with tempfile.TemporaryDirectory() as folder:
            browser, own = Browser(graphs, Path(folder)), {}
            for quality in qualities:
                own[quality] = codec.encode(pixels, quality=quality)
                browser.file(f"read {quality}", own[quality])
                browser.photo(f"photo {quality}", pixels, quality)
            rows = browser.run()["rows"]
            for quality, data in own.items():
                theirs, files = f"photo {quality}", files + 2
                if failed := [rows[name]["error"] for name in (theirs, f"read {quality}") if "error" in rows[name]]:
                    raise SemcompError(f"{path.name}, quality {quality}: {failed[0]['message']}")
                written = (browser.folder / f"{theirs}.semc").read_bytes()
                size["library"] += len(data)
                size["Chromium"] += len(written)
                symbols = codec.read_symbols(data)
                tally["onnxruntime"] += between(edge.read_symbols(data), symbols)
                tally["Chromium"] += differing(browser, f"read {quality}", symbols)
                for reader, each in (("library", codec), ("onnxruntime", edge)):
                    tally[reader] += differing(browser, theirs, each.read_symbols(written))
    return {"differing": tally, "files": files, "bytes": size}


def median(rows: list[dict[str, Any]], key: str) -> float:
    """Medians of the rounds after warming up."""
    return float(np.median([row[key] for row in rows[WARM_UP:]]))


def speed(codec: Any, graphs: Path, size: tuple[int, int], repeats: int) -> dict[str, Any]:
    """Medians in ms of a photo: encoding from pixels, decoding from bytes, and each step; what Chromium had for it."""
    pixels = common.picture_of_size(common.PHOTO, *size)
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(graphs, Path(folder))
        browser.photo("photo 50", pixels, 50, repeat=repeats + WARM_UP)
        browser.file("read 50", codec.encode(pixels, quality=50), decode=True, repeat=repeats + WARM_UP)
        result = browser.run()
    rows = {name: result["rows"][f"{row} 50"]["timings"] for name, row in (("encode", "photo"), ("decode", "read"))}
    steps = {}
    for times in rows.values():
        for call in times[0].keys() - {"wall"}:
            for step in times[0][call]:
                if step not in ("download", "total"):
                    steps[f"{call}: {step}"] = median([row[call] for row in times], step)
    return {
        "encode_ms": median(rows["encode"], "wall"),
        "decode_ms": median(rows["decode"], "wall"),
        "steps_ms": steps,
        "threads": result["facts"]["threads"],
        "simd": result["facts"]["simd"],
        "browser": result["browser"],
    }


def large(graphs: Path, size: tuple[int, int]) -> dict[str, Any]:
    """A large picture, and one beyond every limit: what came of them."""
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(graphs, Path(folder))
        browser.photo("large 50", common.picture_of_size(common.PHOTO, *size), 50)
        browser.photo("giant 50", np.zeros((8, 8, 3), np.uint8), 50)
        browser.jobs[-1] |= {"width": TOO_LARGE[0], "height": TOO_LARGE[1]}  # refused before a pixel is looked at
        rows = browser.run()["rows"]
        path = Path(folder) / "large 50.semc"
        if path.exists():
            browser.file("again", path.read_bytes(), decode=True)
            rows |= browser.run()["rows"]
    return {name.split(" ")[0]: outcome(row) for name, row in rows.items()}


def outcome(row: dict[str, Any]) -> dict[str, Any]:
    """In words and numbers."""
    if "error" in row:
        return {"refused": row["error"]["kind"] is not None, "message": row["error"]["message"]}
    return {"refused": False, "ms": row["timings"][0]["wall"], "peak_bytes": row["peak"], "facts": row["facts"]}


def table_of(exact: dict[str, Any], times: dict[str, Any], big: dict[str, Any], what: str) -> str:
    """The result as text."""
    lines = [what, "", "differing symbols and table numbers"]
    lines += [f"  {name:<20}{count:>10,}" for name, count in exact["differing"].items()]
    lines += ["", f"{'ms, medians':<36}", f"  {'encode':<34}{times['encode_ms']:>8.0f}"]
    lines += [f"  {'decode':<34}{times['decode_ms']:>8.0f}"]
    lines += [f"    {step:<32}{value:>8.0f}" for step, value in times["steps_ms"].items()]
    lines.append("")
    for name, row in big.items():
        shown = row.get("message") or f"{row['ms'] / 1000:.1f} s, {row['peak_bytes'] / 1e6:,.0f} MB at most"
        lines.append(f"  {name:<8}{shown}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("web", __doc__, "python -m benchmarks.web data/val -o out/web.json")
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--count", type=int, default=20, help="photos, evenly spaced over all (default: 20)")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 13 50 87 100")
    parser.add_argument("--size", type=int, nargs=2, default=(768, 512), metavar=("W", "H"), help="default: 768 512")
    parser.add_argument("--repeats", type=int, default=10, help="of every timing (default: 10)")
    parser.add_argument("--large", type=int, nargs=2, default=LARGE, metavar=("W", "H"), help="default: 4000 3000")
    parser.add_argument("--skip-large", action="store_true", help="leave the large picture out")
    options = parser.parse_args(arguments)

    node("build.mjs")
    graphs = options.graphs.resolve()
    codec, edge = common.load_codec(options), EdgeCodec(graphs)
    paths = common.spread(common.find_photos(options.photos), options.count)
    exact = exactness(codec, edge, paths, list(options.qualities), graphs, options)
    times = speed(codec, graphs, tuple(options.size), options.repeats)
    big = {} if options.skip_large else large(graphs, tuple(options.large))
    width, height = options.size
    threads = f"{times['threads']} threads, SIMD {'on' if times['simd'] else 'off'}"
    checks = [
        at_most(f"differing symbols over {exact['files']} files", sum(exact["differing"].values()), 0, ""),
        at_most(f"encode {width}x{height}, {threads}", times["encode_ms"], ENCODE_LIMIT, " ms"),
        at_most(f"decode {width}x{height}, {threads}", times["decode_ms"], DECODE_LIMIT, " ms"),
        at_most(
            "bytes of the page's files against the library's, percent more",
            100 * (exact["bytes"]["Chromium"] / exact["bytes"]["library"] - 1),
            0.5,
            "",
        ),
    ]
    if big:
        good = [row["refused"] or "ms" in row for row in big.values()]
        checks.append(at_least("large pictures that worked or were refused in words", sum(good), len(good), ""))
    what = f"{len(paths)} photos x {len(options.qualities)} qualities, Chromium {times['browser']}"
    result = {
        "model": codec.name,
        "model_id": codec.model_id.hex(),
        "photos": len(paths),
        "size": list(options.size),
        "qualities": list(options.qualities),
        **exact,
        "speed": times,
        "large": big,
        "large_size": list(options.large),
    }
    return common.finish("web", options, result=result, checks=checks, table=table_of(exact, times, big, what))


if __name__ == "__main__":
    sys.exit(common.guarded(main))
