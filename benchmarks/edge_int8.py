"""Float graphs against int8 graphs of the same codec, both through the client: for benchmarks.edge.

Every photo is written by both encoders, and each file is decoded by both decoders: this separates the loss
of the analysis from the loss of the synthesis. The library reads each file too; no symbol may differ. BD-rate compares
mean curves over QUALITIES, where they overlap. Heads answer for validation pictures that their own client has encoded.
The answers of the library and of the int8 client about one file are compared too.

As a program it measures this alone, for graphs of which only some are int8 too.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.weights_ids import weights_ids
from heads.datasets import DataError, read_rgb
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from semcomp import config as configuration
from semcomp.edge import EdgeCodec
from semcomp.eval.curves import mean_curve, saving
from semcomp.imaging.metrics import psnr_db
from semcomp.imaging.picture import from_array
from semcomp.semantics.head import load_head
from semcomp.semantics.results import Labels, Segmentation

QUALITIES = (10, 30, 50, 70, 90)
HEAD_QUALITY = 50
BD_LIMIT = 2.0
"""Percent that int8 may cost."""
WAYS = {
    "float": ("float", "float"),
    "int8 encoder": ("int8", "float"),
    "int8 decoder": ("float", "int8"),
    "int8": ("int8", "int8"),
}
"""Who writes, who reads."""


def rates(codec: Any, clients: Mapping[str, EdgeCodec], photos: Sequence[Path], options: Any) -> dict[str, Any]:
    """Mean curves of every way, their BD-rate against float in percent, symbols that the library reads otherwise."""
    points: dict[str, list[list[dict[str, float | None]]]] = {name: [] for name in WAYS}
    differing = 0
    for path in common.progress(photos, total=len(photos), label="int8", options=options):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        decoded: dict[tuple[str, str], list[dict[str, float | None]]] = {way: [] for way in WAYS.values()}
        for writer, client in clients.items():
            picture = from_array(pixels)
            y = client.analyse(picture)
            for quality in QUALITIES:
                symbols = client.quantize(y, picture, quality=quality)
                data = client.pack(picture, symbols, quality=quality)
                read = codec.read_symbols(data)
                differing += int(np.count_nonzero(read.z != symbols.z) + np.count_nonzero(read.y != symbols.y))
                bpp = 8 * len(data) / (picture.width * picture.height)
                for reader, other in clients.items():
                    psnr = psnr_db(pixels, np.asarray(other.decode(data)))
                    decoded[writer, reader].append({"setting": quality, "bpp": bpp, "psnr_db": psnr})
        for name, way in WAYS.items():
            points[name].append(decoded[way])
    curves = {name: mean_curve(rows) for name, rows in points.items()}
    bd = {name: saving(curves["float"], curve, limits=None) for name, curve in curves.items() if name != "float"}
    return {"photos": len(photos), "differing": differing, "curves": curves, "bd_rate": bd}


class Agreement:
    """How far the answers of a client are from the library's, about the same files."""

    def __init__(self) -> None:
        self.same: list[float] = []
        """1 or 0 for an image with the same first label; for a segmented one the share of equal pixels"""
        self.apart: list[float] = []
        """Largest difference of a label's score in each image"""

    def add(self, expected: Labels | Segmentation, found: Labels | Segmentation) -> None:
        """Compare two answers about one file."""
        if isinstance(expected, Segmentation) and isinstance(found, Segmentation):
            self.same.append(float(np.mean(expected.label_map == found.label_map)))
            return
        assert isinstance(expected, Labels) and isinstance(found, Labels)
        self.same.append(float(expected.names[:1] == found.names[:1]))
        scores = dict(zip(found.names, found.scores, strict=True))
        both = [
            (score, scores[name]) for name, score in zip(expected.names, expected.scores, strict=True) if name in scores
        ]
        self.apart.append(max((abs(one - other) for one, other in both), default=0.0))

    def to_dict(self) -> dict[str, float]:
        """Return the agreement in percent, and the median and the largest of `apart`."""
        found = {"same": round(100 * float(np.mean(self.same)), 2)}
        if self.apart:
            found |= {"apart": round(float(np.median(self.apart)), 4), "most_apart": round(max(self.apart), 4)}
        return found


def recognition(
    codec: Any, clients: Mapping[str, EdgeCodec], pictures: int | None, options: Any
) -> dict[str, dict[str, Any]]:
    """Mean IoU or top-1 of every head that has a configuration and data here, and `Agreement`, all in percent."""
    found = {}
    for name in clients["int8"].heads:
        path = common.ROOT / "configs" / f"head_{name}.yaml"
        if name not in clients["float"].heads or not path.exists():
            continue
        config = configuration.load(FitConfig, path)
        try:
            dataset = find_dataset(config.task, replace(config.data, hold_out=None))
        except DataError:
            continue
        samples = common.spread(dataset.val, pictures or len(dataset.val))
        scores = {precision: dataset.new_score() for precision in clients}
        agreement, head = Agreement(), load_head(name)
        for sample in common.progress(samples, total=len(samples), label=name, options=options):
            pixels = read_rgb(sample.image)
            for precision, client in clients.items():
                data = client.encode(pixels, quality=HEAD_QUALITY)
                answer = client.heads[name](client.latents(data))
                scores[precision].add(answer, dataset.truth(sample))
                if precision == "int8":
                    agreement.add(head(codec.latents(data)), answer)
        found[name] = {
            "figure": dataset.score.figure,
            "pictures": len(samples),
            **{precision: score.percent for precision, score in scores.items()},
            **agreement.to_dict(),
        }
    return found


def sizes_of(client: EdgeCodec) -> dict[str, int]:
    """Bytes of each graph and of the tables."""
    graphs = {name: entry["bytes"] for name, entry in client.bundle.manifest["graphs"].items()}
    return {**graphs, "tables": client.bundle.manifest["tables"]["bytes"]}


def compare(
    codec: Any, clients: Mapping[str, EdgeCodec], photos: Sequence[Path], *, pictures: int | None, options: Any
) -> dict[str, Any]:
    """Everything but speed. `clients` are "float" and "int8"; `pictures` of each validation set, None: all."""
    sizes = {precision: sizes_of(client) for precision, client in clients.items()}
    shared = [name for name in sizes["float"] if name in sizes["int8"]]
    total = {precision: sum(each[name] for name in shared) for precision, each in sizes.items()}
    graphs = {name: [each[name] for each in sizes.values()] for name in shared}
    return {
        **rates(codec, clients, photos, options),
        "heads": recognition(codec, clients, pictures, options),
        "bytes": total,
        "graphs": graphs,
    }


def checks_of(found: dict[str, Any], rows: dict[str, Any]) -> list[Check]:
    """int8 is shipped where it is smaller, faster and as good."""
    times = {name: row["float_ms"] / row["int8_ms"] for name, row in rows.items() if name in ("encode", "decode")}
    return [
        at_most("symbols of int8 files that the library reads differently", found["differing"], 0, ""),
        at_most("BD-rate of int8 against float", found["bd_rate"]["int8"], BD_LIMIT, " %"),
        at_most("bytes of int8's graphs against float's", found["bytes"]["int8"] / found["bytes"]["float"], 0.8, ""),
        *(at_least(f"{name}, int8 times as fast as float", round(value, 3), 1, "") for name, value in times.items()),
    ]


def table_of(found: dict[str, Any]) -> str:
    """The result as text."""
    line = partial("  {:<34}{:>12}{:>12}".format)
    rows = [f"{found['photos']} photos through the client", line("", "float", "int8")]
    rows.append(line("bytes of the graphs", *(f"{size:,}" for size in found["bytes"].values())))
    changed = {name: sizes for name, sizes in found["graphs"].items() if sizes[0] != sizes[1]}
    rows += [line(f"  {name}", *(f"{size:,}" for size in sizes)) for name, sizes in changed.items()]
    for number, quality in enumerate(QUALITIES):
        for key, unit, form in (("bpp", "bpp", "{:.3f}"), ("psnr_db", "dB", "{:.2f}")):
            values = (form.format(found["curves"][way][key][number]) for way in ("float", "int8"))
            rows.append(line(f"quality {quality}, {unit}", *values))
    for name, head in found["heads"].items():
        what = f"{name}: {head['figure']}, {head['pictures']} pictures"
        rows.append(line(what, f"{head['float']:.2f}", f"{head['int8']:.2f}"))
        apart = f"; scores differ by {head['apart']:.3f}, at most {head['most_apart']:.3f}" if "apart" in head else ""
        rows.append(f"  answers as the library's: {head['same']:.2f} %{apart}")
    rows += ["", "  BD-rate against float, %: " + ", ".join(f"{k} {v:+.2f}" for k, v in found["bd_rate"].items())]
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; returns the exit status."""
    example = (
        "python -m benchmarks.edge_int8 data/val --int8 out/graphs --limit 12 --pictures 101 -o out/edge_int8.json"
    )
    parser = common.make_parser("edge_int8", __doc__, example)
    parser.add_argument("photos", nargs="*", type=Path, default=[Path("data/val")], help="default: data/val")
    parser.add_argument("--graphs", type=Path, default=Path("out/edge"), metavar="DIR", help="default: out/edge")
    parser.add_argument("--int8", type=Path, required=True, metavar="DIR", help="the same graphs, some of them int8")
    parser.add_argument("--limit", type=int, default=12, metavar="N", help="photos, evenly spaced (default: 12)")
    parser.add_argument("--pictures", type=int, metavar="N", help="images of each head's validation set (default: all)")
    options = parser.parse_args(arguments)
    codec = common.load_codec(options)
    clients = {name: EdgeCodec(path, threads=1) for name, path in (("float", options.graphs), ("int8", options.int8))}
    photos = common.spread(common.find_photos(options.photos), options.limit)
    found = compare(codec, clients, photos, pictures=options.pictures, options=options)
    result = {"model_id": codec.model_id.hex(), "int8": found}
    weights = weights_ids([options.model, *found["heads"]])
    table, checks = table_of(found), checks_of(found, {})
    return common.finish("edge_int8", options, result=result, checks=checks, table=table, weights=weights)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
