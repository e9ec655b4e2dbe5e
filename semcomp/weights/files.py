"""The folder of released weights, and the reader of files of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from semcomp.errors import ModelError

WEIGHTS = Path(__file__).parent


def format_of(path: Path) -> str | None:
    """The format that the metadata of a safetensors file names."""
    with safe_open(path, "numpy") as file:
        return (file.metadata() or {}).get("format")


@contextmanager
def stored(path: str | Path, *, kind: str, form: str, again: str) -> Iterator[tuple[dict[str, str], dict[str, Tensor]]]:
    """Read a file of weights. The body of the `with` statement builds the network from it.

    Args:
        path: The file.
        kind: What the file should be, in words, for the error.
        form: The format that its metadata should name.
        again: What the user should do again if the file is damaged, such as "install the weights".

    Yields:
        Metadata and tensors.

    Raises:
        ModelError: The file cannot be read or is of another kind, or the body fails because something does not fit.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != form:
            raise ModelError(f"{path} is not a {kind}: its format is {metadata.get('format')}, not {form}")
        yield metadata, tensors
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ModelError(f"{path} is damaged or of another version ({reason}); {again} again") from error
