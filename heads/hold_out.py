"""Writes which pictures a folder holds out: python -m heads.hold_out data/voc --count 200 --among fine.txt

val.txt names them, a name without its ending a line; heads and teachers that read the folder validate on these alone.
Frames of one film, or variants of one picture, share the part of their name before a separator and are held out
together. Copies of another folder's pictures are named in skip.txt and left out of everything, so that what one folder
holds out is not trained on in another.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heads.command_line import run
from heads.datasets import DataError, pictures_in

ALIKE = 20
"""The largest number of 256 comparisons of neighbours in which two copies of one picture differ."""


def hold_out(
    folder: Path, *, count: int, among: Path | None = None, together: str | None = None, seed: int = 0
) -> list[str]:
    """Draw the pictures that a folder holds out, and write its val.txt.

    Args:
        folder: Holds images/.
        count: How many pictures are held out at least.
        among: A file of names, one a line, from which they are drawn; None for all.
        together: Pictures whose names are equal up to the last place of this text are held out together.
        seed: Seed of the draw.

    Returns:
        The names, in order.

    Raises:
        DataError: The folder has too few pictures.
    """
    names = [path.stem for path in pictures_in(folder / "images")]
    allowed = names if among is None else [n for n in among.read_text(encoding="utf-8").split() if n in set(names)]
    if not 0 < count < len(names) or count > len(allowed):
        raise DataError(f"{folder} has {len(allowed)} pictures to draw {count} from, and {len(names)} in all")

    def group(name: str) -> str:
        return name.rpartition(together)[0] or name if together else name

    chosen: set[str] = set()
    for number in np.random.default_rng(seed).permutation(len(allowed)).tolist():
        if len(chosen) >= count:
            break
        if allowed[number] not in chosen:
            chosen |= {name for name in names if group(name) == group(allowed[number])}
    (folder / "val.txt").write_text("".join(f"{name}\n" for name in sorted(chosen)), encoding="utf-8")
    return sorted(chosen)


def skip_copies(folder: Path, other: Path) -> list[str]:
    """Write to skip.txt which pictures are copies of another folder's, at any size and compression.

    Args:
        folder: Holds images/. A skip.txt that is there is replaced.
        other: Holds images/.

    Returns:
        The names, in order.
    """
    mine, theirs = pictures_in(folder / "images"), pictures_in(other / "images")
    if not mine or not theirs:
        raise DataError(f"no picture in {(folder if not mine else other) / 'images'}")
    other_signs = np.stack([signs(path) for path in theirs]).astype(np.float32)
    names = [path.stem for path in mine if (other_signs @ signs(path).astype(np.float32)).max() >= 256 - 2 * ALIKE]
    (folder / "skip.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return names


def signs(path: Path) -> NDArray[np.int8]:
    """Compare neighbours in a row of a picture's grey 17x16 thumbnail: int8 (256,) of -1 and 1 (difference hash)."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX), np.int16)
    return np.where(grey[:, 1:] > grey[:, :-1], 1, -1).astype(np.int8).ravel()


_EPILOG = """\
examples:
  python -m heads.hold_out photos/ --count 60
  python -m heads.hold_out data/voc --count 200 --among data/voc/fine.txt
  python -m heads.hold_out data/films --count 40 --together -
  python -m heads.hold_out data/salient --count 60 --skip-copies-of data/voc
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.hold_out",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Draw the pictures of a folder that are validated on, and write them to its val.txt.",
    )
    parser.add_argument("folder", type=Path, help="holds images/")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="how many pictures")
    parser.add_argument("--among", type=Path, metavar="FILE", help="names to draw from, one a line (all pictures)")
    parser.add_argument("--together", metavar="TEXT", help="names equal up to the last TEXT are held out together")
    parser.add_argument(
        "--skip-copies-of", type=Path, metavar="FOLDER", help="leave out pictures that this folder has too (skip.txt)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (0)")
    o = parser.parse_args(argv)

    def work() -> None:
        skipped = skip_copies(o.folder, o.skip_copies_of) if o.skip_copies_of else []
        names = hold_out(o.folder, count=o.count, among=o.among, together=o.together, seed=o.seed)
        print(f"{len(names)} pictures in {o.folder / 'val.txt'}" + (f", {len(skipped)} in skip.txt" if skipped else ""))

    return run("heads.hold_out", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
