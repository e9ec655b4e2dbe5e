"""Rate and distortion of semcomp, JPEG, WebP, AVIF and JPEG 2000 on lossless photos, from real files.

Of each codec and quality: the mean over the photos of bits a pixel (every byte of the file) and of RGB PSNR. BD-rate
compares two such curves by pchip over log rate, from 26 to 38 dB. The rivals are Pillow's: JPEG 4:2:0 optimized, WebP
method 6, AVIF 4:2:0 at Pillow's speed and 4:4:4 at speed 3, JPEG 2000 irreversible as a bare codestream.

--effort encodes with another effort than the default one, which its own rows in the file of -o keep apart.

--ssimulacra2 adds that metric, which is slow, and BD-rates by it. --without leaves rivals out: AVIF at speed 3 is slow.

With -o, photos that are already measured there (same photo, settings and weights) are not measured again.
"""

import argparse
import itertools
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from semcomp.bitstream.container import ChunkKind, read
from semcomp.eval.classical import AVIF_SLOW, PILLOW, PillowCodec
from semcomp.eval.curves import BD_RANGE_DB, Curve, mean_curve, saving
from semcomp.eval.measure import ssimulacra2_score
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.pipeline.effort import DEFAULT_EFFORT, EFFORTS

QUALITIES = (1, *range(5, 101, 5))
SAVE_EVERY = 10.0  # seconds
STATE_BITS = 32
"""What the coder writes of its state at the end of the symbols, whatever they are."""

Score = Callable[[NDArray[Any], NDArray[Any]], float]
Row = list[float]
"""Bytes of the file and PSNR in dB; for semcomp bytes of the symbols and bits by the tables; SSIMULACRA2 if wanted."""

RIVALS = (*PILLOW, AVIF_SLOW)


def rival_rows(rival: PillowCodec, score: Score | None, pixels: NDArray[np.uint8]) -> dict[str, Row]:
    """One row a setting."""
    rows = {}
    for setting in rival.settings:
        data = rival.encode(pixels, setting)
        decoded = rival.decode(data)
        rows[str(setting)] = [len(data), psnr_db(pixels, decoded), *_scores(score, pixels, decoded)]
    return rows


def _scores(score: Score | None, pixels: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> Row:
    return [] if score is None else [round(score(pixels, decoded), 4)]


def semcomp_rows(
    codec: Any, qualities: Sequence[int], score: Score | None, effort: int, pixels: NDArray[np.uint8]
) -> dict[str, Row]:
    """One row a quality, of whole files that are decoded again."""
    rows = {}
    for quality, data in files_of(codec, qualities, effort, pixels):
        symbols = codec.read_symbols(data)
        payload, release = len(read(data).get(ChunkKind.SYMBOLS) or b""), codec.release
        bits = release.tables_y.estimate_bits(symbols.y.ravel(), symbols.index.ravel())
        bits += release.tables_z.estimate_bits(symbols.z.ravel(), codec.coder.z_index(symbols.z.shape, quality=quality))
        decoded = np.asarray(codec.decode(data))
        figures = [len(data), psnr_db(pixels, decoded), payload, round(bits, 1)]
        rows[str(quality)] = [*figures, *_scores(score, pixels, decoded)]
    return rows


def sizes_of_all_qualities(codec: Any, effort: int, pixels: NDArray[np.uint8]) -> dict[str, Row]:
    """Bytes alone, of every quality from 1 to 100."""
    return {str(quality): [len(data)] for quality, data in files_of(codec, range(1, 101), effort, pixels)}


def files_of(
    codec: Any, qualities: Iterable[int], effort: int, pixels: NDArray[np.uint8]
) -> Iterator[tuple[int, bytes]]:
    """The file of every quality, as `codec.encode` writes it. At the default effort the analysis runs once for all."""
    picture = from_array(pixels)
    y = codec.analyse(picture)
    for quality in qualities:
        if effort == DEFAULT_EFFORT:
            yield quality, codec.pack(picture, codec.quantize(y, picture, quality=quality), quality=quality)
        else:
            yield quality, codec.encode(pixels, quality=quality, effort=effort)


class Results:
    """Rows by series and photo, kept in the file of -o while they are made."""

    def __init__(self, path: Path | None):
        self.path, self.saved = path, time.monotonic()
        self.rows: dict[str, dict[str, Any]] = {}
        if path and path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8")).get("rows", {})

    def measure(
        self,
        series: str,
        paths: dict[str, Path],
        rows_of: Callable[[NDArray[np.uint8]], dict[str, Row]],
        options: argparse.Namespace,
    ) -> list[tuple[int, dict[str, Row]]]:
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


def curve_of(measured: list[tuple[int, dict[str, Row]]], *, scored: bool = False) -> Curve:
    """Mean bpp and mean PSNR at each setting, and mean SSIMULACRA2 if the rows are `scored`."""

    def point(setting: str, row: Row, pixels: int) -> dict[str, float | None]:
        figures: dict[str, float | None] = {"setting": int(setting), "bpp": 8 * row[0] / pixels, "psnr_db": row[1]}
        return figures | ({"ssimulacra2": row[-1]} if scored else {})

    return mean_curve([[point(s, row, pixels) for s, row in rows.items()] for pixels, rows in measured])


def bd_rates(curves: dict[str, Curve], metric: str = "psnr_db") -> dict[str, dict[str, float | None]]:
    """BD-rate of every codec against every rival."""
    return {
        name: {
            other: saving_or_none(curves[other], curve, metric) for other in curves if other not in (name, "semcomp")
        }
        for name, curve in curves.items()
        if name != "JPEG"
    }


def saving_or_none(anchor: Curve, curve: Curve, metric: str = "psnr_db") -> float | None:
    """BD-rate in percent, None where the curves do not overlap."""
    try:
        return saving(anchor, curve, metric=metric, limits=BD_RANGE_DB if metric == "psnr_db" else None)
    except ValueError:
        return None


def checks_of(
    curves: dict[str, Any],
    bd: dict[str, Any],
    ours: list[tuple[int, dict[str, Row]]],
    steps: list[dict[str, Row]],
    options: argparse.Namespace,
) -> list[Check]:
    """What the files must keep to."""
    curve = curves["semcomp"]
    rows = [row for _, by_quality in ours for row in by_quality.values()]
    sizes = [[row[0] for row in by_quality.values()] for by_quality in steps]
    wrong = sum(b <= a for size in sizes for a, b in itertools.pairwise(size))
    off = [100 * abs((8 * row[2] - STATE_BITS) / row[3] - 1) for row in rows]
    total = 100 * abs(8 * sum(row[2] for row in rows) / sum(row[3] for row in rows) - 1)
    checks = [
        at_most("BD-rate against JPEG", bd["semcomp"].get("JPEG"), options.bd_limit, " %"),
        at_most("mean bpp at quality 1", curve["bpp"][0], 0.05, ""),
        at_least("mean PSNR at quality 100", curve["psnr_db"][-1], 41, " dB"),
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
        for row, label in (("setting", name), ("bpp", "bpp"), ("psnr_db", "dB"), ("ssimulacra2", "SSIM2")):
            if row not in curve:
                continue
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
    parser.add_argument("--bd-limit", type=float, default=-61.0, metavar="PERCENT", help="against JPEG (default: -61)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the curves")
    parser.add_argument("--ssimulacra2", action="store_true", help="measure SSIMULACRA2 too")
    parser.add_argument("--without", nargs="+", default=[], metavar="LABEL", help="rivals to leave out, such as WebP")
    parser.add_argument(
        "--effort", type=int, choices=sorted(EFFORTS), default=DEFAULT_EFFORT, help="of semcomp (default: 5)"
    )
    parser.add_argument("--threads", type=int, default=2, help="photos at a time (default: 2)")
    options = parser.parse_args(arguments)

    paths = common.find_photos(options.photos)
    paths = common.spread(paths, options.limit or len(paths))
    named = {f"{path.parent.name}/{path.name} {zlib.crc32(path.read_bytes()):08x}": path for path in paths}
    codec = common.load_codec(options)
    results = Results(options.output)
    qualities = sorted(set(options.qualities))
    model = codec.model_id.hex()
    scored = options.ssimulacra2
    score, suffix = (ssimulacra2_score(), ", SSIMULACRA2") if scored else (None, "")
    tried = "" if options.effort == DEFAULT_EFFORT else f", effort {options.effort}"  # earlier rows have effort 5
    series, rows_of = f"semcomp, {model}, {qualities}{suffix}{tried}", partial(semcomp_rows, codec, qualities, score)
    ours = results.measure(series, named, partial(rows_of, options.effort), options)
    curves = {"semcomp": curve_of(ours, scored=scored)}
    for rival in [rival for rival in RIVALS if rival.available and rival.label not in options.without]:
        series = f"{rival.label}, {dict(rival.options)}, {rival.settings}{suffix}"
        measured = results.measure(series, named, partial(rival_rows, rival, score), options)
        curves[rival.label] = curve_of(measured, scored=scored)
    few = dict(common.spread(list(named.items()), options.monotone)) if options.monotone else {}
    sizes_of = partial(sizes_of_all_qualities, codec, options.effort)
    steps = results.measure(f"sizes, {model}{tried}", few, sizes_of, options)

    bd = bd_rates(curves)
    checks = checks_of(curves, bd, ours, [rows for _, rows in steps], options)
    if options.plot:
        from semcomp.eval.plot import Chart, draw

        title = f"Mean over {len(named)} lossless photos; in brackets, bytes at equal PSNR against JPEG"
        draw(Chart(curves=curves, bd=bd, title=title, footer=f"model {model}"), options.plot)
    result = {"model": codec.name, "model_id": model, "photos": len(named), "effort": options.effort}
    result |= {"curves": curves, "bd_rate": bd}
    if scored:
        result["bd_rate_ssimulacra2"] = bd_rates(curves, "ssimulacra2")
    return common.finish(
        "rate",
        options,
        result=result,
        checks=checks,
        table=table_of(curves, bd, len(named)),
        unseen={"rows": results.rows},
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
