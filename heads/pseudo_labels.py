"""Labels for pictures that have none: python -m heads.pseudo_labels photos/ --network net.tflite -o labelled

Asks a large segmentation network about every picture and its mirror image, keeps what it says of both, and ignores the
rest: where it contradicts itself, it guesses. The folder that it writes is what semcomp-fit-head --data takes.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from heads.command_line import run
from heads.datasets import drawn_pictures, read_rgb
from heads.teachers.deeplab import is_teacher, read_teacher
from semcomp.errors import MissingExtraError, ModelError
from semcomp.semantics.head import default_palette
from semcomp.semantics.results import VOID


def open_tflite(path: str | Path, *, need: str, **options: Any) -> Any:
    """An interpreter of a .tflite file. MissingExtraError without ai-edge-litert, ModelError without the file."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError(f"{need}, which runs a .tflite network,", "judge") from error
    if not Path(path).is_file():
        raise ModelError(f"there is no file {path}: give a network as .tflite")
    try:
        network = Interpreter(str(path), num_threads=1, **options)
        network.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is not a .tflite network ({str(error).splitlines()[0]})") from error
    return network


class Labeller:
    """A segmentation network that takes a picture and gives a class number a pixel."""

    def __init__(self, path: str | Path):
        self._network = open_tflite(path, need="Labelling")
        self._input = self._network.get_input_details()[0]
        self._output = self._network.get_output_details()[0]
        if self._output["shape"][-1] != self._input["shape"][2] or self._input["dtype"] != np.uint8:
            raise ModelError(f"{path} does not turn a uint8 picture into a label map of its size")

    def label_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> uint8 (H, W): the class of picture and mirror image alike, or VOID."""
        straight, mirrored = self._one(pixels), self._one(pixels[:, ::-1])[:, ::-1]
        agreed = np.where(straight == mirrored, straight, VOID)
        size = (pixels.shape[1], pixels.shape[0])
        return np.asarray(Image.fromarray(agreed).resize(size, Image.Resampling.NEAREST))

    def _one(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (h, w), of the network's size."""
        height, width = (int(side) for side in self._input["shape"][1:3])
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        self._network.set_tensor(self._input["index"], np.asarray(image)[None])
        self._network.invoke()
        numbers: NDArray[Any] = self._network.get_tensor(self._output["index"])
        return numbers.reshape(height, width).astype(np.uint8)


class TeacherLabeller:
    """A teacher of our own, asked about a picture and its mirror image like the others."""

    def __init__(self, path: str | Path):
        self._teacher = read_teacher(path)

    def label_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> uint8 (H, W): the class of picture and mirror image alike, or VOID."""
        pictures = (pixels, np.ascontiguousarray(pixels[:, ::-1]))
        straight, mirrored = (self._teacher.scores(picture, mirrored=False).argmax(0) for picture in pictures)
        agreed = np.where(straight == mirrored[:, ::-1], straight, VOID).astype(np.uint8)
        size = (pixels.shape[1], pixels.shape[0])
        return np.asarray(Image.fromarray(agreed).resize(size, Image.Resampling.NEAREST))


def label(
    folders: Sequence[Path],
    network: Path,
    classes: Path,
    output: Path,
    *,
    without: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> int:
    """Write `output`/images (links), masks and classes.txt; a mask that is there already is kept. Returns how many.

    Of each folder (with those below it) at most `limit` pictures, drawn at random, none whose name, or
    whose folder's name, begins with one of `without`. DataError where a folder holds no picture.
    """
    labeller = TeacherLabeller(network) if is_teacher(network) else Labeller(network)
    # All 256, because Pillow cuts the numbers to the bits that a shorter palette needs.
    colours = [channel for colour in default_palette(256) for channel in colour]
    chosen = [(folder, path) for folder in folders for path in drawn_pictures(folder, limit, without=tuple(without))]
    for part in ("images", "masks"):
        (output / part).mkdir(parents=True, exist_ok=True)
    for folder, path in tqdm(chosen, desc="labels", unit="picture", disable=quiet, leave=False):
        stem = "-".join(path.relative_to(folder).with_suffix("").parts)
        image, mask = output / "images" / f"{stem}{path.suffix}", output / "masks" / f"{stem}.png"
        if not image.is_symlink():
            image.symlink_to(path.resolve())
        if not mask.is_file():
            found = Image.fromarray(labeller.label_map(read_rgb(path)))
            found.putpalette(colours)
            unfinished = mask.with_suffix(".part")
            found.save(unfinished, "PNG", optimize=True)
            unfinished.rename(mask)
    shutil.copyfile(classes, output / "classes.txt")
    return len(chosen)


_EPILOG = """\
examples:
  python -m heads.pseudo_labels photos/ --network deeplab.tflite --classes classes.txt -o labelled
  python -m heads.pseudo_labels a/ b/ --network n.tflite --classes c.txt -o out --without clothing- --limit 5000
  semcomp-fit-head --data labelled --task segment
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.pseudo_labels",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Label pictures with a large segmentation network, to train a head on what it sees.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="pictures, here and below")
    parser.add_argument(
        "--network", type=Path, required=True, metavar="FILE", help="a .tflite, or a file of heads.teachers"
    )
    parser.add_argument("--classes", type=Path, required=True, metavar="FILE", help="names of its classes, one a line")
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="PREFIX", help="leave out files and folders named so"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many pictures of each folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="images/, masks/, classes.txt")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    o = parser.parse_args(argv)

    def work() -> None:
        quiet = o.quiet or not sys.stderr.isatty()
        count = label(o.folders, o.network, o.classes, o.output, without=o.without, limit=o.limit, quiet=quiet)
        print(f"{count} pictures in {o.output}")

    return run("heads.pseudo_labels", work, interrupted="; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
