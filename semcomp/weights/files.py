"""The folder of released weights, and the reader and the writer of files of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from semcomp.errors import ModelError, file_error
from semcomp.storage.files import write_whole

WEIGHTS = Path(__file__).parent


def write_weights(tensors: Mapping[str, Tensor], path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Write a file of weights so that it is whole or absent, with the permissions of every new file.

    The writer of safetensors itself lets nobody but the owner read a file.

    Raises:
        FileError: The file cannot be written.
    """
    try:
        write_whole(str(path), save(dict(tensors), metadata=dict(metadata)))
    except OSError as error:
        raise file_error(path, error, verb="written") from error


def format_of(path: Path) -> str | None:
    """The format that the metadata of a safetensors file names. ModelError where it is another kind of file."""
    try:
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("format")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a file of weights ({error}): give a .safetensors file") from error


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
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"{path} cannot be read ({reason}): check the path and its permissions") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ModelError(f"{path} is damaged or of another version ({reason}); {again} again") from error
