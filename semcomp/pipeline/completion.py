"""Which generator completes a file, and the label map that guides it. No network is needed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semcomp.bitstream.container import Chunk, ChunkKind, Container
from semcomp.bitstream.generator_note import GeneratorNote, pack_generator, read_generator
from semcomp.bitstream.keep_mask import pack_keep
from semcomp.bitstream.origin import Origin, in_words, read_origin
from semcomp.errors import FormatError, ImageError, ModelError, SemcompWarning
from semcomp.semantics.class_names import class_number
from semcomp.semantics.results import Segmentation
from semcomp.semantics.stored import Semantics, read_segmentation

if TYPE_CHECKING:
    from semcomp.imaging.picture import Picture


class GeneratorChoice(str, Enum):
    """What `decode(generator=...)` takes besides the name or the file of a generator. Plain strings are equal to it."""

    FAITHFUL = "faithful"
    """Synthesise nothing."""
    REALISTIC = "realistic"
    """Take the generator that the file was made for, or the default one."""

    __str__ = str.__str__


FAITHFUL, REALISTIC = GeneratorChoice.FAITHFUL, GeneratorChoice.REALISTIC
DEFAULT_GENERATOR = "photos"
"""The generator of REALISTIC for a file that was made for none, in every backend."""


def made_for(container: Container) -> GeneratorNote | None:
    """The generator that a file was made for. None where it names none."""
    body = container.get(ChunkKind.GENERATOR)
    return None if body is None else read_generator(body)


def wanted_generator(container: Container, generator: str | Path | None) -> str | Path:
    """The name or file of the generator that a file is to be decoded with.

    Args:
        container: The file.
        generator: A GeneratorChoice, a name or a file. None means what the file was made for.

    Returns:
        `generator` where it is a name or a file, else what the file was made for, else DEFAULT_GENERATOR.
    """
    if generator is not None and generator != REALISTIC:
        return generator
    note = made_for(container)
    return DEFAULT_GENERATOR if note is None else note.name


def check_generator(container: Container, *, name: str, generator_id: bytes, entropy_id: str) -> None:
    """Check that a generator can complete a file.

    Raises:
        ModelError: The generator reads latents of another codec.

    Warns:
        SemcompWarning: The file was made for another generator.
    """
    wanted, note = container.header.entropy_id.hex(), made_for(container)
    if entropy_id != wanted:
        raise ModelError(
            f"the generator {name} reads latents with entropy id {entropy_id}, the file has {wanted}: "
            'choose another one, or the generator "faithful"'
        )
    if note is not None and note.generator_id != generator_id:
        warnings.warn(
            f"this file was made for the generator {note.name} {note.generator_id.hex()}, this is {name} "
            f"{generator_id.hex()}: what is synthesised will differ",
            SemcompWarning,
            stacklevel=4,
        )


def note_of(container: Container, *, name: str, generator_id: bytes) -> str:
    """A sentence for the picture's metadata: what a generator has synthesised, and what is real."""
    given = read_origin(container) or Origin(generator="", generator_id="", guided=False, kept_share=0.0, kept_boxes=())
    real, made = in_words(replace(given, generator=name, generator_id=generator_id.hex()))
    return f"Not a plain photograph: {made}. Real: {real}."


def stored_guide(container: Container, relabel: Mapping[str, str] | None = None) -> Segmentation | None:
    """The label map that guides a file's generator.

    Args:
        container: The file.
        relabel: Classes to rename, old name to new name.

    Returns:
        The label map, or None where the file holds none.

    Raises:
        ImageError: A class of `relabel` is not in the label map, or there is no label map to rename classes of.

    Warns:
        SemcompWarning: The label map is damaged. The generator then works without it.
    """
    try:
        segmentation = read_segmentation(container)
    except FormatError as error:
        warnings.warn(f"{error}; the generator does without", SemcompWarning, stacklevel=3)
        segmentation = None
    if not relabel:
        return segmentation
    if segmentation is None:
        raise ImageError("there is no label map to relabel: encode the picture for a generator with a label map")
    numbers = np.arange(256, dtype=np.uint8)
    for old, new in relabel.items():
        numbers[class_number(old, segmentation.classes)] = class_number(new, segmentation.classes)
    return replace(segmentation, label_map=numbers[segmentation.label_map])


@dataclass(frozen=True, kw_only=True)
class GenerativePlan:
    """What a file will hold of a picture that is synthesised, wholly or partly."""

    note: GeneratorNote
    keep: NDArray[np.bool_] | None
    """bool (rows, columns) of y: positions that are coded. None codes everything."""
    segmentation: Segmentation | None
    """The label map that guides the generator."""
    cell: int
    """Pixels of a cell of the stored label map."""

    def chunks(self, *, width: int, height: int) -> list[Chunk]:
        """The chunks GENERATOR, REGIONS and LABEL_MAP of a picture.

        Raises:
            ImageError: The label map or the regions do not fit the picture or the format.
        """
        try:
            chunks = [Chunk(ChunkKind.GENERATOR, pack_generator(self.note))]
            if self.keep is not None:
                chunks.append(Chunk(ChunkKind.REGIONS, pack_keep(self.keep)))
        except ValueError as error:
            raise ImageError(f"what is kept does not fit into a file: {error}") from error
        guide = Semantics(segmentation=self.segmentation, cell=self.cell)
        return chunks + guide.chunks(width=width, height=height)


class PriorityLike(Protocol):
    """Chooses what of a picture is worth its bits, as semcomp.generative.priority.Priority does."""

    def weighted(self, codec: Any, picture: Picture, y: Any) -> Any:
        """Return the analysis to code in place of the analysis `y`.

        Raises:
            ImageError: The choice does not fit the picture.
        """


class GenerativeLike(Protocol):
    """Makes a plan for a picture, as semcomp.generative.request.Request does."""

    def plan(self, codec: Any, picture: Picture, y: Any) -> GenerativePlan:
        """Decide what to store of a picture with analysis `y`.

        Raises:
            ImageError: The request does not fit the picture.
        """
