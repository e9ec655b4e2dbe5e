"""Finds what a head is trained on: the pictures, the classes, and which pictures are held out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heads.datasets import SUFFIXES, ClassFolders, DataConfig, DataError, Dataset, ImagesAndMasks, Sample, pictures_in
from heads.photos import Photos, find_photos
from semcomp.errors import ImageError
from semcomp.semantics.class_names import read_lines
from semcomp.semantics.head import default_palette
from semcomp.semantics.results import VOID


def find_dataset(task: str, config: DataConfig) -> Dataset:
    """List the pictures. DataError where a folder, a mask or a class is missing, or there is no such task."""
    finders: dict[str, Callable[[DataConfig], Dataset]] = {
        ClassFolders.task: _folders_of_classes,
        ImagesAndMasks.task: _images_and_masks,
        Photos.task: find_photos,
    }
    if task not in finders:
        raise DataError(f"there is no task {task}; choose one of {', '.join(finders)}")
    return finders[task](config)


def _folders_of_classes(config: DataConfig) -> Dataset:
    root = _existing(config.folder, "data.folder")
    if (root / "labels.tsv").is_file():
        return _listed(root, config)
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


def _listed(root: Path, config: DataConfig) -> Dataset:
    """Pictures that labels.tsv lists. Their paths are absolute, or relative to the folder."""
    classes = tuple(filter(None, _lines(config.classes, root / "classes.txt")))
    numbers = {name: number for number, name in enumerate(classes)}
    samples = []
    for line in filter(None, _lines(root / "labels.tsv", None)):
        path, _, name = line.partition("\t")
        if name not in numbers:
            raise DataError(f"{root / 'labels.tsv'}: {line!r} is not a path, a tab and a name of classes.txt")
        samples.append(Sample(root / path, numbers[name]))
    if len(samples) < 2 or len(numbers) < 2:
        raise DataError(f"{root} lists {len(samples)} pictures of {len(numbers)} classes; two of each are needed")
    kept, held = _split(samples, None, config, listed=root / "val.txt")
    return ClassFolders(classes=classes, train=kept, val=held)


def _images_and_masks(config: DataConfig) -> ImagesAndMasks:
    if config.sets:
        return _joined(config)
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
        skipped = set(_lines(images.parent / "skip.txt", None)) if (images.parent / "skip.txt").is_file() else set()
        found = [(path, by_stem.get(path.stem)) for path in pictures_in(images) if path.stem not in skipped]
        if not found:
            raise DataError(f"no picture below {images}; known endings: {' '.join(sorted(SUFFIXES))}")
        missing = [path.name for path, mask in found if mask is None]
        if missing:
            raise DataError(f"{len(missing)} pictures have no mask in {masks}, the first is {missing[0]}")
        return [Sample(path, mask) for path, mask in found if mask]

    val = samples(own_val / "images", own_val / "masks") if own_val and (own_val / "images").is_dir() else None
    listed = root / "val.txt" if root else None
    kept, held = _split(samples(images, masks), val, config, listed=listed)
    palette = tuple(_colour(text) for text in config.palette) or default_palette(len(names))
    if len(palette) != len(names):
        raise DataError(f"data.palette holds {len(palette)} colours for {len(names)} classes")
    return ImagesAndMasks(classes=names, palette=palette, train=kept, val=held, void=config.void, numbers=numbers)


def _joined(config: DataConfig) -> ImagesAndMasks:
    """Join several folders of pictures with masks. DataError where their classes or the numbers of these differ."""
    found = [_images_and_masks(replace(config, sets=(), folder=one.folder, limit=None)) for one in config.sets]
    first = found[0]
    for one, dataset in zip(config.sets, found, strict=True):
        if dataset.classes != first.classes or not np.array_equal(dataset.numbers, first.numbers):
            raise DataError(f"{one.folder} has other classes than {config.sets[0].folder}; one head knows one list")
    train = [
        replace(sample, often=one.often, trust=one.trust)
        for one, dataset in zip(config.sets, found, strict=True)
        for sample in dataset.train
        if one.often
    ]
    val = [sample for one, dataset in zip(config.sets, found, strict=True) for sample in dataset.val if one.validate]
    if not train or not val:
        raise DataError(f"the sets leave {len(train)} pictures to train on and {len(val)} to validate on")
    return replace(first, train=_limited(train, config.limit), val=tuple(val))


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
    given: list[Sample], val: list[Sample] | None, config: DataConfig, *, listed: Path | None = None
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Training and validation samples: by name, by folder, by the list, or at random by seed 0, the first that is."""
    if config.hold_out:
        chosen = {sample for sample in given if sample.image.name.startswith(config.hold_out)}
        if not chosen or len(chosen) == len(given):
            raise DataError(f"no picture, or every one, has a name that begins with {config.hold_out}")
        given, val = _parted(given, chosen)
    elif val is None and listed and listed.is_file():
        names = set(filter(None, _lines(listed, None)))
        chosen = {sample for sample in given if sample.image.stem in names}
        if not chosen or len(chosen) == len(given):
            raise DataError(f"{listed} names no picture beside it, or every one")
        given, val = _parted(given, chosen)
    elif val is None:
        order = np.random.default_rng(0).permutation(len(given))[: max(1, round(config.held_part * len(given)))]
        given, val = _parted(given, {given[k] for k in order.tolist()})
    return _limited(given, config.limit), tuple(val)


def _parted(given: list[Sample], chosen: set[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The samples that are not chosen, and those that are, each in the order that they have."""
    return [sample for sample in given if sample not in chosen], [sample for sample in given if sample in chosen]


def _limited(given: list[Sample], limit: int | None) -> tuple[Sample, ...]:
    """Draw samples by seed 1, `limit` at most."""
    if limit is None:
        return tuple(given)
    order = np.random.default_rng(1).permutation(len(given))[:limit]
    return tuple(given[k] for k in sorted(order.tolist()))


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
