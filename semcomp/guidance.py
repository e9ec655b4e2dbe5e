"""What guides a generator, and which one a file was made for: the part of decoding that needs no network.

    segmentation = stored_guide(container)                  # the stored label map, classes renamed on request
    planes = guide_planes(label_map, classes=11, rows=.., columns=..)
    check_generator(container, name=.., generator_id=.., entropy_id=..)
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from semcomp.answers import Segmentation
from semcomp.container import ChunkKind, Container
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning
from semcomp.keepmask import class_number
from semcomp.payload import read_segmentation
from semcomp.provenance import GeneratorNote, Origin, in_words, read_generator, read_origin

REALISTIC = "realistic"
"""The name that is given for whichever generator a file was made for."""
CELL = 8
"""Pixels a side of what a generator reads of a label map."""
STRIDE = 16
"""Pixels a side of a position."""


def made_for(container: Container) -> GeneratorNote | None:
    """The generator that a file was made for, None where it names none."""
    body = container.get(ChunkKind.GENERATOR)
    return None if body is None else read_generator(body)


def check_generator(container: Container, *, name: str, generator_id: bytes, entropy_id: str) -> None:
    """ModelError where a generator reads latents of another codec; a warning where the file was made for another."""
    wanted, note = container.header.entropy_id.hex(), made_for(container)
    if entropy_id != wanted:
        raise ModelError(
            f"the generator {name} reads latents with entropy id {entropy_id}, the file has {wanted}: "
            "choose another one, or --generator faithful"
        )
    if note is not None and note.generator_id != generator_id:
        warnings.warn(
            f"this file was made for the generator {note.name} {note.generator_id.hex()}, this is {name} "
            f"{generator_id.hex()}: what is synthesised will differ",
            SemcompWarning, stacklevel=4,
        )  # fmt: skip


def note_of(container: Container, *, name: str, generator_id: bytes) -> str:
    """What of a picture that this generator completes is real: one sentence for its metadata."""
    given = read_origin(container) or Origin(
        generator="", generator_id="", guided=False, kept_share=0.0, kept_boxes=()
    )
    real, made = in_words(replace(given, generator=name, generator_id=generator_id.hex()))
    return f"Not a plain photograph: {made}. Real: {real}."


def stored_guide(container: Container, relabel: Mapping[str, str] | None = None) -> Segmentation | None:
    """The label map that guides a file's generator, with classes renamed to others; None where none does.

    ImageError where a class to rename is not there. Warns where the map is lost.
    """
    try:
        segmentation = read_segmentation(container)
    except FormatError as error:
        warnings.warn(f"{error}; the generator does without", SemcompWarning, stacklevel=3)
        segmentation = None
    if not relabel:
        return segmentation
    if segmentation is None:
        raise ImageError("there is no label map to relabel: encode the picture with --mode generative --map, or --keep")
    numbers = np.arange(256, dtype=np.uint8)
    for old, new in relabel.items():
        numbers[class_number(old, segmentation.classes)] = class_number(new, segmentation.classes)
    return replace(segmentation, label_map=numbers[segmentation.label_map])


def guide_of(
    segmentation: Segmentation | None, *, name: str, classes: Sequence[str], rows: int, columns: int
) -> np.ndarray:
    """What the generator `name`, which knows `classes`, reads of a label map: see `guide_planes`.

    Classes are matched by their names; one that the generator does not know guides nothing. ImageError where it knows
    none of them.
    """
    if segmentation is None:
        return guide_planes(None, classes=len(classes), rows=rows, columns=columns)
    numbers = translation(segmentation.classes, classes)
    if all(numbers[k] == len(classes) for k in range(len(segmentation.classes))):
        raise ImageError(f"the generator {name} knows none of the label map's classes; it knows {', '.join(classes)}")
    return guide_planes(numbers[segmentation.label_map], classes=len(classes), rows=rows, columns=columns)


def translation(given: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """uint8 (256,): for the number of a given class that of the known one it means, else the number of known ones."""
    numbers = np.full(256, len(known), np.uint8)
    for number, name in enumerate(given):
        try:
            numbers[number] = class_number(name, known)
        except ImageError:
            continue
    return numbers


def guide_planes(label_map: np.ndarray | None, *, classes: int, rows: int, columns: int) -> np.ndarray:
    """The `guide` of a generator, float32 (1, K+1, 2 rows, 2 columns): for each class the part of a cell it covers.

    `label_map` is (H, W), at most 16 rows x 16 columns pixels; numbers of K and above belong to no class, and pixels
    outside the picture to that of its edge. None is a picture without a map: then the last plane is 1.
    """
    fine_rows, fine_columns = STRIDE // CELL * rows, STRIDE // CELL * columns
    planes = np.zeros((1, classes + 1, fine_rows, fine_columns), np.float32)
    if label_map is None:
        planes[:, classes] = 1
        return planes
    height, width = label_map.shape
    padded = np.pad(label_map, ((0, STRIDE * rows - height), (0, STRIDE * columns - width)), mode="edge")
    cells = padded.reshape(fine_rows, CELL, fine_columns, CELL)
    for number in range(classes):
        planes[0, number] = (cells == number).mean(axis=(1, 3), dtype=np.float32)
    return planes
