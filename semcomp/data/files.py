"""A map-style dataset of `.semc` files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from semcomp.data.sample import Transform, checked_fields, read_sample
from semcomp.errors import TargetError
from semcomp.storage.files import read_bytes
from semcomp.storage.listing import list_files
from semcomp.storage.urls import is_member, is_url, split_chain, unquoted
from semcomp.workers import survive_forks

Sources = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One or several files, folders, globs, URLs and archives."""


class SemcDataset(Dataset[Any]):
    """Files by number. Workers that are forked or spawned may read it.

    Args:
        sources: Files, folders, globs, URLs, and .zip or .tar archives. Files are sorted within each.
        fields: What a sample holds besides its key, size and quality: words of FIELDS.
        target: Called with the path or URL of a file; the sample has its result as "target".
        transform: Called with every sample; the dataset gives its result.
        model: Weights of the codec.

    Raises:
        TargetError: No `.semc` file is there, or a field is unknown.

    Example:
        >>> files = SemcDataset("tests/golden", fields=("latents", "labels"))
        >>> sample = files[len(files) - 1]
        >>> Path(sample["key"]).name, sample["latents"].shape, sample["labels"]
        ('strip.semc', torch.Size([320, 1, 19]), [])
    """

    def __init__(
        self,
        sources: Sources,
        *,
        fields: Sequence[str] = ("latents",),
        target: Callable[[str], Any] | None = None,
        transform: Transform | None = None,
        model: str = "base",
    ) -> None:
        survive_forks()  # a forked worker would wait for threads that torch has started before
        self.fields, self.target, self.transform, self.model = checked_fields(fields), target, transform, model
        self.paths = found_files(sources, (".semc",))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Any:
        path = self.paths[number]
        sample = read_sample(read_bytes(path), key=path, fields=self.fields, model=self.model)
        if self.target is not None:
            sample["target"] = self.target(path)
        return sample if self.transform is None else self.transform(sample)


def found_files(sources: Sources, suffixes: tuple[str, ...]) -> list[str]:
    """Find the files behind sources.

    Raises:
        TargetError: Nothing is there.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    paths = [path for source in several for path in list_files(os.fspath(source), suffixes)]
    if not paths:
        shown = ", ".join(os.fspath(source) for source in several)
        raise TargetError(f"no {' or '.join(suffixes)} file in {shown}: encode photos first, with semcomp encode")
    return paths


def folder_name(path: str) -> str:
    """Return the name of the folder of a file, which is its class in many datasets. It serves as `target`.

    Example:
        >>> folder_name("train/dog/0001.semc")
        'dog'
    """
    first = split_chain(path)[0] if is_url(path) else path
    return Path(unquoted(first) if is_member(path) else first).parent.name
