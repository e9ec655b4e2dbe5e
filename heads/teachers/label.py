"""Names for pictures that have none: python -m heads.teachers.label photos/ --names labels.txt -o out/things

EfficientNet-Lite2 is asked about every picture and its mirror image. The folder that it writes is what semcomp-fit-head
--data takes: labels.tsv with the best name of each picture, and classes.txt. A run that was stopped goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from heads.command_line import run
from heads.datasets import DataError, drawn_pictures, read_rgb
from heads.latent_cache import to_network
from heads.teachers.efficientnet import CLASSES, SIDE, Names
from semcomp.networks.precision import fast_pixels
from semcomp.semantics.class_names import read_lines


def short_names(lines: Sequence[str]) -> tuple[str, ...]:
    """Shorten ImageNet's lists of synonyms to the first of each, or as many as tell it from the others.

    Args:
        lines: A list of synonyms, separated by commas, for each class. A first line "background" is left out.

    Raises:
        DataError: There are not a thousand.
    """
    lists = [[part.strip() for part in line.split(",")] for line in lines if line.strip()]
    if len(lists) == CLASSES + 1 and lists[0] == ["background"]:
        lists = lists[1:]
    if len(lists) != CLASSES:
        raise DataError(f"the names are {len(lists)} lines; EfficientNet-Lite2 knows {CLASSES} classes")
    counts = [1] * len(lists)
    while True:
        names = [", ".join(parts[:count]) for parts, count in zip(lists, counts, strict=True)]
        double = {name for name in names if names.count(name) > 1}
        longer = [
            count + 1 if name in double and count < len(p) else count
            for name, p, count in zip(names, lists, counts, strict=True)
        ]
        if longer == counts:
            break
        counts = longer
    return tuple(f"{name} ({number})" if name in double else name for number, name in enumerate(names))


class Namer:
    """Asks the network which class a picture shows."""

    def __init__(self, names: tuple[str, ...], weights: Path | None = None):
        self.names, self.network = names, Names(weights)

    @torch.inference_mode()
    def best(self, pixels: NDArray[np.uint8]) -> str:
        """Name a picture, uint8 (H, W, 3). The middle 7/8 of it are looked at, scaled to a square."""
        height, width = pixels.shape[:2]
        box = (width / 16, height / 16, width * 15 / 16, height * 15 / 16)
        image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
        x = to_network(np.asarray(image)[None])
        with fast_pixels(x.device):
            scores = self.network(torch.cat([x, x.flip(3)])).float().softmax(1).mean(0)
        return self.names[int(scores.argmax())]


def label(folders: Sequence[Path], namer: Namer, output: Path, *, limit: int | None = None, quiet: bool = False) -> int:
    """Name the pictures of folders, and of those below them.

    Args:
        folders: Folders of pictures.
        namer: Names them.
        output: Gets labels.tsv and classes.txt. Pictures that labels.tsv names already are not looked at again.
        limit: Largest number of pictures of each folder, drawn at random.
        quiet: Whether the progress bar is left out.

    Returns:
        How many pictures are named.

    Raises:
        DataError: A folder holds no picture.
    """
    chosen = [path for folder in folders for path in drawn_pictures(folder, limit)]
    output.mkdir(parents=True, exist_ok=True)
    table = output / "labels.tsv"
    known = set(namer.names)
    lines = [line.partition("\t") for line in (read_lines(table) if table.is_file() else [])]
    done = {path: name for path, _, name in lines if name in known}  # a run that was killed leaves half a line
    left = [path for path in chosen if str(path.resolve()) not in done]
    whole = table.with_suffix(".part")
    whole.write_text("".join(f"{path}\t{name}\n" for path, name in done.items()), encoding="utf-8")
    whole.replace(table)
    with table.open("a", encoding="utf-8") as file:
        for path in tqdm(left, desc="names", unit="picture", disable=quiet, leave=False):
            file.write(f"{path.resolve()}\t{namer.best(read_rgb(path))}\n")
    (output / "classes.txt").write_text("".join(f"{name}\n" for name in namer.names), encoding="utf-8")
    return len(done) + len(left)


_EPILOG = """\
examples:
  python -m heads.teachers.label photos/ --names imagenet_labels.txt -o out/things
  python -m heads.teachers.label a/ b/ --names imagenet_labels.txt -o out/things --limit 5000
  semcomp-fit-head --data out/things --task classify
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.teachers.label",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Name what pictures show with EfficientNet-Lite2, to train a head on it.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="pictures, here and below")
    parser.add_argument("--names", type=Path, required=True, metavar="FILE", help="ImageNet's class names, one a line")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the network's weights (those of the package)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many pictures of each folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="labels.tsv and classes.txt")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    o = parser.parse_args(argv)

    def work() -> None:
        namer = Namer(short_names(read_lines(o.names)), o.weights)
        count = label(o.folders, namer, o.output, limit=o.limit, quiet=o.quiet or not sys.stderr.isatty())
        print(f"{count} pictures in {o.output}")

    return run("heads.teachers.label", work, interrupted="; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
