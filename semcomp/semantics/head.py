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
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from semcomp.errors import ModelError, SemcompError
from semcomp.semantics.limits import NO_LIMITS, Limits
from semcomp.semantics.results import Labels as Labels
from semcomp.semantics.results import Palette as Palette
from semcomp.semantics.results import Segmentation as Segmentation
from semcomp.semantics.results import default_palette as default_palette
from semcomp.types import Latents

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

    from torch import nn

HEADS, FORMATS = "semcomp.heads", "semcomp.head_formats"


class Head(ABC):
    """Something that reads latents. Subclass `Classifier` or `Segmenter`."""

    task: ClassVar[str]
    """Word for what the head gives: "classify" or "segment"."""
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

    @abstractmethod
    def __call__(self, latents: Latents) -> Labels | Segmentation:
        """Answer for one image. ModelError for latents of another codec."""

    def exported(self) -> nn.Module:
        """Give the network to export: y_hat (1, M, h, w), quality (1,) -> logits (1, K) or (1, K, 4h, 4w).

        ModelError where a head has none.
        """
        raise ModelError(f"the head {self.name} has no network that can be exported: leave it out")

    def check(self, latents: Latents) -> None:
        """ModelError for latents of another codec."""
        if latents.entropy_id != self.entropy_id:
            raise ModelError(
                f"the head {self.name} was trained on latents with entropy id {self.entropy_id.hex()}, these have "
                f"{latents.entropy_id.hex()}: choose a head for this codec, or train one with semcomp-fit-head"
            )


class Classifier(Head):
    """A head that answers with labels of the whole image. Implement `answer`."""

    task = "classify"

    def __call__(self, latents: Latents) -> Labels:
        """Answer for one image. No label means that nothing is known. ModelError for latents of another codec."""
        self.check(latents)
        return self.answer(latents)

    @abstractmethod
    def answer(self, latents: Latents) -> Labels:
        """Give the labels of latents of the right codec, the best first."""


class Segmenter(Head):
    """A head that answers with the class of every pixel. Implement `answer`."""

    task = "segment"

    def __call__(self, latents: Latents) -> Segmentation:
        """Answer for one image. Pixels of which nothing is known are VOID. ModelError for latents of another codec."""
        self.check(latents)
        return self.answer(latents)

    @abstractmethod
    def answer(self, latents: Latents) -> Segmentation:
        """Give the label map of latents of the right codec."""


def head_names() -> list[str]:
    """Names of the installed heads."""
    return sorted({point.name for point in _entry_points(HEADS)})


def load_head(name_or_file: str | Path) -> Classifier | Segmenter:
    """Load a head by name, or from a .safetensors file that `semcomp-fit-head` has written.

    Args:
        name_or_file: One of `head_names`, a path or a URL, or "org/name" or "org/name@revision" on the hub.

    Raises:
        ModelError: There is no such head, it is damaged, or its package cannot be imported.
    """
    from safetensors import SafetensorError, safe_open

    from semcomp.weights.hub import located

    for point in _entry_points(HEADS):
        if point.name == str(name_or_file):
            return _checked(_load(point)(), point.name)
    path = Path(located(name_or_file))
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
            return _checked(_load(point)(path), str(path))
    raise ModelError(f"{path} is not a head file: its format is {kind}, and no installed package reads that")


def described(head: Head) -> str:
    """Describe a head in a list of heads: its name, what it gives, and whether it is experimental."""
    return f"{head.name} ({head.task}{', experimental' if head.limits.experimental else ''})"


def not_a_segmenter(head: Head) -> NoReturn:
    """ModelError for a head that is asked for a label map and gives labels."""
    raise ModelError(f"the head {head.name} gives labels, no label map: choose one that segments")


def _entry_points(group: str) -> EntryPoints:
    from importlib.metadata import entry_points  # 20 ms, which a client on graphs does not need

    return entry_points(group=group)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except SemcompError:
        raise
    except Exception as error:
        raise ModelError(f"the head {point.name} ({point.value}) does not load: {error!r}; reinstall it") from error


def _checked(head: object, name: str) -> Classifier | Segmenter:
    if not isinstance(head, Classifier | Segmenter):
        raise ModelError(
            f"{name} gave a {type(head).__name__}; a head is a Classifier or Segmenter of semcomp.semantics.head"
        )
    return head
