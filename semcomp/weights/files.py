"""The folder of released weights, and the reader and the writer of files of weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from semcomp.errors import ModelError, file_error
from semcomp.storage.files import write_whole
from semcomp.weights.hub import located

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).parent
CODEC = "semcomp-codec-1"
"""Format that the file of a codec names"""
GENERATOR = "generator_"
"""Prefix of the files inside the package: the generator street is generator_street.safetensors."""


def codec_file(name_or_path: str | Path) -> Path:
    """Find the file of a codec, by its name inside the package, its path, its URL, or its name on a hub.

    Neither this nor the functions below it import torch, so that a missing file is told at once.

    Raises:
        ModelError: There is no such file.
        MissingExtraError: The package that asks the hub is not installed.
    """
    if (path := _inside_or_at(name_or_path)) is not None:
        return path
    if (found := Path(located(name_or_path))) != Path(name_or_path):
        return found
    known = ", ".join(codec_names()) or "none"
    raise ModelError(f"no codec called {name_or_path}; give a path to a .safetensors file, or one of: {known}")


def restorer_file(name_or_path: str | Path) -> Path:
    """Find the file of a restorer, by its name inside the package or its path.

    Raises:
        ModelError: There is no such file.
    """
    if (path := _inside_or_at(name_or_path)) is not None:
        return path
    raise ModelError(f"no restorer called {name_or_path}: pass the path of a file that train.restore wrote")


def generator_file(name_or_path: str | Path) -> Path:
    """Find the file of a generator, by its name inside the package, its path, its URL, or its name on a hub.

    Raises:
        ModelError: There is no such file.
        MissingExtraError: The package that asks the hub is not installed.
    """
    path = WEIGHTS / f"{GENERATOR}{name_or_path}.safetensors"
    if not os.path.isfile(path):  # noqa: PTH113 - the name may be too long
        path = Path(located(name_or_path))
    if os.path.isfile(path):  # noqa: PTH113
        return path
    there = f"known: {', '.join(names)}" if (names := generator_names()) else "none comes with this version"
    raise ModelError(f"no generator called {name_or_path}, {there}; give the path of a file that train.generator made")


def generator_names() -> list[str]:
    """Names of the generators inside the package, sorted."""
    return sorted(path.stem.removeprefix(GENERATOR) for path in WEIGHTS.glob(f"{GENERATOR}*.safetensors"))


def codec_names() -> list[str]:
    """Names of the codecs inside the package, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if format_of(path) == CODEC)


def _inside_or_at(name_or_path: str | Path) -> Path | None:
    """Return the file of this name inside the package, or at this path."""
    try:
        candidates = (WEIGHTS / f"{name_or_path}.safetensors", Path(name_or_path))
        return next((path for path in candidates if path.is_file()), None)
    except OSError:  # a name that is too long for the system
        return None


def write_weights(tensors: Mapping[str, Tensor], path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Write a file of weights so that it is whole or absent, with the permissions of every new file.

    The writer of safetensors itself lets nobody but the owner read a file.

    Raises:
        FileError: The file cannot be written.
    """
    from safetensors.torch import save

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
