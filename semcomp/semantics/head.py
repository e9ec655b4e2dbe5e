"""Recognition without pixels: what a head is, what it answers, and where heads are found.

    head = semcomp.load_head("street")
    result = head(codec.latents(data))       # Segmentation; a classifier returns Labels

A head reads `Latents` and nothing else. Heads are found through entry points, so that one published by somebody else
is an equal of those that come with semcomp:

    semcomp.heads          name -> a callable without arguments that returns a Head
    semcomp.head_formats   the "format" that a .safetensors file names in its metadata -> a callable (path) -> Head
"""

from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from semcomp.errors import ModelError, SemcompError
from semcomp.semantics.results import Labels as Labels
from semcomp.semantics.results import Palette as Palette
from semcomp.semantics.results import Segmentation as Segmentation
from semcomp.semantics.results import default_palette as default_palette
from semcomp.types import Latents

if TYPE_CHECKING:
    from torch import nn

HEADS, FORMATS = "semcomp.heads", "semcomp.head_formats"


class Head(ABC):
    """Something that reads latents. Call it; implement `answer`."""

    name: str
    task: str
    """"classify" (answers with Labels) or "segment" (answers with Segmentation)."""
    classes: tuple[str, ...]
    entropy_id: bytes
    """8 bytes: the codec whose latents it was trained on."""
    origin: str = ""
    """Data, command and figures, in words."""
    palette: Palette = ()
    """One RGB colour a class; empty for a classifier."""

    def __call__(self, latents: Latents) -> Labels | Segmentation:
        """The answer for one picture. ModelError for latents of another codec."""
        if latents.entropy_id != self.entropy_id:
            raise ModelError(
                f"the head {self.name} was trained on latents with entropy id {self.entropy_id.hex()}, these have "
                f"{latents.entropy_id.hex()}: choose a head for this codec, or train one with semcomp-fit-head"
            )
        return self.answer(latents)

    @abstractmethod
    def answer(self, latents: Latents) -> Labels | Segmentation:
        """Labels or Segmentation; the latents are those of the right codec."""

    def exported(self) -> "nn.Module":
        """The network to export: y_hat (1, M, h, w), quality (1,) -> logits (1, K) or (1, K, 4h, 4w).

        ModelError where a head has none.
        """
        raise ModelError(f"the head {self.name} has no network that can be exported: leave it out")


def head_names() -> list[str]:
    """Names of the installed heads."""
    return sorted({point.name for point in entry_points(group=HEADS)})


def load_head(name_or_file: str | Path = "objects") -> Head:
    """A head by name, or from a .safetensors file that `semcomp-fit-head` has written.

    ModelError where there is none, it is damaged, or its package cannot be imported.
    """
    for point in entry_points(group=HEADS):
        if point.name == str(name_or_file):
            return _checked(_load(point)(), point.name)
    path = Path(name_or_file)
    if not path.is_file():
        raise ModelError(
            f"no head called {name_or_file}; give the path of a head file, or one of: "
            f"{', '.join(head_names()) or 'none is installed'}"
        )
    try:
        with safe_open(path, "numpy") as file:
            kind = (file.metadata() or {}).get("format")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no head file ({error}); train it again") from error
    for point in entry_points(group=FORMATS):
        if point.name == kind:
            return _checked(_load(point)(path), str(path))
    raise ModelError(f"{path} is no head file: its format is {kind}, and no installed package reads that")


def _load(point: EntryPoint):  # type: ignore[no-untyped-def]  # -> whatever callable the package names
    try:
        return point.load()
    except SemcompError:
        raise
    except Exception as error:
        raise ModelError(f"the head {point.name} ({point.value}) does not load: {error!r}; reinstall it") from error


def _checked(head: object, name: str) -> Head:
    if not isinstance(head, Head):
        raise ModelError(f"{name} gave a {type(head).__name__}, which is no semcomp.semantics.head.Head")
    return head
