"""Rate and distortion of semcomp, JPEG, WebP, AVIF and JPEG 2000 on lossless photos, from real files.

Of each codec and quality: the mean over the photos of bits a pixel (every byte of the file) and of RGB PSNR. BD-rate
compares two such curves by pchip over log rate, from 26 to 38 dB. The rivals are Pillow's: JPEG 4:2:0 optimized, WebP
method 6, AVIF 4:2:0 at Pillow's speed, JPEG 2000 irreversible as a bare codestream.

With -o, photos that are already measured there (same photo, settings and weights) are not measured again.
"""

import argparse
import io
import itertools
import json
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, features

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from semcomp.container import ChunkKind, read
from semcomp.image import from_array
from semcomp.metrics import bd_rate, psnr_db

QUALITIES = (1, *range(5, 101, 5))
BD_RANGE_DB = (26.0, 38.0)
SAVE_EVERY = 10.0  # seconds

Row = list[float]
"""bytes of the file, PSNR in dB; of semcomp also bytes of the symbols, bits that the tables say"""


@dataclass(frozen=True)
class Rival:
    """A codec of Pillow's, and the settings its curve is made of."""

    name: str
    format: str
    settings: tuple[int, ...]
    options: Callable[[int], dict[str, Any]]
    feature: str

    def rows(self, pixels: np.ndarray) -> dict[str, Row]:
        """One row a setting."""
        return {str(setting): self._row(pixels, setting) for setting in self.settings}

    def _row(self, pixels: np.ndarray, setting: int) -> Row:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self.format, **self.options(setting))
        with Image.open(file) as decoded:
            return [len(file.getvalue()), psnr_db(pixels, np.asarray(decoded.convert("RGB")))]


RIVALS = (
    Rival("JPEG", "JPEG", (5, 8, 12, 18, 25, 35, 45, 55, 65, 75, 82, 88, 92, 95),
          lambda quality: {"quality": quality, "optimize": True, "subsampling": "4:2:0"}, "jpg"),
    Rival("WebP", "WEBP", (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 86, 90, 94, 97, 100),
          lambda quality: {"quality": quality, "method": 6}, "webp"),
    Rival("AVIF", "AVIF", (5, 15, 25, 35, 45, 55, 65, 75, 82, 88, 93, 97),
          lambda quality: {"quality": quality, "subsampling": "4:2:0", "max_threads": 1}, "avif"),
    Rival("JPEG 2000", "JPEG2000", tuple(range(22, 47, 2)),
          lambda db: {"irreversible": True, "mct": 1, "quality_mode": "dB", "quality_layers": [db],
                      "no_jp2": True}, "jpg_2000"),
)  # fmt: skip


def semcomp_rows(codec: Any, pixels: np.ndarray, qualities: Sequence[int]) -> dict[str, Row]:
    """One row a quality, of whole files that are decoded again; the analysis runs once."""
    picture = from_array(pixels)
    y = codec.analyse(picture)
    rows = {}
    for quality in qualities:
        symbols = codec.quantize(y, picture, quality=quality)
        data = codec.pack(picture, symbols, quality=quality)
        payload, release = len(read(data).get(ChunkKind.SYMBOLS) or b""), codec.release
        bits = release.tables_y.estimate_bits(symbols.y.ravel(), symbols.index.ravel())
        bits += release.tables_z.estimate_bits(symbols.z.ravel(), codec.coder.z_index(symbols.z.shape, quality=quality))
        rows[str(quality)] = [len(data), psnr_db(pixels, np.asarray(codec.decode(data))), payload, round(bits, 1)]
    return rows


def sizes_of_all_qualities(codec: Any, pixels: np.ndarray) -> dict[str, Row]:
    """Bytes alone, of every quality from 1 to 100."""
    picture = from_array(pixels)
    y = codec.analyse(picture)
    return {
        str(quality): [len(codec.pack(picture, codec.quantize(y, picture, quality=quality), quality=quality))]
        for quality in range(1, 101)
    }


class Results:
    """Rows by series and photo, kept in the file of -o while they are made."""

    def __init__(self, path: Path | None):
        self.path, self.saved = path, time.monotonic()
        self.rows: dict[str, dict[str, Any]] = {}
        if path and path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8")).get("rows", {})

    def measure(
        self, series: str, paths: dict[str, Path], rows_of: Callable[[np.ndarray], dict[str, Row]],
        options: argparse.Namespace,
    ) -> list[tuple[int, dict[str, Row]]]:  # fmt: skip
        """(pixels, rows) of each photo; photos run side by side, each on one thread."""
        known = self.rows.setdefault(series, {})
        missing = [name for name in paths if name not in known]

        def one(name: str) -> dict[str, Any]:
            with Image.open(paths[name]) as image:
                pixels = np.array(image.convert("RGB"))
            return {"pixels": pixels.shape[0] * pixels.shape[1], "rows": rows_of(pixels)}

        pool = ThreadPoolExecutor(options.threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            done = pool.map(one, missing)
            bar = common.progress(done, total=len(missing), label=series.split(",")[0], options=options)
            for name, measured in zip(missing, bar, strict=True):
                known[name] = measured
                if self.path and time.monotonic() - self.saved > SAVE_EVERY:
                    common.write_json(self.path, {"rows": self.rows})
                    self.saved = time.monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
        return [(known[name]["pixels"], known[name]["rows"]) for name in paths]


def mean_curve(measured: list[tuple[int, dict[str, Row]]]) -> dict[str, list[float]]:
    """Mean bpp and mean PSNR at each setting."""
    settings = list(measured[0][1])
    bpp = [float(np.mean([8 * rows[s][0] / pixels for pixels, rows in measured])) for s in settings]
    db = [float(np.mean([rows[s][1] for _, rows in measured])) for s in settings]
    curve = {"bpp": np.round(bpp, 5).tolist(), "psnr_db": np.round(db, 4).tolist()}
    return {"setting": [int(s) for s in settings], **curve}


def saving(anchor: dict[str, list[float]], curve: dict[str, list[float]]) -> float | None:
    """BD-rate in percent, None where the curves do not overlap."""
    points = [points for c in (anchor, curve) for points in _rising(c)]
    try:
        return round(bd_rate(*points, low_db=BD_RANGE_DB[0], high_db=BD_RANGE_DB[1]), 2)
    except ValueError:
        return None


def _rising(curve: dict[str, list[float]]) -> tuple[list[float], list[float]]:
    """(bpp, dB) without points that cost more and are no better: two settings of a codec can be one."""
    kept: list[tuple[float, float]] = []
    for bpp, db in sorted(zip(curve["bpp"], curve["psnr_db"], strict=True)):
        if not kept or (db > kept[-1][1] and bpp > kept[-1][0]):
            kept.append((bpp, db))
    return [bpp for bpp, _ in kept], [db for _, db in kept]


def checks_of(
    curves: dict[str, Any], bd: dict[str, Any], ours: list[tuple[int, dict[str, Row]]], steps: list[dict[str, Row]],
    options: argparse.Namespace,
) -> list[Check]:  # fmt: skip
    """What the files must keep to."""
    curve = curves["semcomp"]
    rows = [row for _, by_quality in ours for row in by_quality.values()]
    sizes = [[row[0] for row in by_quality.values()] for by_quality in steps]
    wrong = sum(b <= a for size in sizes for a, b in itertools.pairwise(size))
    off = [100 * abs(8 * payload / bits - 1) for _, _, payload, bits in rows]
    total = 100 * abs(8 * sum(row[2] for row in rows) / sum(row[3] for row in rows) - 1)
    checks = [
        at_most("BD-rate against JPEG", bd["semcomp"].get("JPEG"), options.bd_limit, " %"),
        at_most("mean bpp at quality 1", curve["bpp"][0], 0.08, ""),
        at_least("mean PSNR at quality 100", curve["psnr_db"][-1], 38, " dB"),
        at_most("payload against likelihood, worst file", round(max(off), 4), 1, " %"),
        at_most("payload against likelihood, all files", round(total, 4), 1, " %"),
        at_most("bytes besides the symbols, worst file", max(row[0] - row[2] for row in rows), 64, " B"),
    ]
    if steps:
        name = f"steps of quality that do not grow the file, 99 x {len(steps)} photos"
        checks.append(at_most(name, wrong, 0, ""))
    return checks


def table_of(curves: dict[str, Any], bd: dict[str, dict[str, float | None]], photos: int) -> str:
    """Curves and BD-rates as text."""
    lines = [f"{photos} photos; means of bpp and RGB PSNR", ""]
    for name, curve in curves.items():
        for row, label in (("setting", name), ("bpp", "bpp"), ("psnr_db", "dB")):
            form = "{:>7d}" if row == "setting" else "{:>7.3f}" if row == "bpp" else "{:>7.2f}"
            lines.append(f"{label:<10}" + "".join(form.format(value) for value in curve[row]))
        lines.append("")
    lines.append(f"BD-rate in %, {BD_RANGE_DB[0]:g} to {BD_RANGE_DB[1]:g} dB; negative: smaller files")
    anchors = [name for name in curves if name != "semcomp"]
    lines.append(" " * 10 + "".join(f"{'vs ' + anchor:>14}" for anchor in anchors))
    for name, against in bd.items():
        values = ["" if against.get(a) is None else f"{against[a]:+.1f}" for a in anchors]
        lines.append(f"{name:<10}" + "".join(f"{value:>14}" for value in values))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser(
        "rate", __doc__, "python -m benchmarks.rate data/val -o out/rate.json --plot out/rate.png --monotone 3"
    )
    parser.add_argument("photos", nargs="+", help="folders or files of lossless photos")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES, help="default: 1 5 10 .. 100")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N photos")
    parser.add_argument("--monotone", type=int, default=0, metavar="N", help="also all 100 qualities of N photos")
    parser.add_argument("--bd-limit", type=float, default=-53.0, metavar="PERCENT", help="against JPEG (default: -53)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the curves")
    parser.add_argument("--threads", type=int, default=2, help="photos at a time (default: 2)")
    options = parser.parse_args(arguments)

    paths = common.find_photos(options.photos)
    paths = common.spread(paths, options.limit or len(paths))
    named = {f"{path.parent.name}/{path.name} {zlib.crc32(path.read_bytes()):08x}": path for path in paths}
    codec = common.load_codec(options)
    results = Results(options.output)
    qualities = sorted(set(options.qualities))
    model = codec.model_id.hex()
    ours = results.measure(
        f"semcomp, {model}, {qualities}", named, lambda pixels: semcomp_rows(codec, pixels, qualities), options
    )
    curves = {"semcomp": mean_curve(ours)}
    rivals = [rival for rival in RIVALS if rival.feature == "jpg" or features.check(rival.feature)]
    for rival in rivals:
        settings = [rival.options(setting) for setting in rival.settings]
        curves[rival.name] = mean_curve(results.measure(f"{rival.name}, {settings}", named, rival.rows, options))
    few = dict(common.spread(list(named.items()), options.monotone)) if options.monotone else {}
    steps = results.measure(f"sizes, {model}", few, lambda pixels: sizes_of_all_qualities(codec, pixels), options)

    bd = {
        name: {other: saving(curves[other], curve) for other in curves if other not in (name, "semcomp")}
        for name, curve in curves.items()
        if name != "JPEG"
    }
    checks = checks_of(curves, bd, ours, [rows for _, rows in steps], options)
    if options.plot:
        from benchmarks.plot import draw

        draw(curves, bd, photos=len(named), path=options.plot)
    result = {"model": codec.name, "model_id": model, "photos": len(named), "curves": curves, "bd_rate": bd}
    return common.finish(
        "rate", options, result=result, checks=checks, table=table_of(curves, bd, len(named)),
        unseen={"rows": results.rows},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(common.guarded(main))
