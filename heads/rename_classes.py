"""Gives masks the class numbers of another list: python -m heads.rename_classes streets --classes voc.txt -o out

A folder of pictures with masks can then be one of the sets of a head that knows other classes. The pictures are linked,
not copied.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from heads.command_line import run
from heads.datasets import DataConfig, DataError, ImagesAndMasks
from heads.find_dataset import find_dataset
from semcomp.semantics.class_names import read_lines
from semcomp.semantics.results import VOID

_EPILOG = """\
examples:
  python -m heads.rename_classes data/camvid --classes voc/classes.txt -o out/streets \\
    --as Car=car --as Pedestrian=person --as Bicyclist=
  python -m heads.rename_classes portraits --classes voc/classes.txt --rest void -o out/portraits --as face=person
"""


def rename_classes(
    folder: Path, output: Path, classes: Sequence[str], renamed: Mapping[str, str], *, rest: str = ""
) -> int:
    """Write the pictures of a folder with other class numbers. Those in val/ are left out.

    Args:
        folder: Pictures with masks and a classes.txt, as training takes them.
        output: Gets images/, masks/ and classes.txt.
        classes: The new list; an empty name is none.
        renamed: The new name of each class that has one. An empty name means that nothing is known there.
        rest: The new name of all other classes.

    Returns:
        The number of pictures.

    Raises:
        DataError: A class is in no list.
    """
    dataset = find_dataset("segment", DataConfig(folder=str(folder)))
    assert isinstance(dataset, ImagesAndMasks)
    numbers = {name: number for number, name in enumerate(classes) if name} | {"": VOID}
    for name, known in [(name, dataset.classes) for name in renamed] + [
        (n, numbers) for n in (rest, *renamed.values())
    ]:
        if name not in known:
            raise DataError(f"there is no class {name!r}; choose from {', '.join(filter(None, known))}")
    lookup = np.full(VOID + 1, VOID, np.uint8)
    lookup[: len(dataset.classes)] = [numbers[renamed.get(name, rest)] for name in dataset.classes]
    for name in ("images", "masks"):
        (output / name).mkdir(parents=True, exist_ok=True)
    beside = dataset.train[0].image.parent
    samples = [*dataset.train, *(sample for sample in dataset.val if sample.image.parent == beside)]
    for sample in tqdm(samples, desc="masks", unit="mask", disable=None):
        mask = dataset.mask(sample)
        assert mask is not None
        Image.fromarray(lookup[mask]).save(output / "masks" / f"{sample.image.stem}.png")
        link = output / "images" / sample.image.name
        link.unlink(missing_ok=True)
        link.symlink_to(sample.image.resolve())
    (output / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return len(samples)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heads.rename_classes",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Give the masks of a folder the class numbers of another list.",
    )
    parser.add_argument("folder", type=Path, help="pictures with masks, and classes.txt")
    parser.add_argument("--classes", type=Path, required=True, metavar="FILE", help="the new list, a name a line")
    parser.add_argument(
        "--as",
        dest="renamed",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="new name of a class; none: unknown there",
    )
    parser.add_argument(
        "--rest", default=None, metavar="NEW", help="name of all other classes, or void (the first of the list)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="gets pictures and masks")
    o = parser.parse_args(argv)

    def work() -> None:
        classes = read_lines(o.classes)
        pairs = [text.partition("=") for text in o.renamed]
        if wrong := [text for text, (_, equals, _) in zip(o.renamed, pairs, strict=True) if not equals]:
            raise DataError(f"--as takes OLD=NEW, not {wrong[0]!r}")
        rest = classes[0] if o.rest is None else "" if o.rest == "void" else o.rest
        count = rename_classes(o.folder, o.output, classes, {old: new for old, _, new in pairs}, rest=rest)
        print(f"{count} pictures in {o.output}")

    return run("heads.rename_classes", work, interrupted="")


if __name__ == "__main__":
    sys.exit(main())
