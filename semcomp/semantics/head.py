"""Recognition without pixels: what a head is, what it answers, and where heads are found.

    head = semcomp.load_head("street")
    result = head(codec.latents(data))

A head reads `Latents` and nothing else. A `Classifier` answers with `Labels`, a `Segmenter` with a `Segmentation`.
Heads are found through entry points, so that one published by somebody else is an equal of those that come with
semcomp:

    semcomp.heads          name -> a callable without arguments that returns a Classifier or a Segmenter
    semcomp.head_formats   the "format" that a .safetensors file names in its metadata -> a callable (path) -> head
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from semcomp.errors import ModelError, SemcompError
from semcomp.semantics.embedding import POOLED, Embedding, pooled
from semcomp.semantics.limits import NO_LIMITS, Limits
from semcomp.semantics.results import Labels as Labels
from semcomp.semantics.results import Palette as Palette
from semcomp.semantics.results import Segmentation as Segmentation
from semcomp.semantics.results import default_palette as default_palette
from semcomp.types import Latents

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

TASKS = ("classify", "segment", "embed")
EMBED = Path(__file__).parents[1] / "weights" / "embed.safetensors"
"""What gives embeddings unless told otherwise, where it is released; its name is "embed"."""
HEADS, FORMATS = "semcomp.heads", "semcomp.head_formats"


class Head(ABC):
    """Something that reads latents. Subclass `Classifier` or `Segmenter`."""

    task: ClassVar[str]
    """Word for what the head gives, one of TASKS."""
    name: str
    classes: tuple[str, ...]
    entropy_id: bytes
    """8 bytes: the codec whose latents the head was trained on."""
    origin: str = ""
    """Data, command and figures, in words."""
    palette: Palette = ()
    """One RGB colour for each class; empty for a classifier."""
    limits: Limits = NO_LIMITS
    """When the head keeps quiet."""
    halved_from: int | None = None
    """Shorter side of a picture in pixels from which `seen` gives latents of its half, as often as needed. None for a
    head that reads every picture as it is."""

    @abstractmethod
    def __call__(self, latents: Latents) -> Labels | Segmentation:
        """Answer for one image. ModelError for latents of another codec."""

    def exported(self) -> nn.Module:
        """Give the network to export: y_hat (1, M, h, w), quality (1,) -> logits (1, K) or (1, K, 4h, 4w).

        A network that also has `with_features(y_hat, quality)`, which returns the logits and the features (1, D), and
        `feature_width`, which is D, gives features in an export too. ModelError where a head has no network.
        """
        raise ModelError(f"the head {self.name} has no network that can be exported: leave it out")

    def features(self, latents: Latents) -> NDArray[np.float32]:
        """Give what the head sees in latents of the right codec before it answers: float32 (D,).

        ModelError where a head has no features.
        """
        raise ModelError(f"the head {self.name} gives no features: choose another head, or {POOLED}")

    def seen(self, latents: Latents) -> Latents:
        """Give the latents that the head reads: of the picture, or of a smaller one where it is large."""
        return latents

    def check(self, latents: Latents) -> None:
        """ModelError for latents of another codec."""
        if latents.entropy_id != self.entropy_id:
            raise ModelError(
                f"the head {self.name} was trained on latents with entropy id {self.entropy_id.hex()}, these have "
                f"{latents.entropy_id.hex()}: choose a head for this codec, or train one with semcomp-fit-head"
            )


@dataclass(frozen=True)
class Embedder:
    """Makes the embedding of an image from the features of a head, or from the latents alone."""

    head: Head | None = None
    """The head; None pools the latents."""

    @property
    def name(self) -> str:
        """Name of the embedding, which files and indexes keep. Only embeddings of one name can be compared."""
        return POOLED if self.head is None else self.head.name

    def __call__(self, latents: Latents) -> Embedding:
        """Embed an image. ModelError for latents of another codec than the head's."""
        return Embedding.of(self.vector(latents), head=self.name)

    def vector(self, latents: Latents) -> NDArray[np.float32]:
        """Give the embedding before it is rounded: float32 (D,). It raises what `__call__` does."""
        if self.head is None:
            return pooled(latents)
        self.head.check(latents)
        return self.head.features(self.head.seen(latents))


class Classifier(Head):
    """A head that answers with labels of the whole image. Implement `answer`."""

    task = "classify"

    def __call__(self, latents: Latents) -> Labels:
        """Answer for one image. No label means that nothing is known. ModelError for latents of another codec."""
        self.check(latents)
        return self.limits.sure_labels(self.answer(self.seen(latents)), self.classes)

    @abstractmethod
    def answer(self, latents: Latents) -> Labels:
        """Give the labels of latents of the right codec, the best first."""


class Segmenter(Head):
    """A head that answers with the class of every pixel. Implement `answer`."""

    task = "segment"
    knows_confidence: ClassVar[bool] = False
    """Whether `answer` keeps quiet below the confidence of `limits`."""

    def __call__(self, latents: Latents) -> Segmentation:
        """Answer for one image. Pixels of which nothing is known are VOID. ModelError for latents of another codec."""
        self.check(latents)
        found = self.answer(self.seen(latents))
        return found.enlarged(height=latents.height, width=latents.width)

    @abstractmethod
    def answer(self, latents: Latents) -> Segmentation:
        """Give the label map of latents of the right codec."""


AnyHead = TypeVar("AnyHead", bound=Head)


def head_names() -> list[str]:
    """Names of the installed heads."""
    return sorted({point.name for point in _entry_points(HEADS)})


def load_head(name_or_file: str | Path, *, min_confidence: float = 0.0) -> Classifier | Segmenter:
    """Load a head by name, or from a .safetensors file that `semcomp-fit-head` has written.

    Args:
        name_or_file: One of `head_names`, a path or a URL, or "org/name" or "org/name@revision" on the hub.
        min_confidence: Least probability, 0 to 1, of what the head says; see `sure_head`.

    Raises:
        ModelError: There is no such head, it is damaged, or its package cannot be imported.
        TargetError: The confidence is not 0 to 1.
    """
    head = find_head(name_or_file)()
    if not isinstance(head, Classifier | Segmenter):
        raise ModelError(
            f"the head {head.name} gives embeddings alone: it serves search, and files that carry an embedding"
        )
    return sure_head(head, min_confidence)


def sure_head(head: AnyHead, min_confidence: float) -> AnyHead:
    """Make a head that keeps quiet below a confidence, besides its own limits.

    Args:
        head: The head, which stays as it is.
        min_confidence: Least probability, 0 to 1. A classifier leaves out the labels below it. A segmenter leaves out
            the classes that do not reach it on `limits.area` of the image; their pixels become VOID.

    Raises:
        TargetError: The confidence is not 0 to 1.
        ModelError: The head is a segmenter that knows no probabilities.
    """
    if not min_confidence:
        return head
    if isinstance(head, Segmenter) and not head.knows_confidence:
        raise ModelError(f"the head {head.name} gives a label map without probabilities: leave the confidence out")
    sure = copy(head)
    sure.limits = head.limits.at_least(min_confidence, head.classes)
    return sure


def find_head(name_or_file: str | Path) -> Callable[[], Head]:
    """Find a head, which is not loaded before the result is called. Finding it imports no torch.

    Args:
        name_or_file: A head as `load_head` takes it.

    Raises:
        ModelError: There is no such head, or the file is of another kind.
    """
    from safetensors import SafetensorError, safe_open

    from semcomp.weights.hub import located

    for point in _entry_points(HEADS):
        if point.name == str(name_or_file):
            return partial(_from_point, point)
    path = EMBED if str(name_or_file) == EMBED.stem and EMBED.is_file() else Path(located(name_or_file))
    if not path.is_file():
        raise ModelError(
            f"no head called {name_or_file}; give the path of a head file, or one of: "
            f"{', '.join(head_names()) or 'none is installed'}"
        )
    try:
        with safe_open(path, "numpy") as file:
            kind = (file.metadata() or {}).get("format")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a head file ({error}); train it again") from error
    for point in _entry_points(FORMATS):
        if point.name == kind:
            return partial(_from_point, point, path)
    raise ModelError(f"{path} is not a head file: its format is {kind}, and no installed package reads that")


def load_embedder(name_or_file: str | Path | None = None) -> Embedder:
    """Load what embeds images.

    Args:
        name_or_file: A head as `load_head` takes it, or "latents" for the latents alone. None takes the head "embed" if
            it comes with semcomp, else the features of "objects", else the latents.

    Raises:
        ModelError: There is no such head, or it is damaged.
    """
    if name_or_file is None:
        name_or_file = EMBED if EMBED.is_file() else "objects" if "objects" in head_names() else POOLED
    return Embedder(None if str(name_or_file) == POOLED else find_head(name_or_file)())


def described(head: Head) -> str:
    """Describe a head in a list of heads: its name, what it gives, and whether it is experimental."""
    return f"{head.name} ({head.task}{', experimental' if head.limits.experimental else ''})"


def not_a_segmenter(head: Head) -> NoReturn:
    """ModelError for a head that is asked for a label map and gives labels."""
    raise ModelError(f"the head {head.name} gives labels, no label map: choose one that segments")


def _entry_points(group: str) -> EntryPoints:
    from importlib.metadata import entry_points  # slow, and a client on graphs does not need it

    return entry_points(group=group)


def _from_point(point: EntryPoint, *path: Path) -> Head:
    return _checked(_load(point)(*path), str(path[0]) if path else point.name)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except SemcompError:
        raise
    except Exception as error:
        raise ModelError(f"the head {point.name} ({point.value}) does not load: {error!r}; reinstall it") from error


def _checked(head: object, name: str) -> Head:
    if not isinstance(head, Head) or head.task not in TASKS:
        raise ModelError(
            f"{name} gave a {type(head).__name__}; a head is a Classifier or Segmenter of semcomp.semantics.head"
        )
    return head
