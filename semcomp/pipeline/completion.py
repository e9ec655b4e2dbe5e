"""Which generator a file was made for, and the label map that guides it: what needs no network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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

REALISTIC = "realistic"
"""The name that is given for whichever generator a file was made for."""


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
            SemcompWarning,
            stacklevel=4,
        )


def note_of(container: Container, *, name: str, generator_id: bytes) -> str:
    """What of a picture that this generator completes is real: one sentence for its metadata."""
    given = read_origin(container) or Origin(generator="", generator_id="", guided=False, kept_share=0.0, kept_boxes=())
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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a file will hold of a picture that is partly or wholly synthesised."""

    note: GeneratorNote
    keep: np.ndarray | None
    """bool (rows, columns) of y; None codes everything."""
    segmentation: Segmentation | None
    cell: int

    def chunks(self, *, width: int, height: int) -> list[Chunk]:
        """GENERATOR, REGIONS and LABEL_MAP. ImageError where something does not fit."""
        try:
            chunks = [Chunk(ChunkKind.GENERATOR, pack_generator(self.note))]
            if self.keep is not None:
                chunks.append(Chunk(ChunkKind.REGIONS, pack_keep(self.keep)))
        except ValueError as error:
            raise ImageError(f"what is kept does not fit into a file: {error}") from error
        guide = Semantics(segmentation=self.segmentation, cell=self.cell)
        return chunks + guide.chunks(width=width, height=height)


class GenerativeLike(Protocol):
    """What makes a plan for a picture: semcomp.generative.render.Request."""

    def plan(self, codec: Any, picture: Picture, y: Any) -> Plan:
        """What to store of a picture with analysis `y`. ImageError where it cannot be made for the picture."""
