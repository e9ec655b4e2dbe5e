"""Shows how right a head is: python -m heads.examine configs/head_objects.yaml --card semcomp/weights/objects.md

Every figure comes from a file: the pictures that the head's training held out are encoded at a quality whose files have
the rate that is asked for, and the head reads them. The section "How right it is" of the head's card takes the place of
the one before, with a line for each class and what it is taken for. The sheet shows what the head says of photos that
it never saw, evenly drawn from a folder, whatever it says of them.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from heads.command_line import run
from heads.datasets import DataError, Dataset, SetConfig, pictures_in, read_rgb
from heads.evaluate import SEEK, must_know, quality_for
from heads.find_dataset import find_dataset
from heads.fit_config import FitConfig
from heads.score import Answer, confusion, iou
from semcomp import config as configuration
from semcomp.codec.codec import Codec, load
from semcomp.eval.codecs import evenly
from semcomp.semantics.head import Head, load_head
from semcomp.semantics.label_png import overlay
from semcomp.semantics.results import Labels, Segmentation
from semcomp.storage.files import write_whole

HEADING = "## How right it is"
FEW = 10
"""Fewest pictures that show a class for its figure to count in the mean."""
SHOWN = 40
"""Largest number of classes that a card lists."""
PHOTOS, ACROSS, TILE, LINE = 12, 4, 320, 22
"""Photos of a sheet, photos of a row, pixels of a tile's side, and of the line below it."""


@dataclass
class Examined:
    """What a head has said of pictures whose truth is known."""

    classes: tuple[str, ...]
    segments: bool
    matrix: NDArray[np.int64] = field(init=False)
    """Pixels, or pictures, by true class and answer (K, K + 1); the last column is for no answer."""
    pictures: NDArray[np.int64] = field(init=False)
    """Pictures that show a class, (K,)."""
    named: NDArray[np.int64] = field(init=False)
    """Pictures by the largest class of the truth and of a segmenter's answer, the background apart (K, K + 1); the last
    column is for none."""
    near: int = 0
    """Pictures of a classifier whose class is among the first five."""
    count: int = 0

    def __post_init__(self) -> None:
        k = len(self.classes)
        self.matrix, self.pictures = np.zeros((k, k + 1), np.int64), np.zeros(k, np.int64)
        self.named = np.zeros((k, k + 1), np.int64)

    def add(self, answer: Answer, truth: Any) -> None:
        """Count an answer; a truth is the number of a class, or a mask (H, W)."""
        k = len(self.classes)
        self.count += 1
        if isinstance(answer, Segmentation):
            self.matrix += confusion(truth, answer.label_map, k)
            self.pictures += np.bincount(truth.ravel(), minlength=256)[:k] > 0
            if (true := self._largest(truth)) < k:
                self.named[true, self._largest(answer.label_map)] += 1
            return
        assert isinstance(answer, Labels)
        lower = [name.lower() for name in self.classes]
        said = [lower.index(name.lower()) for name in answer.names]
        self.matrix[truth, said[0] if said else k] += 1
        self.pictures[truth] += 1
        self.near += truth in said[:5]

    def _largest(self, label_map: NDArray[np.uint8]) -> int:
        """The class with most pixels, the background apart; K for none."""
        counts = np.bincount(label_map.ravel(), minlength=256)[: len(self.classes)]
        counts[[name.lower() == "background" for name in self.classes]] = 0
        return int(counts.argmax()) if counts.any() else len(self.classes)

    @property
    def percent(self) -> NDArray[np.float64]:
        """IoU of each class, or the share of its pictures that are named right, in percent; NaN for none."""
        if self.segments:
            shares: NDArray[np.float64] = 100 * iou(self.matrix)
            return shares
        right = np.diag(self.matrix).astype(np.float64)
        named: NDArray[np.float64] = np.divide(
            100 * right, self.pictures, out=np.full(len(right), np.nan), where=self.pictures > 0
        )
        return named

    @property
    def figures(self) -> dict[str, float]:
        """The head's figures in percent."""
        if not self.segments:
            count = max(1, self.count)
            return {"top1": 100 * float(np.trace(self.matrix)) / count, "top5": 100 * self.near / count}
        counted = self.pictures >= FEW
        found = {"mean_iou": float(np.nanmean(self.percent))}
        return found | ({"mean_iou_of_shown": float(self.percent[counted].mean())} if counted.any() else {})

    def named_first(self, number: int) -> str:
        """How many of the pictures with most of a class are named by it."""
        total = int(self.named[number].sum())
        return f"{self.named[number, number]} of {total}" if total else ""

    def taken_for(self, number: int, matrix: NDArray[np.int64] | None = None) -> str:
        """What else is said most often where a class is, with its share."""
        row = (self.matrix if matrix is None else matrix)[number].astype(np.float64)
        total, row[number] = row.sum(), 0
        if not total or not row.any():
            return ""
        other = int(row.argmax())
        return f"{(*self.classes, 'nothing')[other]} {100 * row[other] / total:.0f} %"


def examine(codec: Codec, head: Head, dataset: Dataset, *, quality: int, quiet: bool = True) -> tuple[Examined, float]:
    """Ask a head about files of the held-out pictures; returns what it said, and the mean bits a pixel."""
    found, rates = Examined(dataset.classes, dataset.task == "segment"), []
    for sample in tqdm(dataset.val, desc="files", unit="file", disable=quiet, leave=False):
        pixels = dataset.pixels(sample)
        data = codec.encode(pixels, quality=quality)
        rates.append(8 * len(data) / (pixels.shape[0] * pixels.shape[1]))
        found.add(head(codec.latents(data)), dataset.truth(sample))
    return found, float(np.mean(rates))


def section(found: Examined, *, bpp: float, sheet: str | None) -> str:
    """The section of a card."""
    f = found.figures
    if found.segments:
        counted = int((found.pictures >= FEW).sum())
        told = f"mean IoU {f['mean_iou']:.1f} % over all classes"
        if counted:
            told += f", {f['mean_iou_of_shown']:.1f} % over the {counted} that at least {FEW} pictures show"
    else:
        told = f"the right name comes first in {f['top1']:.1f} %, and is among the first five in {f['top5']:.1f} %"
    lines = [HEADING, "", f"On {found.count} held-out pictures in files of {bpp:.2f} bits a pixel: {told}.", ""]
    header = ["class", "pictures", "IoU" if found.segments else "right", "else taken for"]
    header += ["named first where it is largest", "else named"] if found.segments else []
    lines += [_row(header), _row(["---"] * len(header))]
    order = [k for k in np.argsort(-found.pictures, kind="stable").tolist() if found.pictures[k]]
    for k in order[:SHOWN]:
        cells = [found.classes[k], str(found.pictures[k]), f"{found.percent[k]:.0f} %", found.taken_for(k)]
        lines.append(_row([*cells, *([found.named_first(k), found.taken_for(k, found.named)] * found.segments)]))
    if sheet:
        lines += ["", f"What it says of {PHOTOS} photos that it never saw, evenly drawn: `{sheet}`."]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def with_section(card: str, text: str) -> str:
    """A card with the section first, in place of the one that was there."""
    parts = card.rstrip("\n").split("\n\n## ")
    kept = [f"## {part}" for part in parts[1:] if not f"## {part}".startswith(HEADING)]
    return "\n\n".join([parts[0], text.rstrip("\n"), *kept]) + "\n"


def tiles(codec: Codec, head: Head, photos: Sequence[Path], *, quality: int) -> Iterator[Image.Image]:
    """What a head says of photos in files, a tile for each: the picture with its label map, or with its names."""
    font = ImageFont.load_default(15)
    for path in photos:
        pixels = read_rgb(path)
        answer = head(codec.latents(codec.encode(pixels, quality=quality)))
        picture = Image.fromarray(pixels) if isinstance(answer, Labels) else overlay(answer, pixels)
        picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
        tile = Image.new("RGB", (TILE, TILE + LINE), "white")
        tile.paste(picture.convert("RGB"), ((TILE - picture.width) // 2, (TILE - picture.height) // 2))
        ImageDraw.Draw(tile).text((TILE / 2, TILE + LINE / 2), _said(answer), fill="black", font=font, anchor="mm")
        yield tile


def _said(answer: Any) -> str:
    if isinstance(answer, Labels):
        said = ", ".join(f"{n} {s:.2f}" for n, s in zip(answer.names[:2], answer.scores, strict=False))
        return said or "nothing known"
    shares = np.bincount(answer.label_map.ravel(), minlength=256)[1 : len(answer.classes)] / answer.label_map.size
    order = [k for k in np.argsort(-shares).tolist()[:3] if shares[k] >= 0.01]
    return ", ".join(f"{answer.classes[k + 1]} {100 * shares[k]:.0f} %" for k in order) or "nothing known"


def sheet(drawn: Sequence[Image.Image]) -> Image.Image:
    """Tiles beside each other."""
    whole = Image.new("RGB", (ACROSS * TILE, -(-len(drawn) // ACROSS) * (TILE + LINE)), "white")
    for number, tile in enumerate(drawn):
        whole.paste(tile, (number % ACROSS * TILE, number // ACROSS * (TILE + LINE)))
    return whole


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Examine the head of a configuration, and write what was asked for."""
    config = configuration.load(FitConfig, options.config)
    codec, head = load(options.model), load_head(options.head or config.name)
    data = config.data
    if options.data:
        data = replace(data, folder=options.data[0], sets=tuple(SetConfig(folder=folder) for folder in options.data))
    dataset = find_dataset(config.task, data)
    must_know(head, dataset, "head")
    if not dataset.val:
        raise DataError(f"{options.config} holds no picture out")
    with torch.inference_mode():
        quality = quality_for(codec, [dataset.pixels(s) for s in evenly(dataset.val, SEEK)], options.bpp)
        found, bpp = examine(codec, head, dataset, quality=quality, quiet=options.quiet or not sys.stderr.isatty())
        if options.sheet:
            photos = [path for folder in options.photos for path in pictures_in(Path(folder), below=True)]
            if not photos:
                raise DataError("give the folders of the photos to show: --photos FOLDER")
            drawn = list(tiles(codec, head, evenly(photos, PHOTOS), quality=quality))
            sheet(drawn).save(options.sheet, quality=85)
    text = section(found, bpp=bpp, sheet=options.sheet.name if options.sheet else None)
    if options.card:
        card = with_section(options.card.read_text(encoding="utf-8"), text)
        write_whole(str(options.card), card.encode())
    classes = {
        name: {
            "pictures": int(found.pictures[k]),
            "percent": round(float(found.percent[k]), 2),
            "named": dict(zip((*found.classes, ""), found.named[k].tolist(), strict=True)) if found.segments else {},
        }
        for k, name in enumerate(found.classes)
        if found.pictures[k]
    }
    return {
        "head": head.name,
        "pictures": found.count,
        "quality": quality,
        "bpp": round(bpp, 4),
        **{name: round(value, 2) for name, value in found.figures.items()},
        "classes": classes,
        "text": text,
    }


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.examine", description="Measure a head on files of held-out pictures, for its card."
    )
    parser.add_argument("config", type=Path, help="configuration of the head's training")
    parser.add_argument("--data", nargs="+", metavar="FOLDER", help="ask about what these folders hold out instead")
    parser.add_argument("--head", metavar="NAME", help="head to ask: a name or a file (the configuration's)")
    parser.add_argument("--model", default="base", metavar="NAME", help="codec: a name or a .safetensors path (base)")
    parser.add_argument("--bpp", type=float, default=0.3, metavar="R", help="bits a pixel of the files (0.3)")
    parser.add_argument("--card", type=Path, metavar="FILE", help="the head's card, whose section is written anew")
    parser.add_argument("--photos", nargs="*", default=[], metavar="FOLDER", help="photos to show, never trained on")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="picture of what it says of these")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    options = build_parser().parse_args(argv)

    def work() -> None:
        result = measured(options)
        text = result.pop("text")
        print(json.dumps(result, ensure_ascii=False) if options.json else text, end="\n" if options.json else "")

    return run("heads.examine", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
