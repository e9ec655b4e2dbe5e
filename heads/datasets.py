"""What a head is trained on: pictures with a class each, or with a mask each.

    classify   FOLDER/<class>/*.jpg, or FOLDER/train/<class>/ and FOLDER/val/<class>/
    segment    FOLDER/images/, FOLDER/masks/, FOLDER/classes.txt, or the same two below FOLDER/train/ and FOLDER/val/

A mask is a palette or grey PNG of the picture's size, with the class number in every pixel. Pixels of `void`, and those
of no class, are neither trained on nor counted. classes.txt holds a name a line, or a number (a class folder's name)
and then the name; an empty line keeps its number and names no class.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heads.score import MeanIou, Score, TopOne
from semcomp.errors import ImageError, SemcompError
from semcomp.semantics.class_names import read_lines
from semcomp.semantics.head import Palette, default_palette
from semcomp.semantics.mask_file import read_numbers
from semcomp.semantics.results import VOID

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm"}


class DataError(SemcompError):
    """Training data is missing or does not fit together."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the pictures are, and how they are cut."""

    folder: str | None = None
    """Pictures in one of the two layouts; or give the next three."""
    images: str | None = None
    masks: str | None = None
    classes: str | None = None
    """classes.txt."""
    hold_out: str | None = None
    """Validate on the training pictures whose name begins so, instead of on val/ or on a random part."""
    held_part: float = 0.1
    """Part to validate on where there is neither val/ nor hold_out."""
    ignore: tuple[str, ...] = ("void", "ignore", "unlabeled", "unlabelled")
    """Classes of masks that are neither trained on nor counted."""
    void: int = 255
    """Number in masks that means "nothing is known here": neither trained on nor counted."""
    palette: tuple[str, ...] = ()
    """Colours of the classes as #rrggbb; empty for Pascal VOC's."""
    limit: int | None = None
    """Largest number of training pictures that are used."""
    side: int = 224
    """Side of a training crop in pixels, a multiple of 32."""
    copies: int = 8
    """Crops of each picture, cut, scaled, mirrored and recoloured at random, and encoded at a random quality."""
    zoom: tuple[float, ...] = (0.75, 1.75)
    """Range of the factor by which masks' crops are scaled."""
    enlarge: bool = False
    """Enlarge a picture that is smaller than its crop, further than `zoom` says, instead of filling it up."""
    area: tuple[float, ...] = (0.35, 1.0)
    """Range of the part of a picture that a classifier's crop shows."""
    recolour: float = 0.3
    """Largest relative change of brightness, contrast and saturation."""
    qualities: tuple[int, ...] = (1, 100)
    """Range of the qualities that are drawn."""

    def __post_init__(self) -> None:
        if self.side % 32 or self.side < 32:
            raise ValueError(f"data.side is a multiple of 32, not {self.side}")
        for name in ("zoom", "area", "qualities"):
            values = getattr(self, name)
            if len(values) != 2 or not 0 < values[0] <= values[1]:
                raise ValueError(f"data.{name} is two ascending numbers, not {list(values)}")


@dataclass(frozen=True)
class Sample:
    """One picture, and its class number or the path of its mask."""

    image: Path
    target: int | Path


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Training and validation samples. Each task has a type of its own."""

    task: ClassVar[str]
    """The word for the task in files and configurations."""
    score: ClassVar[type[Score]]
    """Measures the answers of heads."""
    classes: tuple[str, ...]
    palette: Palette = ()
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]

    def new_score(self) -> Score:
        """Make a score that has counted nothing."""
        return self.score(self.classes)

    @abstractmethod
    def mask(self, sample: Sample) -> NDArray[np.uint8] | None:
        """Read a mask: uint8 (H, W) of class numbers and VOID; None where samples have a class each.

        DataError if a file is not a mask.
        """

    @abstractmethod
    def truth(self, sample: Sample) -> Any:
        """The number of a picture's class, or its mask."""


class ClassFolders(Dataset):
    """Pictures with a class each."""

    task, score = "classify", TopOne

    def mask(self, sample: Sample) -> None:
        return None

    def truth(self, sample: Sample) -> Any:
        return sample.target


@dataclass(frozen=True, kw_only=True)
class ImagesAndMasks(Dataset):
    """Pictures with a mask each."""

    task, score = "segment", MeanIou
    void: int = VOID
    """Number in masks that means "nothing is known here"."""
    numbers: NDArray[Any]
    """Lookup table, uint8 (256,): maps a number in a mask to a class, or to VOID for none of the classes."""

    def mask(self, sample: Sample) -> NDArray[np.uint8]:
        assert isinstance(sample.target, Path)
        try:
            numbers = read_numbers(sample.target)
        except ImageError as error:
            raise DataError(str(error)) from error
        numbers = np.where(numbers == self.void, VOID, numbers)
        if numbers.min() < 0 or numbers.max() > VOID:
            wrong = numbers.min() if numbers.min() < 0 else numbers.max()
            raise DataError(f"{sample.target} holds the number {wrong}; a mask holds 0..255, or data.void where void")
        return self.numbers[numbers]

    def truth(self, sample: Sample) -> Any:
        return self.mask(sample)


def find_dataset(task: str, config: DataConfig) -> Dataset:
    """List the pictures. DataError where a folder, a mask or a class is missing, or there is no such task."""
    finders = {ClassFolders.task: _folders_of_classes, ImagesAndMasks.task: _images_and_masks}
    if task not in finders:
        raise DataError(f"there is no task {task}; choose one of {', '.join(finders)}")
    return finders[task](config)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _folders_of_classes(config: DataConfig) -> Dataset:
    root = _existing(config.folder, "data.folder")
    train = root / "train" if (root / "train").is_dir() else root
    folders = sorted(p.name for p in train.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(folders) < 2:
        raise DataError(f"{train} holds {len(folders)} folders of pictures; a classifier needs at least two classes")
    names = dict(line.split(maxsplit=1) for line in _lines(config.classes, root / "classes.txt") if " " in line)

    def samples(below: Path) -> list[Sample]:
        found = [Sample(p, k) for k, name in enumerate(folders) for p in pictures_in(below / name)]
        if not found:
            raise DataError(f"no picture in the folders below {below}; known endings: {' '.join(sorted(SUFFIXES))}")
        return found

    own_val = root / "val"
    given, val = samples(train), samples(own_val) if own_val.is_dir() and own_val != train else None
    kept, held = _split(given, val, config)
    return ClassFolders(classes=tuple(names.get(name, name) for name in folders), train=kept, val=held)


def _images_and_masks(config: DataConfig) -> Dataset:
    root = _existing(config.folder, "data.folder") if config.folder else None
    if root is None:
        images, masks = _existing(config.images, "data.images"), _existing(config.masks, "data.masks")
        classes, own_val = config.classes, None
    else:
        base = root / "train" if (root / "train").is_dir() else root
        images, masks = _existing(str(base / "images"), "images"), _existing(str(base / "masks"), "masks")
        classes, own_val = config.classes or str(root / "classes.txt"), root / "val"
    lines = _lines(classes, None)
    if not any(lines):
        raise DataError(f"no classes: write a classes.txt with a name a line into {root or images.parent}")
    numbers, names = _classes_of(lines, config, file=classes)

    def samples(images: Path, masks: Path) -> list[Sample]:
        by_stem = {path.stem: path for path in pictures_in(masks)}
        found = [(path, by_stem.get(path.stem)) for path in pictures_in(images)]
        if not found:
            raise DataError(f"no picture below {images}; known endings: {' '.join(sorted(SUFFIXES))}")
        missing = [path.name for path, mask in found if mask is None]
        if missing:
            raise DataError(f"{len(missing)} pictures have no mask in {masks}, the first is {missing[0]}")
        return [Sample(path, mask) for path, mask in found if mask]

    val = samples(own_val / "images", own_val / "masks") if own_val and (own_val / "images").is_dir() else None
    kept, held = _split(samples(images, masks), val, config)
    palette = tuple(_colour(text) for text in config.palette) or default_palette(len(names))
    if len(palette) != len(names):
        raise DataError(f"data.palette holds {len(palette)} colours for {len(names)} classes")
    return ImagesAndMasks(classes=names, palette=palette, train=kept, val=held, void=config.void, numbers=numbers)


def _classes_of(lines: list[str], config: DataConfig, *, file: str | None) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The lookup table of `ImagesAndMasks.numbers`, and the names of the classes, from the lines of classes.txt."""
    numbered = all(line.split()[0].isdecimal() and " " in line for line in lines if line)
    pairs = [
        (int(line.split()[0]), line.split(maxsplit=1)[1]) if numbered else (k, line)
        for k, line in enumerate(lines)
        if line
    ]
    wanted = [(number, name) for number, name in pairs if name.lower() not in config.ignore and number != config.void]
    if beyond := [number for number, _ in wanted if number >= VOID]:
        raise DataError(f"{file} numbers a class {beyond[0]}; class numbers are 0..{VOID - 1}")
    numbers = np.full(VOID + 1, VOID, np.uint8)
    for k, (number, _) in enumerate(wanted):
        numbers[number] = k
    return numbers, tuple(name for _, name in wanted)


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = bytes.fromhex(text.lstrip("#"))
    except ValueError:
        raise DataError(f"{text!r} is not a colour; write it as #rrggbb") from None
    return red, green, blue


def _split(
    given: list[Sample], val: list[Sample] | None, config: DataConfig
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Training and validation samples: by name, by folder, or at even steps in an order drawn from seed 0."""
    if config.hold_out:
        val = [sample for sample in given if sample.image.name.startswith(config.hold_out)]
        given = [sample for sample in given if sample not in set(val)]
        if not val or not given:
            raise DataError(f"no picture, or every one, has a name that begins with {config.hold_out}")
    elif val is None:
        order = np.random.default_rng(0).permutation(len(given))
        held = set(order[: max(1, round(config.held_part * len(given)))].tolist())
        val = [sample for k, sample in enumerate(given) if k in held]
        given = [sample for k, sample in enumerate(given) if k not in held]
    if config.limit is not None:
        order = np.random.default_rng(1).permutation(len(given))[: config.limit]
        given = [given[k] for k in sorted(order.tolist())]
    return tuple(given), tuple(val)


def _existing(path: str | None, what: str) -> Path:
    if path is None:
        raise DataError(f"{what} is missing: give --data FOLDER, or set it in the configuration")
    found = Path(path).expanduser()
    if not found.is_dir():
        raise DataError(f"{what}: there is no folder {found}")
    return found


def _lines(path: str | Path | None, default: Path | None) -> list[str]:
    file = Path(path).expanduser() if path else default
    if file is None or not file.is_file():
        if path:
            raise DataError(f"there is no file {file}")
        return []
    try:
        return read_lines(file)
    except ImageError as error:
        raise DataError(str(error)) from error


def pictures_in(folder: Path, *, below: bool = False) -> list[Path]:
    """The picture files of a folder, with `below` also in the folders inside it. A missing folder has none."""
    if not folder.is_dir():
        return []
    paths = folder.rglob("*") if below else folder.iterdir()
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
