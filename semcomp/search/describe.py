"""What an index keeps of one photo: its embedding, the signature of its z, and its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from semcomp.backend import open_codec, open_embedder, open_head
from semcomp.bitstream.container import MAGIC, ChunkKind, Container, read
from semcomp.errors import FormatError, ModelError
from semcomp.semantics.stored import read_embedding, read_labels
from semcomp.types import Latents

if TYPE_CHECKING:
    from semcomp.imaging.picture import Picture
    from semcomp.pipeline.base_codec import BaseCodec
    from semcomp.semantics.head import Classifier, Embedder, Segmenter
    from semcomp.semantics.results import Labels
    from semcomp.semantics.signature import Signature
    from semcomp.types import Symbols

T = TypeVar("T")
QUALITY = 75
"""Quality at which pictures that are not .semc files are encoded for their latents."""


@dataclass(frozen=True, kw_only=True)
class IndexTask:
    """What an index is made with."""

    model: str = "base"
    """Weights of the codec: a name or a path."""
    graphs: str | None = None
    """Folder of exported graphs to compute with, as for `MapTask`."""
    lossless_weights: str | None = None
    """File of the lossless networks, which files of exact pixels without latents need."""
    embedder: str | None = None
    """The head whose features are the embeddings; see `load_embedder`."""
    classify: str | None = None
    """Head that labels photos whose file holds no labels. None labels none of them."""
    min_confidence: float = 0.0
    """Least probability of these labels."""
    threads: int = 1
    """CPU threads of a process."""


PLACES = ("graphs", "lossless_weights")
"""Fields of IndexTask that say where networks are. An index notes them, and stays the same where they move."""


def at_noted_places(task: IndexTask, about: Mapping[str, str]) -> IndexTask:
    """Fill in the places that a task does not name with those that an index notes, where something is there."""

    def at(name: str, given: str | None) -> str | None:
        noted = about.get(name)
        return noted if given is None and noted and Path(noted).exists() else given

    graphs, weights = at("graphs", task.graphs), at("lossless_weights", task.lossless_weights)
    return replace(task, graphs=graphs, lossless_weights=weights)


class Described(NamedTuple):
    """What is kept of one photo."""

    width: int
    height: int
    embedding: bytes
    signature: bytes | None
    labels: tuple[tuple[str, float], ...]


class Describer:
    """Describes photos. Each network is loaded when the first photo needs it."""

    def __init__(self, task: IndexTask):
        self.task = task

    @cached_property
    def codec(self) -> BaseCodec[Any]:
        """The codec."""
        task = self.task
        return open_codec(task.model, threads=task.threads, lossless_weights=task.lossless_weights, graphs=task.graphs)

    @cached_property
    def embedder(self) -> Embedder:
        """What embeds photos."""
        return open_embedder(self.task.embedder, self.codec)

    @cached_property
    def labeller(self) -> Classifier | Segmenter | None:
        """The head that labels photos."""
        task = self.task
        if task.classify is None:
            return None
        return open_head(task.classify, self.codec, min_confidence=task.min_confidence)

    @cached_property
    def signature(self) -> Signature | None:
        """What makes signatures; None where there is none for this codec."""
        from semcomp.semantics.signature import load_signature

        try:
            found = load_signature()
        except ModelError:
            return None
        return found if found.entropy_id == self.codec.entropy_id else None

    def load(self) -> None:
        """Load what every photo needs, so that missing weights are one error rather than one for each photo."""
        _ = self.codec, self.embedder, self.labeller, self.signature

    def describe(self, data: bytes) -> Described:
        """Describe the bytes of a `.semc` file or of a picture. Raises SemcompError's."""
        if data.startswith(MAGIC):
            return self._of_file(data, read(data))
        from semcomp.imaging.picture import open_picture

        return self._of_picture(open_picture(data, convert=True))

    def _of_picture(self, picture: Picture) -> Described:
        height, width = picture.height, picture.width
        y = self.codec.analyse(picture)
        symbols, y_hat = self.codec.coder.quantize(y, height=height, width=width, quality=QUALITY, precise=False)
        return self._described(
            symbols, self.codec.with_ids(y_hat, height=height, width=width, quality=QUALITY), None, None
        )

    def _of_file(self, data: bytes, container: Container) -> Described:
        header = container.header
        if container.get(ChunkKind.SYMBOLS) is None:  # exact pixels without latents
            exact = self.codec.decode_exact(data)
            assert exact is not None
            return self._of_picture(exact.picture())
        size = {"height": header.height, "width": header.width}
        embedding, labels = _or_none(read_embedding, container), _or_none(read_labels, container)
        if embedding is not None and (embedding.head != self.embedder.name or not self._knows(container)):
            embedding = None
        if embedding is not None and (labels is not None or self.labeller is None):
            signature = self.signature
            made = None if signature is None else signature.of(self.codec.read_z(data), **size).tobytes()
            return Described(header.width, header.height, embedding.vector.tobytes(), made, _pairs(labels))
        symbols = self.codec.read_symbols(data)
        y_hat = self.codec.coder.dequantize(symbols, quality=header.quality, precise=False)
        vector = None if embedding is None else embedding.vector.tobytes()
        return self._described(symbols, self.codec.with_ids(y_hat, quality=header.quality, **size), vector, labels)

    def _knows(self, container: Container) -> bool:
        return container.header.entropy_id == self.codec.entropy_id

    def _described(
        self, symbols: Symbols, latents: Latents, embedding: bytes | None, labels: Labels | None
    ) -> Described:
        width, height = latents.width, latents.height
        signature = None if self.signature is None else self.signature.of(symbols.z, width=width, height=height)
        return Described(
            width,
            height,
            embedding or self.embedder(latents).vector.tobytes(),
            None if signature is None else signature.tobytes(),
            _pairs(labels if labels is not None or self.labeller is None else self._labels(latents)),
        )

    def _labels(self, latents: Latents) -> Labels:
        from semcomp.semantics.results import Segmentation

        assert self.labeller is not None
        answer = self.labeller(latents)
        return answer.labels() if isinstance(answer, Segmentation) else answer.top(5)


def _pairs(labels: Labels | None) -> tuple[tuple[str, float], ...]:
    return () if labels is None else tuple(zip(labels.names, labels.scores, strict=True))


def _or_none(read_one: Callable[[Container], T | None], container: Container) -> T | None:
    """What an optional chunk holds; None where it is damaged, because the latents can say it too."""
    try:
        return read_one(container)
    except FormatError:
        return None
