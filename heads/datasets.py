"""What a head is trained on: pictures with a class each, or with a mask each.

    classify   FOLDER/<class>/*.jpg, or FOLDER/train/<class>/ and FOLDER/val/<class>/
    classify   FOLDER/labels.tsv, a line "path<TAB>class" for each picture, and FOLDER/classes.txt, a name a line
    segment    FOLDER/images/, FOLDER/masks/, FOLDER/classes.txt, or the same two below FOLDER/train/ and FOLDER/val/

A mask is a palette or grey PNG of the picture's size, with the class number in every pixel. Pixels of `void`, and those
of no class, are neither trained on nor counted. classes.txt holds a name a line, or a number (a class folder's name)
and then the name; an empty line keeps its number and names no class. val.txt beside it, where it is there, names the
pictures to validate on, a name without its ending a line; skip.txt those to leave out (python -m heads.hold_out).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from heads.score import MeanIou, Score, TopOne
from semcomp.errors import ImageError, SemcompError
from semcomp.semantics.head import Palette
from semcomp.semantics.mask_file import read_numbers
from semcomp.semantics.results import VOID

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm"}


class DataError(SemcompError):
    """Training data is missing or does not fit together."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class SetConfig:
    """One of several folders that a head is trained on together."""

    folder: str
    """Pictures with masks, and their classes.txt."""
    often: float = 1.0
    """How often a crop is seen, where a crop of a set with 1 is seen once. A set with 0 is only validated on."""
    trust: float = 1.0
    """Weight of its labels in the loss: 1 for true ones, less for those that a network made."""
    validate: bool = True
    """Whether the figures of the head count the pictures that this set holds out."""

    def __post_init__(self) -> None:
        if self.often < 0 or self.trust <= 0:
            raise ValueError(f"data.sets: often is not negative and trust is positive, not {self.often}, {self.trust}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the pictures are, and how they are cut."""

    folder: str | None = None
    """Pictures in one of the two layouts; or give the next three."""
    images: str | None = None
    masks: str | None = None
    classes: str | None = None
    """classes.txt."""
    sets: tuple[SetConfig, ...] = ()
    """Several folders of pictures with masks of the same classes, instead of one."""
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
    often: float = 1.0
    """How often its crops are seen."""
    trust: float = 1.0
    """Weight of its label in the loss."""


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

    def pixels(self, sample: Sample) -> NDArray[np.uint8]:
        """Read what is seen of a sample: uint8 (H, W, 3)."""
        return read_rgb(sample.image)

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


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), turned the right way up, as the codec sees a photo."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def pictures_in(folder: Path, *, below: bool = False) -> list[Path]:
    """The picture files of a folder, with `below` also in the folders inside it. A missing folder has none."""
    if not folder.is_dir():
        return []
    paths = folder.rglob("*") if below else folder.iterdir()
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def drawn_pictures(folder: Path, limit: int | None, *, without: tuple[str, ...] = ()) -> list[Path]:
    """Draw pictures of a folder and the folders inside it by seed 0.

    Args:
        folder: Holds the pictures.
        limit: The largest number; None for all.
        without: Beginnings of names of pictures, and of folders inside it, that are left out.

    Raises:
        DataError: There is no picture.
    """
    pictures = pictures_in(folder, below=True)
    found = [path for path in pictures if not any(p.startswith(without) for p in path.relative_to(folder).parts)]
    if not found:
        raise DataError(f"no picture below {folder}; known endings: {' '.join(sorted(SUFFIXES))}")
    order = np.random.default_rng(0).permutation(len(found))[:limit]
    return [found[k] for k in sorted(order.tolist())]
