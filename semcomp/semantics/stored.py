"""What a file can say about its image besides the pixels: labels with scores, and a label map.

    heads = semcomp.semantics.stored.from_heads([semcomp.load_head("street")])
    data = codec.encode(image, semantics=heads)
    labels, segmentation = semcomp.semantics.stored.read_semantics(data)

Semantics beside the coded image are DeepSIC's pre-semantic form (Luo et al. 2018): made once, at encoding time, and
read without any network. They are optional chunks: damage to them costs the semantics, never the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from semcomp.bitstream.container import MAX_PIXELS, Chunk, ChunkKind, Container
from semcomp.bitstream.container import read as read_container
from semcomp.bitstream.label_map import LabelMap, expand, pack_label_map, reduce_map, unpack_label_map
from semcomp.bitstream.tags import Tag, are_areas, pack_tags, unpack_tags
from semcomp.errors import FormatError, ImageError
from semcomp.semantics.embedding import Embedding, pack_embedding, unpack_embedding
from semcomp.semantics.head import Classifier, Embedder, Head, Segmenter
from semcomp.semantics.results import Labels, Segmentation
from semcomp.types import Latents

LABEL_CELL = 4
"""Pixels a side of a cell of the stored label map, unless told otherwise."""
STORED_LABELS = 16
"""Largest number of a head's labels that are stored."""
LEAST_SCORE = 0.005
"""Least probability of a stored label. A label that covers less than results.LEAST_AREA is not stored either."""


@dataclass(frozen=True, kw_only=True)
class Semantics:
    """What is stored in a file."""

    labels: Labels | None = None
    segmentation: Segmentation | None = None
    embedding: Embedding | None = None
    cell: int = LABEL_CELL
    """The map is stored at one value for `cell` x `cell` pixels, by majority; 1 stores every pixel."""

    def chunks(self, *, width: int, height: int) -> list[Chunk]:
        """Make the chunks for an image of this size. ImageError for a map of another size, or one that is too large."""
        try:
            return self._chunks(width, height)
        except ValueError as error:
            raise ImageError(f"these semantics do not fit into a file: {error}") from error

    def _chunks(self, width: int, height: int) -> list[Chunk]:
        chunks = []
        if self.labels is not None:
            tags = [Tag(name, score) for name, score in zip(self.labels.names, self.labels.scores, strict=True)]
            chunks.append(Chunk(ChunkKind.TAGS, pack_tags(tags, source=self.labels.head, areas=self.labels.areas)))
        if self.segmentation is not None:
            given = self.segmentation.label_map
            if given.shape != (height, width):
                raise ImageError(
                    f"the label map is {given.shape[1]}x{given.shape[0]}, the picture {width}x{height}; make them equal"
                )
            stored = LabelMap(
                cells=reduce_map(given, self.cell),
                cell=self.cell,
                classes=self.segmentation.classes,
                palette=self.segmentation.palette,
                source=self.segmentation.head,
            )
            chunks.append(Chunk(ChunkKind.LABEL_MAP, pack_label_map(stored, width=width, height=height)))
        if self.embedding is not None:
            chunks.append(Chunk(ChunkKind.EMBEDDING, pack_embedding(self.embedding)))
        return chunks


SemanticsLike = Semantics | Callable[[Latents], Semantics]
"""Semantics, or what makes them from the latents that a file will hold."""


def from_heads(
    heads: Sequence[Head],
    *,
    labels: bool = True,
    label_map: bool = True,
    cell: int = LABEL_CELL,
    embedder: Embedder | None = None,
) -> Callable[[Latents], Semantics]:
    """Run heads at encoding time. The first classifier gives the labels, or else the areas of the first segmenter.

    A head that knows nothing of an image gives an empty list of labels, which is stored as such.

    Args:
        heads: Heads to run, in order of preference.
        labels: Whether labels are stored.
        label_map: Whether the map of the first segmenter is stored.
        cell: Pixels a side of a cell of the map.
        embedder: Makes the embedding that is stored; None stores none.

    Returns:
        What `Codec.encode` takes as `semantics`.
    """

    def describe(latents: Latents) -> Semantics:
        found: Labels | None = None
        segmentation: Segmentation | None = None
        for head in heads:
            if isinstance(head, Classifier) and labels and found is None:
                found = head(latents)
            elif isinstance(head, Segmenter) and segmentation is None:
                segmentation = head(latents)
        if labels and found is None and segmentation is not None:
            found = segmentation.labels()
        return Semantics(
            labels=_worth_storing(found) if labels and found is not None else None,
            segmentation=segmentation if label_map else None,
            embedding=None if embedder is None else embedder(latents),
            cell=cell,
        )

    return describe


def _worth_storing(labels: Labels) -> Labels:
    count = sum(score >= LEAST_SCORE for score in labels.scores[:STORED_LABELS])
    return labels.top(count)


def read_semantics(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[Labels | None, Segmentation | None]:
    """Read the labels and the label map of a file, None where there is none. FormatError where one is damaged."""
    container = read_container(data, max_pixels=max_pixels)
    return read_labels(container), read_segmentation(container)


def read_labels(container: Container) -> Labels | None:
    """Read the stored labels, None where there are none. FormatError where they are damaged."""
    body = _body(container, ChunkKind.TAGS)
    if body is None:
        return None
    source, tags = unpack_tags(body)
    return Labels(
        names=tuple(t.name for t in tags), scores=tuple(t.score for t in tags), head=source, areas=are_areas(body)
    )


def read_embedding(container: Container) -> Embedding | None:
    """Read the stored embedding, None where there is none. FormatError where it is damaged."""
    body = _body(container, ChunkKind.EMBEDDING)
    return None if body is None else unpack_embedding(body)


def read_segmentation(container: Container) -> Segmentation | None:
    """Read the stored label map at full resolution, None where there is none. FormatError where it is damaged."""
    body = _body(container, ChunkKind.LABEL_MAP)
    if body is None:
        return None
    width, height = container.header.width, container.header.height
    stored = unpack_label_map(body, width=width, height=height)
    return Segmentation(
        label_map=expand(stored.cells, stored.cell, width=width, height=height),
        classes=stored.classes,
        palette=stored.palette,
        head=stored.source,
    )


def stored_map(container: Container, *, head: str | None) -> tuple[Segmentation | None, str]:
    """Look for a stored label map that spares the run of a head.

    Args:
        container: The file.
        head: Name of the head that would run. None takes the map of any head.

    Returns:
        The map, or None where the file has none of this head; and a warning, which is empty unless a damaged map was
        passed over.

    Raises:
        FormatError: The map is damaged, and there is no head that could make another one.
    """
    try:
        found = read_segmentation(container)
    except FormatError as error:
        damage = f"the stored label map is damaged ({str(error).partition('; copy the file')[0]})"
        if head is None:
            raise FormatError(f"{damage}: copy the file again, or give head=NAME to make another map") from error
        return None, f"{damage}; the head runs instead"
    return (found if found is not None and head in (None, found.head) else None), ""


def _body(container: Container, kind: ChunkKind) -> bytes | None:
    for lost in container.lost:
        if lost.name == kind.name:
            raise FormatError(f"{kind.name} is lost: {lost.reason}; copy the file again")
    return container.get(kind)
