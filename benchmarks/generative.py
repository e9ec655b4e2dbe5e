"""The generator beside the faithful decoder, JPEG, WebP and AVIF at equal bytes, about a tenth of a bit a pixel.

Every picture is a real file. Global: the generator's files set the sizes; the faithful decoder gets the same bytes, and
Pillow's codecs the quality whose file comes nearest (their smallest file may be larger: bpp is printed). Judged by a
kernel distance (realism.py) and, where a segmenter's configuration names pictures with masks, by what a pixel
segmentation network, which was in no loss, still finds (mean IoU); a folder of photos is measured without.
Selective: the bytes of files that keep some classes, and PSNR inside what was asked for, beside files that keep all.
"""

import argparse
import sys
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import common
from benchmarks.common import Check, at_least, at_most
from benchmarks.realism import Features, Vectors, kernel_distance
from benchmarks.scenes import Scene, find_scenes
from benchmarks.sheets import COLUMNS, write_sheets
from benchmarks.weights_ids import weights_ids
from heads.evaluate import PixelNetwork, answer_of, quality_for
from heads.score import MeanIou, Score
from semcomp.bitstream.container import read
from semcomp.errors import ImageError, SemcompWarning, TargetError
from semcomp.eval.compare import RIVALS, rival_at_size
from semcomp.generative.generator_file import load_generator
from semcomp.generative.request import Request
from semcomp.imaging.metrics import psnr_db
from semcomp.semantics.class_names import class_numbers
from semcomp.semantics.head import load_head
from semcomp.semantics.stored import read_segmentation
from semcomp.weights.files import GENERATOR

KEPT = ("pedestrian", "car", "bicyclist", "signsymbol")


@dataclass
class Method:
    """What one way of storing the pictures gave, picture by picture."""

    score: Score | None
    bpp: list[float] = field(default_factory=list)
    psnr_db: list[float] = field(default_factory=list)
    features: list[Vectors] = field(default_factory=list)

    def row(self, originals: Sequence[Vectors]) -> dict[str, Any]:
        """The figures of all pictures."""
        mean_db = float(np.mean(self.psnr_db))
        row: dict[str, Any] = {
            "bpp": round(float(np.mean(self.bpp)), 4),
            "psnr_db": round(mean_db, 2) if np.isfinite(mean_db) else None,
        }
        if self.score is not None:
            row["miou"] = self.score.percent
        if self.features:
            value, error = kernel_distance(np.concatenate(self.features), np.concatenate(originals))
            row |= {"kid": round(value, 5), "kid_error": round(error, 5)}
        return row


class Judges:
    """The two networks that look at decoded pictures; either may be missing."""

    def __init__(self, segmenter: PixelNetwork | None, features: Features | None):
        self.segmenter, self.features = segmenter, features

    def method(self) -> Method:
        """A way of storing the pictures, none of which has been looked at."""
        return Method(MeanIou(self.segmenter.classes) if self.segmenter else None)

    def look(
        self, method: Method, scene: Scene, original: NDArray[np.uint8], decoded: NDArray[np.uint8], size: int
    ) -> None:
        """Add one picture whose file has `size` bytes."""
        method.bpp.append(8 * size / (original.shape[0] * original.shape[1]))
        method.psnr_db.append(psnr_db(original, decoded))
        if self.segmenter is not None and method.score is not None and scene.truth is not None:
            method.score.add(answer_of(self.segmenter, decoded), scene.truth())
        if self.features is not None:
            method.features.append(self.features.of(decoded))


def global_rows(
    codec: Any, scenes: Sequence[Scene], judges: Judges, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], list[tuple[float, list[NDArray[np.uint8]]]]]:
    """Figures by method, and for every picture how far from the original it looks, beside what the sheets show."""
    generator, head = load_generator(options.generator), load_head(options.head)
    plain, guided = Request(generator=generator), Request(generator=generator, head=head)
    quality = quality_for(codec, [scene.pixels() for scene in common.spread(scenes, 24)], options.bpp)
    methods: dict[str, Method] = defaultdict(judges.method)
    originals: list[Vectors] = []
    shown: list[tuple[float, list[NDArray[np.uint8]]]] = []

    def decoded(data: bytes, how: str) -> NDArray[np.uint8]:
        return np.asarray(codec.decode(data, generator=how))

    for scene in common.progress(scenes, total=len(scenes), label="global", options=options):
        pixels = scene.pixels()
        if judges.features is not None:
            originals.append(judges.features.of(pixels))
        judges.look(methods["original"], scene, pixels, pixels, scene.path.stat().st_size)
        data = codec.encode(pixels, quality=quality, generative=plain)
        faithful = codec.encode_to(pixels, max_bytes=len(data))
        pictures = {"generator": decoded(data, options.generator), "faithful": decoded(faithful.data, "faithful")}
        judges.look(methods["generator"], scene, pixels, pictures["generator"], len(data))
        judges.look(methods["faithful"], scene, pixels, pictures["faithful"], len(faithful.data))
        if options.map:
            with_map = of_size(codec, pixels, guided, len(data))
            judges.look(methods["generator, map"], scene, pixels, decoded(with_map, options.generator), len(with_map))
        for rival in RIVALS:
            entry = rival_at_size(Image.fromarray(pixels), rival, target_bytes=len(data))
            pictures[rival.label] = np.asarray(entry.decoded)
            judges.look(methods[rival.label], scene, pixels, pictures[rival.label], len(entry.data))
        twice = rival_at_size(Image.fromarray(pixels), RIVALS[-1], target_bytes=2 * len(data))
        judges.look(methods["AVIF, twice the bytes"], scene, pixels, np.asarray(twice.decoded), len(twice.data))
        distance = -psnr_db(pixels, pictures["generator"])
        if judges.features is not None:
            made_features = methods["generator"].features[-1]
            distance = float(np.linalg.norm(made_features - originals[-1], axis=1).mean())
        shown.append((distance, [pixels, *(pictures[name] for name in COLUMNS[1:])]))
    return {name: method.row(originals) for name, method in methods.items()}, shown


def of_size(codec: Any, pixels: NDArray[np.uint8], request: Request, size: int) -> bytes:
    """The best file of at most `size` bytes, or where there is none the smallest."""
    try:
        return bytes(codec.encode_to(pixels, max_bytes=size, generative=request).data)
    except TargetError:
        return bytes(codec.encode(pixels, quality=1, generative=request))


def selective_row(codec: Any, scenes: Sequence[Scene], options: argparse.Namespace) -> dict[str, Any]:
    """Files that keep KEPT: their share of the bytes, and PSNR of what was asked for beside the faithful codec's."""
    wanted = tuple(options.keep.split(","))
    request = Request(generator=load_generator(options.generator), head=load_head(options.head), keep=wanted)
    shares, losses, kept = [], [], []
    for scene in common.progress(scenes, total=len(scenes), label="selective", options=options):
        pixels = scene.pixels()
        whole = codec.encode(pixels, quality=options.quality)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SemcompWarning)  # few pictures show every class
                part = codec.encode(pixels, quality=options.quality, generative=request)
        except ImageError:
            continue  # nothing of these classes is in the picture, or nothing else
        stored = read_segmentation(read(part))
        assert stored is not None
        asked = np.isin(stored.label_map, class_numbers(wanted, stored.classes))
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
        "pictures": len(shares),
        "quality": options.quality,
        "keep": options.keep,
        "kept_pixels": round(float(np.mean(kept)), 4),
        "bytes_percent": round(100 * float(np.mean(shares)), 2),
        "psnr_lost_db": round(float(np.mean(losses)), 3),
    }


def checks_of(rows: dict[str, dict[str, Any]], selective: dict[str, Any], options: argparse.Namespace) -> list[Check]:
    """What has to hold."""
    generator = rows["generator"]
    checks = [at_most("bits a pixel of the generator's files", generator["bpp"], 0.1, "")]
    for name in ("faithful", *(rival.label for rival in RIVALS)):
        value = None
        if "kid" in generator:
            value = round(generator["kid"] - rows[name]["kid"], 5)
        checks.append(at_most(f"kernel distance of the generator, above {name}", value, 0, ""))
    if "miou" in generator:
        value = round(generator["miou"] - rows["AVIF, twice the bytes"]["miou"], 2)
        checks.append(at_least("mIoU of the generator, points above AVIF at twice the bytes", value, 0, ""))
    if options.map and "miou" in generator:
        guided = rows["generator, map"]["miou"]
        value = round(guided - rows["AVIF, twice the bytes"]["miou"], 2)
        checks.append(at_least("mIoU with the map, points above AVIF at twice the bytes", value, 0, ""))
        value = round(guided - generator["miou"], 2)
        checks.append(at_least("mIoU with the map, points above that without at equal bytes", value, 0, ""))
    checks.append(at_most("selective: bytes, of coding everything", selective.get("bytes_percent"), 60, " %"))
    checks.append(at_most("selective: PSNR lost inside what is kept", selective.get("psnr_lost_db"), 0.3, " dB"))
    return checks


def table_of(pictures: int, rows: dict[str, dict[str, Any]], selective: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{pictures} pictures; PSNR in dB, mIoU in %, kernel distance over patches", ""]
    lines.append(f"{'':<24}{'bpp':>8}{'PSNR':>8}{'mIoU':>8}{'KID':>10}{'+-':>9}")
    for name, row in rows.items():
        kid = f"{row['kid']:10.4f}{row['kid_error']:9.4f}" if "kid" in row else ""
        db = "" if row["psnr_db"] is None else f"{row['psnr_db']:.2f}"
        miou = f"{row['miou']:.2f}" if "miou" in row else ""
        lines.append(f"{name:<24}{row['bpp']:8.4f}{db:>8}{miou:>8}{kid}")
    if selective["pictures"]:
        lines += [
            "",
            (
                f"selective, quality {selective['quality']}, {selective['pictures']} pictures: "
                f"{selective['bytes_percent']:.1f} % of the bytes, {selective['psnr_lost_db']:.2f} dB lost inside"
            ),
        ]
    return "\n".join(lines)


def generator_name(name: str) -> str:
    """The name of the generator's weights; a path stays."""
    return name if Path(name).is_file() else f"{GENERATOR}{name}"


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = common.make_parser(
        "generative",
        __doc__,
        "python -m benchmarks.generative configs/head_street.yaml --judge out/street_originals.safetensors\n"
        "  python -m benchmarks.generative data/val --generator photos --head objects --keep person,dog,cat",
    )
    parser.add_argument(
        "source", type=Path, help="a segmenter's configuration, which names pictures with masks; or a folder of photos"
    )
    parser.add_argument("--judge", type=Path, metavar="FILE", help="network trained on originals, where masks are")
    parser.add_argument("--generator", default="street", metavar="NAME", help="generator, by name or file (street)")
    parser.add_argument("--head", default="street", metavar="NAME", help="head that makes label maps (street)")
    parser.add_argument(
        "--features",
        type=Path,
        default=Path("data/weights/mobilenet_v2_1.0_224_quant.tflite"),
        metavar="FILE",
        help="MobileNetV2 for the kernel distance",
    )
    parser.add_argument("--no-features", action="store_true", help="leave the kernel distance out")
    parser.add_argument("--keep", default=",".join(KEPT), metavar="CLASSES", help="of selective files (%(default)s)")
    parser.add_argument("--bpp", type=float, default=0.07, help="mean rate of the generator's files (0.07)")
    parser.add_argument("--quality", type=int, default=40, help="of selective files (40)")
    parser.add_argument("--no-map", dest="map", action="store_false", help="leave files with a map out")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N pictures")
    parser.add_argument("--sheets", type=Path, default=Path("out/generative"), help="folder of the contact sheets")
    parser.add_argument("--threads", type=int, default=2, help="threads of every network (2)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and returns the exit status."""
    options = options_of(arguments)
    codec = common.load_codec(options, threads=options.threads)
    found, judge = find_scenes(options.source, options.judge)
    scenes = common.spread(found, options.limit or len(found))
    judges = Judges(judge, None if options.no_features else Features(options.features))
    with torch.inference_mode():
        rows, shown = global_rows(codec, scenes, judges, options)
        selective = selective_row(codec, scenes, options)
    write_sheets(options.sheets, shown)
    result = {
        "model_id": codec.model_id.hex(),
        "generator": options.generator,
        "generator_id": load_generator(options.generator).generator_id.hex(),
        "pictures": len(scenes),
        "global": rows,
        "selective": selective,
    }
    return common.finish(
        "generative",
        options,
        result=result,
        checks=checks_of(rows, selective, options),
        table=table_of(len(scenes), rows, selective),
        weights=weights_ids([options.model, generator_name(options.generator), options.head]),
    )


if __name__ == "__main__":
    sys.exit(common.guarded(main))
