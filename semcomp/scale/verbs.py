"""What each verb makes of the bytes of one file: the values of its row, and the file that it writes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from semcomp.backend import open_codec, open_embedder, open_head
from semcomp.bitstream.container import MAGIC, read_header
from semcomp.errors import SemcompError, SemcompWarning, reason_of
from semcomp.scale.task import MapTask

if TYPE_CHECKING:
    from semcomp.imaging.picture import Picture
    from semcomp.pipeline.base_codec import BaseCodec
    from semcomp.semantics.head import Classifier, Embedder, Segmenter
    from semcomp.semantics.results import Labels
    from semcomp.types import Latents

Row = dict[str, Any]
LATENT_QUALITY, FILE_QUALITY = 75, 50
"""Quality of pictures that are encoded for their latents, and of files."""


class Tools:
    """The networks of a worker. Each is loaded when the first file needs it."""

    def __init__(self, task: MapTask) -> None:
        self.task = task
        self._codec: BaseCodec[Any] | None = None
        self._head: Classifier | Segmenter | None = None

    @cached_property
    def embedder(self) -> Embedder:
        """What embeds images: the features of the head, or the latents alone."""
        from semcomp.semantics.embedding import POOLED

        return open_embedder(self.task.head or POOLED, self.codec)

    @cached_property
    def embedding_width(self) -> int:
        """Length of the vectors of `embed`."""
        import numpy as np

        if self.embedder.head is None:
            return 2 * self.codec.channels
        return len(self.embedder.vector(self.codec.latents_of_image(np.zeros((64, 64, 3), np.uint8))))

    @property
    def codec(self) -> BaseCodec[Any]:
        """The codec of the task."""
        if self._codec is None:
            task = self.task
            self._codec = open_codec(
                task.model,
                device=task.device,
                threads=task.threads,
                lossless_weights=task.lossless_weights,
                graphs=task.graphs,
            )
        return self._codec

    @property
    def head(self) -> Classifier | Segmenter:
        """The head of the task."""
        if self._head is None:
            if self.task.head is None:
                raise SemcompError("no label map is stored here, and no head is given: give head=NAME to make one")
            self._head = open_head(self.task.head, self.codec, min_confidence=self.task.min_confidence or 0.0)
        return self._head

    def load(self) -> None:
        """Load what every file needs, so that missing weights are one error rather than one for each file."""
        if self.task.verb != "info":
            _ = self.codec
        if self.task.verb == "embed":
            _ = self.embedder
        elif self.task.head is not None:
            _ = self.head


class Outcome(NamedTuple):
    """What a verb makes of one file."""

    row: Row
    output: bytes | None = None
    """The file that the verb writes."""


def info_row(data: bytes, tools: Tools) -> Outcome:
    """Describe a `.semc` file. No network runs."""
    from semcomp.bitstream.inspect import info

    facts = info(data)
    names = ("width", "height", "mode", "quality", "bpp", "flags", "entropy_id", "model_id", "color_space")
    more = ("has_alpha", "has_exif", "preview")
    return Outcome(
        {
            **{name: getattr(facts, name) for name in (*names, *more)},
            "head": facts.labels_source,
            "labels": [label.name for label in facts.labels],
            "scores": [label.score for label in facts.labels],
            "map_classes": None if facts.label_map is None else list(facts.label_map.classes),
            "lost": list(facts.lost),
        }
    )


def classify_row(data: bytes, tools: Tools) -> Outcome:
    """Label a file by its latents."""
    from semcomp.semantics.results import Segmentation

    latents = latents_of(data, tools)
    answer = tools.head(latents)
    labels = (answer.labels() if isinstance(answer, Segmentation) else answer).top(tools.task.top)
    kind = "areas" if labels.areas else "probabilities"
    return Outcome({**_size(latents), **_labels(labels), "scores_are": kind})


def segment_row(data: bytes, tools: Tools) -> Outcome:
    """Give the share of the picture that each class covers: by the stored map, or by the head."""
    from semcomp.bitstream.container import read
    from semcomp.semantics.head import not_a_segmenter
    from semcomp.semantics.label_png import palette_png
    from semcomp.semantics.results import Segmentation
    from semcomp.semantics.stored import stored_map

    ask = tools.task.min_confidence is not None  # a stored map has no probabilities
    segmentation = None
    if data.startswith(MAGIC) and not ask:
        segmentation, note = stored_map(read(data), head=tools.task.head)
        if note:
            warnings.warn(note, SemcompWarning, stacklevel=2)
    stored = segmentation is not None
    if not stored:
        answer = tools.head(latents_of(data, tools))
        segmentation = answer if isinstance(answer, Segmentation) else not_a_segmenter(tools.head)
    assert segmentation is not None
    shares = segmentation.labels(least=0.0)
    height, width = segmentation.label_map.shape
    return Outcome(
        {
            **{"width": width, "height": height, "head": segmentation.head, "stored": stored},
            **{"classes": list(shares.names), "shares": list(shares.scores), "unknown": segmentation.void_share},
            "label_map": palette_png(segmentation) if tools.task.maps else None,
        }
    )


def embed_row(data: bytes, tools: Tools) -> Outcome:
    """Describe a file by one vector: the features of the head, or the mean and deviation of each channel of latents."""
    latents = latents_of(data, tools)
    return Outcome({**_size(latents), "quality": latents.quality, "embedding": tools.embedder.vector(latents)})


def encode_row(data: bytes, tools: Tools) -> Outcome:
    """Encode a picture, with the labels and the map of the head where one is given."""
    from semcomp.semantics.stored import from_heads, read_labels

    task, picture = tools.task, _picture(data, tools.task)
    more: dict[str, Any] = {"strip": task.strip}
    if task.preview is not None:
        more["preview"] = task.preview
    if task.head is not None:
        more["semantics"] = from_heads([tools.head])
    target = {name: getattr(task, name) for name in ("bpp", "max_bytes", "psnr") if getattr(task, name) is not None}
    psnr_db = None
    if target:
        encoded = tools.codec.encode_to(picture, **more, **target)
        output, quality, psnr_db = encoded.data, encoded.quality, encoded.psnr_db
    else:
        quality = FILE_QUALITY if task.quality is None else task.quality
        output = tools.codec.encode(picture, quality=quality, **more)
    row = {"width": picture.width, "height": picture.height, "quality": quality, "psnr_db": psnr_db}
    row |= {"output_bytes": len(output), "bpp": 8 * len(output) / (picture.width * picture.height)}
    if task.head is not None:
        from semcomp.bitstream.container import read

        labels = read_labels(read(output))
        row |= {} if labels is None else _labels(labels.top(task.top))
    return Outcome(row, output)


def decode_row(data: bytes, tools: Tools) -> Outcome:
    """Decode a `.semc` file to an image file."""
    from semcomp.pipeline.lossless import image_file

    exact = tools.codec.decode_exact(data)
    picture = tools.codec.decode(data) if exact is None else exact
    output, width, height, synthesised = image_file(picture, name=tools.task.format)
    row: Row = {"width": width, "height": height, "output_bytes": len(output)}
    return Outcome(row | {"bpp": 8 * len(data) / (width * height), "synthesised": synthesised}, output)


FUNCTIONS: dict[str, Callable[[bytes, Tools], Outcome]] = {
    "info": info_row,
    "classify": classify_row,
    "segment": segment_row,
    "embed": embed_row,
    "encode": encode_row,
    "decode": decode_row,
}
"""Maps each verb to its function."""


def latents_of(data: bytes, tools: Tools) -> Latents:
    """Entropy-decode the bytes of a `.semc` file, or encode a picture as far as its latents."""
    if data.startswith(MAGIC):
        return tools.codec.latents(data)
    picture, quality = _picture(data, tools.task), tools.task.quality
    return tools.codec.latents_of_image(picture, quality=LATENT_QUALITY if quality is None else quality)


def _picture(data: bytes, task: MapTask) -> Picture:
    from semcomp.imaging.picture import open_picture

    return open_picture(
        data, convert=task.convert, convert_colour=task.convert_colour, keep_hidden_colour=task.keep_hidden_colour
    )


def _size(latents: Latents) -> Row:
    return {"width": latents.width, "height": latents.height}


def _labels(labels: Labels) -> Row:
    return {"head": labels.head, "labels": list(labels.names), "scores": list(labels.scores)}


def size_in(data: bytes) -> Row:
    """The size of a `.semc` file's picture, for the row of a file that failed later; nothing for other files."""
    if not data.startswith(MAGIC):
        return {}
    try:
        header, _ = read_header(data)
    except SemcompError:
        return {}
    return {"width": header.width, "height": header.height}


def error_row(error: BaseException) -> Row:
    """The columns that say why a file failed."""
    return {"error_kind": type(error).__name__, "error": json.loads(json.dumps(reason_of(error)))}
