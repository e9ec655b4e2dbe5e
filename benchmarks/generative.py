"""The generator beside the faithful decoder, JPEG, WebP and AVIF at equal bytes, below a tenth of a bit a pixel.

Every picture is a real file. Global: the generator's files set the sizes; the faithful decoder gets the same bytes, and
Pillow's codecs the quality whose file comes nearest (their smallest file may be larger: bpp is printed). Judged by a
kernel distance (realism.py) and by what a pixel segmentation network, which was in no loss, still finds (mean IoU).
Selective: the bytes of files that keep some classes, and PSNR inside what was asked for, beside files that keep all.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.realism import Features, kernel_distance
from heads.data import Dataset, Sample, find_dataset, read_rgb
from heads.evaluate import answer_of, quality_for
from heads.file import NetworkHead, read_head
from heads.fit import FitConfig
from heads.score import Score
from semcomp import config as configuration
from semcomp.compare import RIVALS, rival_at_size
from semcomp.container import read
from semcomp.errors import ImageError, SemcompError, TargetError
from semcomp.generative import Request
from semcomp.generators import load_generator
from semcomp.keepmask import class_numbers
from semcomp.metrics import psnr_db
from semcomp.payload import read_segmentation
from semcomp.semantics import load_head

KEPT = ("pedestrian", "car", "bicyclist", "signsymbol")
SHOWN = 10
"""Pictures on each contact sheet."""
COLUMNS = ("original", "generator", "faithful", "AVIF")


@dataclass
class Method:
    """What one way of storing the pictures gave, picture by picture."""

    score: Score
    bpp: list[float] = field(default_factory=list)
    psnr_db: list[float] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)

    def row(self, originals: Sequence[np.ndarray]) -> dict[str, Any]:
        """The figures of all pictures."""
        mean_db = float(np.mean(self.psnr_db))
        row: dict[str, Any] = {
            "bpp": round(float(np.mean(self.bpp)), 4), "psnr_db": round(mean_db, 2) if np.isfinite(mean_db) else None,
            "miou": self.score.percent,
        }  # fmt: skip
        if self.features:
            value, error = kernel_distance(np.concatenate(self.features), np.concatenate(originals))
            row |= {"kid": round(value, 5), "kid_error": round(error, 5)}
        return row


class Judges:
    """The two networks that look at decoded pictures."""

    def __init__(self, segmenter: NetworkHead, features: Features | None):
        self.segmenter, self.features = segmenter, features

    def look(self, method: Method, truth: np.ndarray, original: np.ndarray, decoded: np.ndarray, size: int) -> None:
        """Add one picture whose file has `size` bytes."""
        method.bpp.append(8 * size / (original.shape[0] * original.shape[1]))
        method.psnr_db.append(psnr_db(original, decoded))
        method.score.add(answer_of(self.segmenter, decoded), truth)
        if self.features is not None:
            method.features.append(self.features.of(decoded))


def global_rows(
    codec: Any, dataset: Dataset, samples: Sequence[Sample], judges: Judges, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], list[tuple[float, list[np.ndarray]]]]:
    """Figures by method, and for every picture how far from the original it looks, beside what the sheets show."""
    generator, head = load_generator(options.generator), load_head(options.head)
    plain, guided = Request(generator=generator), Request(generator=generator, head=head)
    quality = quality_for(codec, [read_rgb(s.image) for s in common.spread(samples, 24)], options.bpp)
    methods: dict[str, Method] = defaultdict(lambda: Method(Score(dataset.task, dataset.classes)))
    originals: list[np.ndarray] = []
    shown: list[tuple[float, list[np.ndarray]]] = []

    def decoded(data: bytes, how: str) -> np.ndarray:
        return np.asarray(codec.decode(data, generator=how))

    for sample in common.progress(samples, total=len(samples), label="global", options=options):
        pixels, truth = read_rgb(sample.image), dataset.truth(sample)
        if judges.features is not None:
            originals.append(judges.features.of(pixels))
        judges.look(methods["original"], truth, pixels, pixels, sample.image.stat().st_size)
        data = codec.encode(pixels, quality=quality, generative=plain)
        faithful = codec.encode_to(pixels, max_bytes=len(data))
        pictures = {"generator": decoded(data, options.generator), "faithful": decoded(faithful.data, "faithful")}
        judges.look(methods["generator"], truth, pixels, pictures["generator"], len(data))
        judges.look(methods["faithful"], truth, pixels, pictures["faithful"], len(faithful.data))
        if options.map:
            with_map = of_size(codec, pixels, guided, len(data))
            judges.look(
                methods["generator, map"], truth, pixels, decoded(with_map, options.generator), len(with_map)
            )
        for rival in RIVALS:
            entry = rival_at_size(Image.fromarray(pixels), rival, target_bytes=len(data))
            pictures[rival.label] = np.asarray(entry.decoded)
            judges.look(methods[rival.label], truth, pixels, pictures[rival.label], len(entry.data))
        twice = rival_at_size(Image.fromarray(pixels), RIVALS[-1], target_bytes=2 * len(data))
        judges.look(methods["AVIF, twice the bytes"], truth, pixels, np.asarray(twice.decoded), len(twice.data))
        distance = -psnr_db(pixels, pictures["generator"])
        if judges.features is not None:
            made_features = methods["generator"].features[-1]
            distance = float(np.linalg.norm(made_features - originals[-1], axis=1).mean())
        shown.append((distance, [pixels, *(pictures[name] for name in COLUMNS[1:])]))
    return {name: method.row(originals) for name, method in methods.items()}, shown


def of_size(codec: Any, pixels: np.ndarray, request: Request, size: int) -> bytes:
    """The best file of at most `size` bytes, or where there is none the smallest."""
    try:
        return bytes(codec.encode_to(pixels, max_bytes=size, generative=request).data)
    except TargetError:
        return bytes(codec.encode(pixels, quality=1, generative=request))


def selective_row(codec: Any, samples: Sequence[Sample], options: argparse.Namespace) -> dict[str, Any]:
    """Files that keep KEPT: their share of the bytes, and PSNR of what was asked for beside the faithful codec's."""
    request = Request(generator=load_generator(options.generator), head=load_head(options.head), keep=KEPT)
    shares, losses, kept = [], [], []
    for sample in common.progress(samples, total=len(samples), label="selective", options=options):
        pixels = read_rgb(sample.image)
        whole = codec.encode(pixels, quality=options.quality)
        try:
            part = codec.encode(pixels, quality=options.quality, generative=request)
        except ImageError:
            continue  # nothing of these classes is in the picture, or nothing else
        stored = read_segmentation(read(part))
        assert stored is not None
        asked = np.isin(stored.label_map, class_numbers(KEPT, stored.classes))
        if not asked.any():
            continue
        values = [
            psnr_db(pixels[asked][None], np.asarray(codec.decode(data, generator=how))[asked][None])
            for data, how in ((whole, "faithful"), (part, options.generator))
        ]
        shares.append(len(part) / len(whole))
        losses.append(values[0] - values[1])
        kept.append(float(asked.mean()))
    if not shares:
        return {"pictures": 0}
    return {
        "pictures": len(shares), "quality": options.quality, "kept_pixels": round(float(np.mean(kept)), 4),
        "bytes_percent": round(100 * float(np.mean(shares)), 2), "psnr_lost_db": round(float(np.mean(losses)), 3),
    }  # fmt: skip


def write_sheets(folder: Path, shown: Sequence[tuple[float, list[np.ndarray]]]) -> None:
    """worst.png and random.png: SHOWN pictures each, a row for each, columns as in COLUMNS."""
    order = np.argsort([-distance for distance, _ in shown], kind="stable")[:SHOWN]
    drawn = np.random.default_rng(0).permutation(len(shown))[:SHOWN]
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("worst", order), ("random", drawn)):
        rows = [np.concatenate(shown[number][1], axis=1) for number in chosen.tolist()]
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 2), (0, width - row.shape[1]), (0, 0))) for row in rows]
        Image.fromarray(np.concatenate(rows)).save(folder / f"{name}.png")


def checks_of(rows: dict[str, dict[str, Any]], selective: dict[str, Any], options: argparse.Namespace) -> list[Check]:
    """What has to hold."""
    generator = rows["generator"]
    checks = [at_most("bits a pixel of the generator's files", generator["bpp"], 0.1, "")]
    for name in ("faithful", *(rival.label for rival in RIVALS)):
        value = None
        if "kid" in generator:
            value = round(generator["kid"] - rows[name]["kid"], 5)
        checks.append(at_most(f"kernel distance of the generator, above {name}", value, 0, ""))
    value = round(generator["miou"] - rows["AVIF, twice the bytes"]["miou"], 2)
    checks.append(at_least("mIoU of the generator, points above AVIF at twice the bytes", value, 0, ""))
    if options.map:
        value = round(rows["generator, map"]["miou"] - generator["miou"], 2)
        checks.append(at_least("mIoU with the map, points above that without at equal bytes", value, 0, ""))
    checks.append(at_most("selective: bytes, of coding everything", selective.get("bytes_percent"), 60, " %"))
    checks.append(at_most("selective: PSNR lost inside what is kept", selective.get("psnr_lost_db"), 0.3, " dB"))
    return checks


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = common.make_parser(
        "generative", __doc__,
        "python -m benchmarks.generative configs/head_street.yaml --judge out/street_originals.safetensors",
    )  # fmt: skip
    parser.add_argument("config", type=Path, help="a segmenter's configuration: names the validation pictures")
    parser.add_argument("--judge", type=Path, required=True, metavar="FILE", help="network trained on originals")
    parser.add_argument("--generator", default="street", metavar="NAME", help="generator, by name or file (street)")
    parser.add_argument("--head", default="street", metavar="NAME", help="head that makes label maps (street)")
    parser.add_argument(
        "--features", type=Path, default=Path("data/weights/mobilenet_v2_1.0_224_quant.tflite"), metavar="FILE",
        help="MobileNetV2 for the kernel distance",
    )  # fmt: skip
    parser.add_argument("--no-features", action="store_true", help="leave the kernel distance out")
    parser.add_argument("--bpp", type=float, default=0.07, help="mean rate of the generator's files (0.07)")
    parser.add_argument("--quality", type=int, default=40, help="of selective files (40)")
    parser.add_argument("--no-map", dest="map", action="store_false", help="leave files with a map out")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N pictures")
    parser.add_argument("--sheets", type=Path, default=Path("out/generative"), help="folder of the contact sheets")
    parser.add_argument("--threads", type=int, default=2, help="threads of every network (2)")
    options = parser.parse_args(arguments)
    config = configuration.load(FitConfig, options.config)
    codec = common.load_codec(options, threads=options.threads)
    dataset = find_dataset("segment", replace(config.data, hold_out=None))
    samples = common.spread(dataset.val, options.limit or len(dataset.val))
    judge = read_head(options.judge)
    if judge.classes != dataset.classes or judge.network.config.source != "pixels":
        raise SemcompError(f"{options.judge} must see pixels and know {', '.join(dataset.classes)}")
    judges = Judges(judge, None if options.no_features else Features(options.features))
    with torch.inference_mode():
        rows, shown = global_rows(codec, dataset, samples, judges, options)
        selective = selective_row(codec, samples, options)
    write_sheets(options.sheets, shown)
    lines = [f"{len(samples)} pictures; PSNR in dB, mIoU in %, kernel distance over patches", ""]
    lines.append(f"{'':<24}{'bpp':>8}{'PSNR':>8}{'mIoU':>8}{'KID':>10}{'+-':>9}")
    for name, row in rows.items():
        kid = f"{row['kid']:10.4f}{row['kid_error']:9.4f}" if "kid" in row else ""
        db = "" if row["psnr_db"] is None else f"{row['psnr_db']:.2f}"
        lines.append(f"{name:<24}{row['bpp']:8.4f}{db:>8}{row['miou']:8.2f}{kid}")
    if selective["pictures"]:
        lines += ["", (
            f"selective, quality {selective['quality']}, {selective['pictures']} pictures: "
            f"{selective['bytes_percent']:.1f} % of the bytes, {selective['psnr_lost_db']:.2f} dB lost inside"
        )]  # fmt: skip
    result = {"generator": options.generator, "pictures": len(samples), "global": rows, "selective": selective}
    return common.finish(
        "generative", options, result=result, checks=checks_of(rows, selective, options), table="\n".join(lines)
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
