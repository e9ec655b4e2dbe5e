"""The folder of released weights, and the one way to read a file of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from semcomp.errors import ModelError

WEIGHTS = Path(__file__).parent


def _format_of(path: Path) -> str | None:
    with safe_open(path, "numpy") as file:
        return (file.metadata() or {}).get("format")


@contextmanager
def stored(path: str | Path, *, kind: str, form: str, again: str) -> Iterator[tuple[dict[str, str], dict[str, Tensor]]]:
    """Metadata and tensors of a weights' file, for a body that builds the network that they belong to.

    ModelError where the file is of no such kind, or cannot be read, or the body finds that something does not fit;
    `again` says what to do then.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != form:
            raise ModelError(f"{path} is no {kind}: its format is {metadata.get('format')}, not {form}")
        yield metadata, tensors
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ModelError(f"{path} is damaged or of another version ({reason}); {again} again") from error
